"""What does a round trip between two tasks cost?

Two channels without a buffer; asyncio has no such thing, so its peers get the
nearest, two queues with room for one item.
"""

from __future__ import annotations

from typing import Any

from slices import Goal, Row, Slice, Watch

ROW = Row("channel ping-pong, a round trip", "us", goals=(Goal("trio", 1 / 30),))


async def on_trio(trio: Any, n: int) -> Slice:
    watch = Watch()
    send_there, receive_there = trio.open_memory_channel(0)
    send_back, receive_back = trio.open_memory_channel(0)

    async def partner() -> None:
        receive, send = receive_there.receive, send_back.send
        for _ in range(n):
            await send(await receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partner)
        send, receive = send_there.send, receive_back.receive
        watch.start()
        for i in range(n):
            await send(i)
            await receive()
        watch.stop()
    return watch.slice(n)


async def on_asyncio(aio: Any, n: int) -> Slice:
    watch, there, back = Watch(), aio.Queue(1), aio.Queue(1)

    async def partner() -> None:
        get, put = there.get, back.put
        for _ in range(n):
            await put(await get())

    async with aio.TaskGroup() as group:
        group.create_task(partner())
        put, get = there.put, back.get
        watch.start()
        for i in range(n):
            await put(i)
            await get()
        watch.stop()
    return watch.slice(n)
