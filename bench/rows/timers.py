"""What does a sleep cost among a hundred thousand sleepers, start to join?

Sleeps of up to two seconds from a fixed seed; only CPU time counts.
"""

from __future__ import annotations

import random
from typing import Any

from slices import Goal, Row, Slice, Watch

ROW = Row(
    "timers, 100k sleepers, a sleep",
    "us",
    goals=(Goal("trio", 1 / 13), Goal("uvloop", 1 / 4)),
    rounds=3,
    size=100_000,
    quick_size=20_000,
)
LONGEST_SECONDS = 2.0


def delays(n: int) -> list[float]:
    rng = random.Random(20_261_122)
    return [rng.random() * LONGEST_SECONDS for _ in range(n)]


async def on_trio(trio: Any, n: int) -> Slice:
    watch, seconds, sleep = Watch(), delays(n), trio.sleep

    async def nap(delay: float) -> None:
        await sleep(delay)

    watch.start()
    async with trio.open_nursery() as nursery:
        for delay in seconds:
            nursery.start_soon(nap, delay)
    watch.stop()
    return watch.slice(n)


async def on_asyncio(aio: Any, n: int) -> Slice:
    watch, seconds, sleep = Watch(), delays(n), aio.sleep

    async def nap(delay: float) -> None:
        await sleep(delay)

    watch.start()
    async with aio.TaskGroup() as group:
        for delay in seconds:
            group.create_task(nap(delay))
    watch.stop()
    return watch.slice(n)
