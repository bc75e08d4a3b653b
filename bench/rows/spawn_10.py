"""What does a task cost from start to join, ten to a nursery?"""

from __future__ import annotations

from typing import Any

from slices import Goal, Row, Slice, Watch

ROW = Row(
    "spawn and join, 10 a nursery",
    "us",
    goals=(Goal("trio", 1 / 30), Goal("uvloop", 1 / 8)),
)
CHILDREN = 10


async def child() -> None:
    pass


async def on_trio(trio: Any, n: int) -> Slice:
    watch, open_nursery = Watch(), trio.open_nursery
    watch.start()
    for _ in range(n):
        async with open_nursery() as nursery:
            for _ in range(CHILDREN):
                nursery.start_soon(child)
    watch.stop()
    return watch.slice(n * CHILDREN)


async def on_asyncio(aio: Any, n: int) -> Slice:
    watch, task_group = Watch(), aio.TaskGroup
    watch.start()
    for _ in range(n):
        async with task_group() as group:
            for _ in range(CHILDREN):
                group.create_task(child())
    watch.stop()
    return watch.slice(n * CHILDREN)
