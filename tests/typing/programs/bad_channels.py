"""Channels of one type that another is sent through."""

from __future__ import annotations

from typing import TypeAlias

import ctrio as trio
from ctrio.abc import ReceiveChannel, SendChannel

Ends: TypeAlias = tuple[trio.MemorySendChannel[str], trio.MemoryReceiveChannel[str]]


async def take_ints(channel: ReceiveChannel[int]) -> int:
    return await channel.receive()


async def give_objects(channel: SendChannel[object]) -> None:
    await channel.send(object())


async def main() -> None:
    send, receive = trio.open_memory_channel[str](1)
    await send.send(3)  # error: arg-type
    send.send_nowait(b"abc")  # error: arg-type
    number: int = await receive.receive()  # error: assignment
    number = receive.receive_nowait()  # error: assignment
    async for number in receive:  # error: assignment
        print(number)
    await take_ints(receive)  # error: arg-type
    await give_objects(send)  # error: arg-type
    await send.receive()  # error: attr-defined
    await receive.send("abc")  # error: attr-defined
    receive.clone().close(1)  # error: call-arg
    trio.open_memory_channel[int]("1")  # error: arg-type
    trio.open_memory_channel[int]()  # error: call-arg
    ends: Ends = trio.open_memory_channel[int](1)  # error: assignment
    print(ends)
