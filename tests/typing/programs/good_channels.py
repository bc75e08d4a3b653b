"""Memory channels and what travels through them."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Sequence

from typing_extensions import assert_type

import ctrio as trio
from ctrio.abc import Channel, ReceiveChannel, SendChannel


async def produce(channel: trio.MemorySendChannel[int], count: int) -> None:
    async with channel:
        for number in range(count):
            await channel.send(number)


async def consume(channel: trio.MemoryReceiveChannel[int], into: list[int]) -> None:
    async with channel:
        async for number in channel:
            assert_type(number, int)
            into.append(number)


# A channel of ints does where one is received of that gives objects, and one of objects
# where one is sent to that takes ints.
async def take_any(channel: ReceiveChannel[object]) -> object:
    return await channel.receive()


async def give_bool(channel: SendChannel[bool]) -> None:
    await channel.send(True)


class Wrapped(ReceiveChannel[str]):
    """A channel of the program's own."""

    def __init__(self, inner: ReceiveChannel[int]) -> None:
        self._inner = inner

    async def receive(self) -> str:
        return str(await self._inner.receive())

    async def aclose(self) -> None:
        await self._inner.aclose()


class Both(Channel[int]):
    """Both ends in one."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[int](1)

    async def send(self, value: int) -> None:
        await self._send.send(value)

    async def receive(self) -> int:
        return await self._receive.receive()

    async def aclose(self) -> None:
        await self._send.aclose()
        await self._receive.aclose()


@trio.as_safe_channel
async def count_to(number: int) -> AsyncGenerator[int, None]:
    for value in range(number):
        yield value


async def ends() -> None:
    send, receive = trio.open_memory_channel[Sequence[int]](math.inf)
    assert_type(send, trio.MemorySendChannel[Sequence[int]])
    assert_type(receive, trio.MemoryReceiveChannel[Sequence[int]])
    with send.clone() as another, receive.clone():
        another.send_nowait([1, 2])
        assert_type(receive.receive_nowait(), Sequence[int])
    statistics = send.statistics()
    assert_type(statistics, trio.MemoryChannelStatistics)
    assert statistics.open_send_channels == 1
    send.close()
    try:
        await receive.receive()
    except (trio.EndOfChannel, trio.ClosedResourceError, trio.BrokenResourceError):
        pass
    receive.close()


async def main() -> int:
    into: list[int] = []
    send, receive = trio.open_memory_channel[int](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce, send, 5)
        nursery.start_soon(consume, receive, into)
    both = Both()
    async with both, Wrapped(both) as wrapped:
        await give_bool(both)
        assert_type(await wrapped.receive(), str)
        await both.send(3)
        assert await take_any(both) == 3
    async with count_to(3) as channel:
        assert_type(channel, ReceiveChannel[int])
        async for value in channel:
            into.append(value)
    await ends()
    return sum(into)


assert_type(trio.run(main), int)
