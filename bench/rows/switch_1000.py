"""What does one switch cost when a thousand tasks take turns?

All tasks are released at once and go in step: in each batch each has one turn. The
clock runs from the first turn of the first batch to the first turn of the last, so
that between the two lie n batches of switches, and no task that starts or ends.
"""

from __future__ import annotations

from typing import Any

from slices import Goal, Row, Slice, Watch
from surroundings import settle_asyncio, settle_trio

ROW = Row(
    "switch, 1000 tasks",
    "ns",
    goals=(Goal("trio", 1 / 23), Goal("uvloop", 1 / 6.5)),
    target_ms=50,
)
TASKS = 1000


async def on_trio(trio: Any, n: int) -> Slice:
    watch, begin = Watch(), trio.Event()
    checkpoint = trio.lowlevel.checkpoint
    waiting = spinning = True

    async def spin() -> None:
        nonlocal waiting, spinning
        await begin.wait()
        if waiting:
            waiting = False
            watch.start()
        for _ in range(n):
            await checkpoint()
        if spinning:
            spinning = False
            watch.stop()

    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(spin)
        await settle_trio(trio)
        begin.set()
    return watch.slice(TASKS * n)


async def on_asyncio(aio: Any, n: int) -> Slice:
    watch, begin = Watch(), aio.Event()
    sleep = aio.sleep
    waiting = spinning = True

    async def spin() -> None:
        nonlocal waiting, spinning
        await begin.wait()
        if waiting:
            waiting = False
            watch.start()
        for _ in range(n):
            await sleep(0)
        if spinning:
            spinning = False
            watch.stop()

    async with aio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(spin())
        await settle_asyncio(aio)
        begin.set()
    return watch.slice(TASKS * n)
