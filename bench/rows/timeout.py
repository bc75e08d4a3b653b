"""What does a timeout cost that does not expire?

A checkpoint inside `move_on_after(10)`, less the same loop without it; the two
loops alternate within a slice.
"""

from __future__ import annotations

from typing import Any

from slices import Goal, Row, Slice, Watch

ROW = Row(
    "unexpired timeout around a checkpoint",
    "us",
    goals=(Goal("trio", 1 / 30),),
)
PARTS = 4
SECONDS = 10.0


async def on_trio(trio: Any, n: int) -> Slice:
    inside, bare = Watch(), Watch()
    checkpoint, move_on_after = trio.lowlevel.checkpoint, trio.move_on_after
    for _ in range(PARTS):
        inside.start()
        for _ in range(n):
            with move_on_after(SECONDS):
                await checkpoint()
        inside.stop()
        bare.start()
        for _ in range(n):
            await checkpoint()
        bare.stop()
    return inside.slice_less(bare, n * PARTS)


async def on_asyncio(aio: Any, n: int) -> Slice:
    inside, bare = Watch(), Watch()
    sleep, timeout = aio.sleep, aio.timeout
    for _ in range(PARTS):
        inside.start()
        for _ in range(n):
            async with timeout(SECONDS):
                await sleep(0)
        inside.stop()
        bare.start()
        for _ in range(n):
            await sleep(0)
        bare.stop()
    return inside.slice_less(bare, n * PARTS)
