"""How much memory does a task hold while it is parked on an event?

Resident memory, in a process of its own for each slice, since what one run has
freed the next would not ask for again. The task's own frame is part of it.
"""

from __future__ import annotations

import gc
from typing import Any

from slices import Goal, Row, Slice
from surroundings import settle_asyncio, settle_trio

ROW = Row(
    "memory of a parked task",
    "bytes",
    goals=(Goal("trio", 1 / 3.3),),
    clock="bytes",
    fresh=True,
    rounds=3,
    size=50_000,
    quick_size=20_000,
)


def resident_bytes() -> int:
    """Counted page by page: the figure in statm lags by up to a megabyte."""
    gc.collect()
    with open("/proc/self/smaps_rollup", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no Rss in smaps_rollup")


async def on_trio(trio: Any, n: int) -> Slice:
    event = trio.Event()

    async def park() -> None:
        await event.wait()

    async with trio.open_nursery() as nursery:
        before = resident_bytes()
        for _ in range(n):
            nursery.start_soon(park)
        await settle_trio(trio)
        after = resident_bytes()
        event.set()
    return Slice(n, size_bytes=after - before)


async def on_asyncio(aio: Any, n: int) -> Slice:
    event = aio.Event()

    async def park() -> None:
        await event.wait()

    async with aio.TaskGroup() as group:
        before = resident_bytes()
        for _ in range(n):
            group.create_task(park())
        await settle_asyncio(aio)
        after = resident_bytes()
        event.set()
    return Slice(n, size_bytes=after - before)
