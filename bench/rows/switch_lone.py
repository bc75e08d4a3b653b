"""What does a checkpoint cost when no other task can run?"""

from __future__ import annotations

from typing import Any

from slices import Goal, Row, Slice, Watch

ROW = Row("switch, lone task", "ns", goals=(Goal("trio", 1 / 35),))


async def on_trio(trio: Any, n: int) -> Slice:
    watch, checkpoint = Watch(), trio.lowlevel.checkpoint
    watch.start()
    for _ in range(n):
        await checkpoint()
    watch.stop()
    return watch.slice(n)


async def on_asyncio(aio: Any, n: int) -> Slice:
    watch, sleep = Watch(), aio.sleep
    watch.start()
    for _ in range(n):
        await sleep(0)
    watch.stop()
    return watch.slice(n)
