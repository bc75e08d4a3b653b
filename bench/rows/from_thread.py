"""How long does a thread wait for a coroutine that it asks the loop to run?"""

from __future__ import annotations

from typing import Any

from slices import Goal, Row, Slice, Watch

ROW = Row(
    "from_thread, a round trip (wall)",
    "us",
    (Goal("trio", 1 / 5), Goal("uvloop", 1 / 2)),
    clock="wall",
    pinned=False,
    rounds=15,
)


async def nothing() -> None:
    pass


async def on_trio(trio: Any, n: int) -> Slice:
    watch = Watch()

    def in_thread() -> None:
        run = trio.from_thread.run
        watch.start()
        for _ in range(n):
            run(nothing)
        watch.stop()

    await trio.to_thread.run_sync(in_thread)
    return watch.slice(n)


async def on_asyncio(aio: Any, n: int) -> Slice:
    watch, loop = Watch(), aio.get_running_loop()

    def in_thread() -> None:
        submit = aio.run_coroutine_threadsafe
        watch.start()
        for _ in range(n):
            submit(nothing(), loop).result()
        watch.stop()

    await loop.run_in_executor(None, in_thread)
    return watch.slice(n)
