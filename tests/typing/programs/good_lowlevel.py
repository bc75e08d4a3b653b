"""What libraries are built of."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

import outcome
from typing_extensions import assert_type

import ctrio as trio
from ctrio.abc import Clock, Instrument
from ctrio.lowlevel import Abort, ParkingLot, RaiseCancelT, RunVar, Task
from ctrio.testing import wait_all_tasks_blocked

T = TypeVar("T")
count: RunVar[int] = RunVar("count", 0)
unset = RunVar[str]("unset")


class Future:
    """A wait of the program's own."""

    def __init__(self) -> None:
        self.task: Task | None = None

    async def wait(self) -> Any:
        self.task = trio.lowlevel.current_task()

        def abort(raise_cancel: RaiseCancelT) -> Abort:
            self.task = None
            return Abort.SUCCEEDED

        return await trio.lowlevel.wait_task_rescheduled(abort)

    def set(self, value: object) -> None:
        if self.task is not None:
            trio.lowlevel.reschedule(self.task, outcome.Value(value))


class Counter(Instrument):
    def __init__(self) -> None:
        self.steps = 0

    def before_task_step(self, task: Task) -> None:
        assert_type(task.name, str)
        self.steps += 1


class Still(Clock):
    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return 0.0

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return deadline


@trio.lowlevel.enable_ki_protection
def protected(text: str) -> int:
    assert trio.lowlevel.currently_ki_protected()
    return len(text)


@trio.lowlevel.disable_ki_protection
async def unprotected(value: T) -> T:
    await trio.lowlevel.checkpoint_if_cancelled()
    await trio.lowlevel.cancel_shielded_checkpoint()
    return value


def variables() -> None:
    token = count.set(count.get() + 1)
    assert_type(token, trio.lowlevel.RunVarToken[int])
    count.reset(token)
    assert_type(unset.get(None), "str | None")


async def parking() -> None:
    lot = ParkingLot()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lot.park)
        await wait_all_tasks_blocked()
        assert_type(lot.unpark(count=1), list[Task])
    assert_type(lot.statistics(), trio.lowlevel.ParkingLotStatistics)
    assert not lot


async def files() -> None:
    ours, theirs = os.pipe()
    await trio.lowlevel.wait_writable(theirs)
    os.write(theirs, b"x")
    with open(ours, "rb") as file:
        await trio.lowlevel.wait_readable(file)
        trio.lowlevel.notify_closing(file)
    os.close(theirs)


def later(callback: Callable[[str], object]) -> None:
    trio.lowlevel.start_thread_soon(lambda: "x", lambda got: callback(got.unwrap()))


async def main() -> str:
    variables()
    assert_type(protected("abc"), int)
    assert_type(await unprotected(3), int)
    future = Future()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(future.wait)
        await wait_all_tasks_blocked()
        future.set(3)
    await parking()
    await files()
    send, receive = trio.open_memory_channel[str](1)
    token = trio.lowlevel.current_trio_token()
    later(lambda text: token.run_sync_soon(send.send_nowait, text))
    task = trio.lowlevel.spawn_system_task(
        trio.sleep, 0, name="system", context=contextvars.Context()
    )
    assert_type(task, Task)
    for frame, line in trio.lowlevel.current_task().iter_await_frames():
        assert_type(frame, FrameType)
        assert_type(line, int)
    assert_type(trio.lowlevel.current_statistics().tasks_living, int)
    assert_type(trio.lowlevel.current_clock(), Clock)
    assert trio.lowlevel.in_trio_run()
    return await receive.receive()


counter = Counter()
assert trio.run(main, instruments=[counter]) == "x"
assert counter.steps


async def at_rest() -> float:
    return trio.current_time()


assert_type(trio.run(at_rest, clock=Still()), float)
