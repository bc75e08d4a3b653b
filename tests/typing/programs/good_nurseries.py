"""Tasks, cancel scopes and deadlines, as programs have them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from typing_extensions import assert_type

import ctrio as trio
from ctrio import testing


async def work(number: int, name: str, *, loud: bool = False) -> str:
    await trio.sleep(number)
    return name.upper() if loud else name


async def serve(
    port: int, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    task_status.started(port + 1)
    await trio.sleep_forever()


async def ready(
    *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    task_status.started()


class Job:
    def __init__(self) -> None:
        self.done: list[int] = []

    async def run(self, number: int) -> None:
        await trio.lowlevel.checkpoint()
        self.done.append(number)


async def spawn(nursery: trio.Nursery, job: Job) -> None:
    nursery.start_soon(work, 1, "a")
    nursery.start_soon(work, 2, "b", name="second")
    nursery.start_soon(job.run, 3, name=job)
    nursery.start_soon(trio.sleep, 0.5)
    nursery.start_soon(trio.sleep, True)  # a bool is an int is a float
    nursery.start_soon(ready)
    port: int = await nursery.start(serve, 80, name="server")
    assert port == 81
    assert_type(nursery.cancel_scope, trio.CancelScope)
    assert_type(nursery.child_tasks, frozenset[trio.lowlevel.Task])
    assert_type(nursery.parent_task, trio.lowlevel.Task)


async def within(seconds: float, fn: Callable[[], Awaitable[object]]) -> bool:
    with trio.move_on_after(seconds) as scope:
        assert_type(scope, trio.CancelScope)
        await fn()
    return not scope.cancelled_caught


async def deadlines() -> None:
    assert not await within(2, trio.sleep_forever)
    with trio.CancelScope(deadline=trio.current_time() + 5, shield=True) as scope:
        scope.deadline += 1
        scope.shield = False
        scope.cancel(reason="no more")
        await trio.lowlevel.checkpoint()
    assert_type(scope.is_relative, "bool | None")
    assert scope.cancel_called
    try:
        with trio.fail_at(trio.current_time() + 1), trio.fail_after(2, shield=True):
            await trio.sleep_until(math.inf)
    except trio.TooSlowError:
        pass
    try:
        await trio.lowlevel.checkpoint()
    except trio.Cancelled as exc:
        assert_type(exc.source_task, "str | None")
        raise


async def main(number: int, name: str) -> list[str]:
    job = Job()
    async with trio.open_nursery() as nursery:
        await spawn(nursery, job)
        await deadlines()
        nursery.cancel_scope.cancel()
    assert job.done == [3]
    return [await work(number, name, loud=True)]


async def nothing() -> None:
    return None


clock = testing.MockClock(autojump_threshold=0)
result = trio.run(main, 3, "c", clock=clock, instruments=[])
assert_type(result, list[str])
assert result == ["C"]
trio.run(nothing, strict_exception_groups=True)
