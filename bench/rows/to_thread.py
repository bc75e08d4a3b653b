"""How long does a call into a thread and back take, from the loop's side?"""

from __future__ import annotations

from typing import Any

from slices import Goal, Row, Slice, Watch

ROW = Row(
    "to_thread, a round trip (wall)",
    "us",
    (Goal("trio", 1 / 7), Goal("uvloop", 1 / 2)),
    clock="wall",
    pinned=False,
    rounds=15,
)


def nothing() -> None:
    pass


async def on_trio(trio: Any, n: int) -> Slice:
    watch, run_sync = Watch(), trio.to_thread.run_sync
    watch.start()
    for _ in range(n):
        await run_sync(nothing)
    watch.stop()
    return watch.slice(n)


async def on_asyncio(aio: Any, n: int) -> Slice:
    watch, run_in_executor = Watch(), aio.get_running_loop().run_in_executor
    watch.start()
    for _ in range(n):
        await run_in_executor(None, nothing)
    watch.stop()
    return watch.slice(n)
