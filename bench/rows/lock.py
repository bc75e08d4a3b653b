"""What does a lock cost that nobody else wants?

asyncio's does not yield then: less than trio promises.
"""

from __future__ import annotations

from typing import Any

from slices import Goal, Row, Slice, Watch

ROW = Row(
    "lock, free, acquire and release",
    "us",
    goals=(Goal("trio", 1 / 17), Goal("asyncio", 1 / 1.3)),
)


async def measure(lock: Any, n: int) -> Slice:
    watch = Watch()
    watch.start()
    for _ in range(n):
        async with lock:
            pass
    watch.stop()
    return watch.slice(n)


async def on_trio(trio: Any, n: int) -> Slice:
    return await measure(trio.Lock(), n)


async def on_asyncio(aio: Any, n: int) -> Slice:
    return await measure(aio.Lock(), n)
