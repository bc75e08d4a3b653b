"""What does it cost to cancel ten thousand parked tasks, a task?

The clock runs from the cancellation until the last of them has been joined. Each has a
frame of the user's for the cancellation to pass through.
"""

from __future__ import annotations

from typing import Any

from slices import Goal, Row, Slice, Watch
from surroundings import settle_asyncio, settle_trio

ROW = Row(
    "cancel 10k tasks, a task",
    "us",
    goals=(Goal("trio", 1 / 25), Goal("uvloop", 1 / 4.5)),
    rounds=13,
    size=1,
)
TASKS = 10_000


async def on_trio(trio: Any, n: int) -> Slice:
    watch, sleep_forever = Watch(), trio.sleep_forever

    async def park() -> None:
        await sleep_forever()

    for _ in range(n):
        async with trio.open_nursery() as nursery:
            for _ in range(TASKS):
                nursery.start_soon(park)
            await settle_trio(trio)
            watch.start()
            nursery.cancel_scope.cancel()
        watch.stop()
    return watch.slice(n * TASKS)


async def on_asyncio(aio: Any, n: int) -> Slice:
    watch, new_future = Watch(), aio.get_running_loop().create_future

    async def park() -> None:
        await new_future()

    for _ in range(n):
        async with aio.TaskGroup() as group:
            tasks = [group.create_task(park()) for _ in range(TASKS)]
            await settle_asyncio(aio)
            watch.start()
            for task in tasks:
                task.cancel()
        watch.stop()
    return watch.slice(n * TASKS)
