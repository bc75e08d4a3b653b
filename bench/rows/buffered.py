"""What does an item cost through a buffered channel, one task to another?

An asyncio queue with room does not yield at all: less than a checkpoint each.
"""

from __future__ import annotations

from typing import Any

from slices import Goal, Row, Slice, Watch

ROW = Row(
    "channel with a buffer of 100, an item",
    "us",
    goals=(Goal("trio", 1 / 25), Goal("uvloop", 1 / 2.7)),
)
BUFFER = 100


async def on_trio(trio: Any, n: int) -> Slice:
    watch = Watch()
    send_end, receive_end = trio.open_memory_channel(BUFFER)

    async def consume() -> None:
        receive = receive_end.receive
        for _ in range(n):
            await receive()
        watch.stop()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        send = send_end.send
        watch.start()
        for i in range(n):
            await send(i)
    return watch.slice(n)


async def on_asyncio(aio: Any, n: int) -> Slice:
    watch, queue = Watch(), aio.Queue(BUFFER)

    async def consume() -> None:
        get = queue.get
        for _ in range(n):
            await get()
        watch.stop()

    async with aio.TaskGroup() as group:
        group.create_task(consume())
        put = queue.put
        watch.start()
        for i in range(n):
            await put(i)
    return watch.slice(n)
