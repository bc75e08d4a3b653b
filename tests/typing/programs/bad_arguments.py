"""Functions that are given what they do not take."""

from __future__ import annotations

import ctrio as trio


async def work(number: int, name: str) -> str:
    await trio.sleep(number)
    return name


async def serve(*, task_status: trio.TaskStatus[int]) -> None:
    task_status.started("80")  # error: arg-type
    task_status.started(80)


def not_async(number: int) -> int:
    return number


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work, "1", "a")  # error: arg-type
        nursery.start_soon(work, 1)  # error: arg-type
        nursery.start_soon(work, 1, "a", "b")  # error: arg-type
        nursery.start_soon(work(1, "a"))  # error: arg-type
        nursery.start_soon(not_async, 1)  # error: arg-type
        nursery.start_soon(work, 1, name="a", key=3)  # error: arg-type, call-arg
        await nursery.start(not_async)  # error: arg-type
        nursery.cancel_scope = trio.CancelScope()  # error: misc
    trio.CancelScope(3)  # error: call-arg
    trio.move_on_after("3")  # error: arg-type
    with trio.CancelScope() as scope:
        scope.shield = "yes"  # error: assignment
        scope.cancel_called = True  # error: misc
    await trio.sleep("1")  # error: arg-type
    await trio.sleep()  # error: call-arg
    trio.Semaphore(1, 2)  # error: call-arg
    trio.Condition(trio.Semaphore(1))  # error: arg-type


trio.run(work, 1)  # error: arg-type
trio.run(work, 1, 2)  # error: arg-type
trio.run(main())  # error: arg-type
number: int = trio.run(work, 1, "a")  # error: assignment
trio.run(main, clock=3)  # error: arg-type
