"""What does an event cost, made, set and waited for?

asyncio's wait does not yield then: less than trio promises.
"""

from __future__ import annotations

from typing import Any

from slices import Goal, Row, Slice, Watch

ROW = Row(
    "event, set and wait",
    "us",
    goals=(Goal("trio", 1 / 25), Goal("asyncio", 1 / 1.3)),
)


async def measure(make_event: Any, n: int) -> Slice:
    watch = Watch()
    watch.start()
    for _ in range(n):
        event = make_event()
        event.set()
        await event.wait()
    watch.stop()
    return watch.slice(n)


async def on_trio(trio: Any, n: int) -> Slice:
    return await measure(trio.Event, n)


async def on_asyncio(aio: Any, n: int) -> Slice:
    return await measure(aio.Event, n)
