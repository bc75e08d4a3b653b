"""A lock, channels, an async generator and a context manager, to be stepped through."""

import contextlib
import sys

import steady
import trio


@contextlib.asynccontextmanager
async def opened(channel):
    async with channel:
        await trio.lowlevel.checkpoint()
        yield channel
    await trio.sleep(0.5)


async def numbers(count):
    for number in range(count):
        await trio.sleep(0.1)
        yield number


async def producer(channel, lock):
    async with opened(channel) as target:
        async for number in numbers(2):
            async with lock:
                await target.send(number)


async def consumer(channel, lock):
    breakpoint()
    total = 0
    async for number in channel:
        async with lock:
            total += number
    print("total", total)


async def main():
    lock = trio.Lock()
    sending, receiving = trio.open_memory_channel(0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(producer, sending, lock)
        nursery.start_soon(consumer, receiving, lock)
    print("done")


steady.run(main)
sys.settrace(None)  # the interpreter's end is of no interest
