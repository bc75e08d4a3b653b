"""Nothing grows: sockets, threads, signals, instruments, generators."""

from __future__ import annotations

import signal
import socket as stdlib
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from growth import check, check_within
from mock_clock import run_on_mock_clock

import ctrio
from ctrio import open_nursery
from ctrio.lowlevel import (
    add_instrument,
    checkpoint,
    notify_closing,
    remove_instrument,
    wait_readable,
    wait_writable,
)
from ctrio.testing import wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

# --- what is run ----------------------------------------------------------------------


async def handles() -> None:
    near, far = stdlib.socketpair()
    with near, far:
        await wait_writable(near)
        await wait_writable(near.fileno())
        far.send(b"x")
        await wait_readable(near)
        near.recv(1)
        with ctrio.move_on_after(1):
            await wait_readable(near)
        with pytest.raises(ExceptionGroup):
            async with open_nursery() as nursery:
                for _ in range(2):  # the second is refused
                    nursery.start_soon(wait_readable, near)
        with pytest.raises(ExceptionGroup):
            async with open_nursery() as nursery:
                nursery.start_soon(wait_readable, near)
                await wait_all_tasks_blocked()
                notify_closing(near)
        coro: Any = wait_readable(near)
        coro.send(None)
        coro.close()
    with pytest.raises(ValueError):
        await wait_readable(-1)
    with pytest.raises(RuntimeError):
        await wait_readable(None)  # type: ignore[arg-type]


async def sockets() -> None:
    near, far = ctrio.socket.socketpair()
    buffer = bytearray(10)
    with near, far:
        async with open_nursery() as nursery:
            nursery.start_soon(near.recv, 10)
            await wait_all_tasks_blocked()
            await far.send(b"bytes")
        await far.send(b"more")
        await near.recv_into(buffer)
        with ctrio.move_on_after(1):
            await near.recv(1)
        for wrong in (lambda: near.recv(-1), lambda: near.send("x")):  # type: ignore[arg-type]
            with pytest.raises((ValueError, TypeError)):
                await wrong()
        coro = near.recv(1)
        coro.send(None)  # type: ignore[attr-defined]
        coro.close()  # type: ignore[attr-defined]
        with pytest.raises(ExceptionGroup):
            async with open_nursery() as nursery:
                nursery.start_soon(near.recv, 10)
                await wait_all_tasks_blocked()
                near.close()


async def connections() -> None:
    with ctrio.socket.socket() as listener, ctrio.socket.socket() as client:
        await listener.bind(("127.0.0.1", 0))
        listener.listen()
        async with open_nursery() as nursery:
            nursery.start_soon(client.connect, listener.getsockname())
            accepted, _ = await listener.accept()
        accepted.close()
        with ctrio.move_on_after(1):
            await listener.accept()
        coro = listener.accept()
        coro.send(None)  # type: ignore[attr-defined]
        coro.close()  # type: ignore[attr-defined]
        listener.close()
        with pytest.raises(OSError):
            await listener.accept()


async def streams() -> None:
    near, far = (ctrio.SocketStream(sock) for sock in ctrio.socket.socketpair())
    async with near, far:
        async with open_nursery() as nursery:
            nursery.start_soon(near.send_all, b"x" * 300_000)
            received = 0
            while received < 300_000:
                received += len(await far.receive_some())
        with ctrio.move_on_after(1):
            await far.receive_some()
        with pytest.raises(ValueError):
            await far.receive_some(0)
        with pytest.raises(ExceptionGroup):
            async with open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(far.receive_some)
                await wait_all_tasks_blocked()
        await near.send_eof()
        assert await far.receive_some() == b""
    with pytest.raises(ctrio.ClosedResourceError):
        await near.receive_some()


async def threads() -> None:
    def work() -> int:
        ctrio.from_thread.run(checkpoint)
        return ctrio.from_thread.run_sync(int, "3")

    def fail() -> None:
        raise KeyError

    assert await ctrio.to_thread.run_sync(work) == 3
    with pytest.raises(KeyError):
        await ctrio.to_thread.run_sync(fail)
    with pytest.raises(TypeError):
        await ctrio.to_thread.run_sync(checkpoint)
    async with open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(ctrio.to_thread.run_sync, work)


class Counts(ctrio.abc.Instrument):
    def __init__(self) -> None:
        self.steps = 0

    def before_task_step(self, task: object) -> None:
        self.steps += 1

    def task_exited(self, task: object) -> None:
        self.steps -= 1


async def instruments() -> None:
    counts = Counts()
    add_instrument(counts)
    add_instrument(counts)
    async with open_nursery() as nursery:
        nursery.start_soon(checkpoint)
    remove_instrument(counts)
    with pytest.raises(KeyError):
        remove_instrument(counts)
    with pytest.raises(TypeError):
        add_instrument([])  # type: ignore[arg-type]


async def numbers() -> AsyncGenerator[int, None]:
    try:
        for number in range(5):
            yield number
            await checkpoint()
    finally:
        with ctrio.CancelScope(shield=True):
            await checkpoint()


async def generators() -> None:
    async for _ in numbers():
        pass
    generator = numbers()
    await generator.__anext__()
    await generator.aclose()
    with pytest.warns(ResourceWarning):
        left = numbers()
        await left.__anext__()
        del left  # its finaliser is run by the run
        await wait_all_tasks_blocked()


@ctrio.as_safe_channel
async def safe() -> AsyncGenerator[int, None]:
    async with open_nursery():
        for number in range(5):
            yield number


async def safe_channels() -> None:
    async with safe() as channel:
        async for _ in channel:
            pass
    async with safe() as channel:
        await channel.receive()
    with pytest.raises(KeyError):
        async with safe() as channel:
            raise KeyError


async def signals() -> None:
    with ctrio.open_signal_receiver(signal.SIGUSR1, signal.SIGUSR2) as receiver:
        signal.raise_signal(signal.SIGUSR1)
        assert await receiver.__anext__() == signal.SIGUSR1
        with ctrio.move_on_after(1):
            await receiver.__anext__()
    with pytest.raises(TypeError):
        with ctrio.open_signal_receiver():
            pass


PRIMITIVES: list[Callable[[], Awaitable[None]]] = [
    handles,
    sockets,
    connections,
    streams,
    threads,
    instruments,
    generators,
    safe_channels,
    signals,
]

# --- measured -------------------------------------------------------------------------


@pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda each: each.__name__)
def test_a_hundred_runs_leave_nothing_behind(
    primitive: Callable[[], Awaitable[None]],
) -> None:
    check(lambda: run_on_mock_clock(primitive))


@pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda each: each.__name__)
def test_one_run_can_go_on_for_ever(primitive: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await check_within(primitive)

    run_on_mock_clock(main)
