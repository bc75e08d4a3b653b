"""Guest runs in the event loops that people have: asyncio's, and uvloop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import sniffio

import ctrio
from ctrio.lowlevel import checkpoint, start_guest_run

Loop = asyncio.AbstractEventLoop


def uvloop_or_skip() -> Loop:
    uvloop = pytest.importorskip("uvloop")
    loop: Loop = uvloop.new_event_loop()
    return loop


@pytest.fixture(
    params=[asyncio.new_event_loop, uvloop_or_skip], ids=["asyncio", "uvloop"]
)
def loop(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loop]:
    # Runs that were interleaved by hand may have left it to the wrong one.
    monkeypatch.setattr(sniffio.thread_local, "name", None)
    made: Loop = request.param()
    yield made
    made.close()


def run_in(
    loop: Loop, async_fn: Callable[..., Awaitable[object]], *args: object
) -> Any:
    async def main() -> Any:
        done: asyncio.Future[Any] = loop.create_future()
        start_guest_run(
            async_fn,
            *args,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            run_sync_soon_not_threadsafe=loop.call_soon,
            done_callback=done.set_result,
            host_uses_signal_set_wakeup_fd=True,
        )
        return (await done).unwrap()

    return loop.run_until_complete(main())


def test_tasks_of_both_take_turns(loop: Loop) -> None:
    async def answer(questions: asyncio.Queue[int], send: Any) -> None:
        with send:
            assert sniffio.current_async_library() == "asyncio"
            while True:
                number = await questions.get()
                send.send_nowait(number + 1)

    async def main() -> int:
        send, receive = ctrio.open_memory_channel[int](1)
        questions: asyncio.Queue[int] = asyncio.Queue()
        task = loop.create_task(answer(questions, send))
        questions.put_nowait(0)
        async for number in receive:
            assert sniffio.current_async_library() == "trio"
            if number == 100:
                break
            questions.put_nowait(number)
        task.cancel()
        return number

    assert run_in(loop, main) == 100


def test_both_talk_over_a_socket(loop: Loop) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main() -> int:
        started: ctrio.Event = ctrio.Event()
        servers: list[asyncio.Server] = []

        async def serve() -> None:
            servers.append(await asyncio.start_server(echo, "127.0.0.1", 0))
            started.set()

        task = loop.create_task(serve())
        await started.wait()
        port = servers[0].sockets[0].getsockname()[1]
        size = 300_000
        got = 0
        async with await ctrio.open_tcp_stream("127.0.0.1", port) as stream:
            async with ctrio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, b"x" * size)
                while got < size:
                    got += len(await stream.receive_some())
        servers[0].close()
        assert task.done()
        return got

    assert run_in(loop, main) == 300_000


def test_a_cancelled_task_of_the_host_cancels_the_run(loop: Loop) -> None:
    scope = ctrio.CancelScope()

    async def main() -> str:
        with scope:
            loop.call_soon(scope.cancel)
            await ctrio.sleep_forever()
        return "cancelled"

    assert run_in(loop, main) == "cancelled"


def test_an_interrupt_of_the_host_reaches_the_main_task(loop: Loop) -> None:
    async def main() -> None:
        loop.call_soon(signal.raise_signal, signal.SIGINT)
        await ctrio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        run_in(loop, main)


def test_one_run_after_the_other(loop: Loop) -> None:
    async def main(number: int) -> int:
        await checkpoint()
        return number

    assert [run_in(loop, main, i) for i in range(5)] == list(range(5))
