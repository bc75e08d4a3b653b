"""The paths that the bench measures run no Python code of ours."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import ctrio
from ctrio import Event, Lock, move_on_after, open_memory_channel, open_nursery, sleep
from ctrio.lowlevel import checkpoint

PACKAGE = str(Path(ctrio.__file__).parent)
Case = Callable[[], Awaitable[None]]


async def switch() -> None:
    async def turn() -> None:
        for _ in range(10):
            await checkpoint()

    async with open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(turn)


async def switch_alone() -> None:
    for _ in range(10):
        await checkpoint()


async def spawn_and_join() -> None:
    async def child() -> None:
        pass

    for _ in range(3):
        async with open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(child)


async def channel(size: int) -> None:
    send, receive = open_memory_channel[int](size)

    async def consume() -> None:
        for number in range(10):
            assert await receive.receive() == number
        async for _ in receive:
            raise AssertionError

    async with open_nursery() as nursery:
        nursery.start_soon(consume)
        for number in range(10):
            await send.send(number)
        send.close()


async def ping_pong() -> None:
    await channel(0)


async def buffered() -> None:
    await channel(100)


async def cancel() -> None:
    async with open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ctrio.sleep_forever)
        await checkpoint()
        nursery.cancel_scope.cancel()


async def timeout() -> None:
    for _ in range(3):
        with move_on_after(10) as scope:
            await checkpoint()
        assert not scope.cancelled_caught


async def timers() -> None:
    async with open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(sleep, number / 10000)


async def lock_and_event() -> None:
    lock = Lock()
    for _ in range(3):
        async with lock:
            pass
        await lock.acquire()
        lock.release()
        event = Event()
        event.set()
        await event.wait()
    event = Event()
    async with open_nursery() as nursery:
        nursery.start_soon(event.wait)
        await checkpoint()
        event.set()


CASES: list[Case] = [
    switch,
    switch_alone,
    spawn_and_join,
    ping_pong,
    buffered,
    cancel,
    timeout,
    timers,
    lock_and_event,
]


def frames_of_ours(async_fn: Case, **options: Any) -> list[str]:
    """The Python functions of ctrio that are called meanwhile, or resumed."""
    called: list[str] = []

    def profile(frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            called.append(f"{Path(code.co_filename).name}:{code.co_name}")

    async def main() -> None:
        sys.setprofile(profile)
        try:
            await async_fn()
        finally:
            sys.setprofile(None)

    ctrio.run(main, **options)
    return called


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("strict", [False, True], ids=["shortcuts", "every turn"])
def test_no_frame_of_ours_is_on(case: Case, strict: bool) -> None:
    frames_of_ours(case)  # what is imported or looked up once
    assert frames_of_ours(case, strict_checkpoints=strict) == []


def test_a_frame_of_ours_is_found() -> None:
    async def calls() -> None:
        await ctrio.to_thread.run_sync(int)

    assert "_threads.py:to_thread_run_sync" in frames_of_ours(calls)
