"""What Python says of coroutines that are lost, and of generators left open."""

import gc
import sys
import warnings

import steady
import trio


async def lost():
    await trio.lowlevel.checkpoint()


async def generator():
    try:
        yield 1
        await trio.sleep(1)
    finally:
        print("generator closed")


async def forgetful():
    lost()
    gc.collect()
    coro = lost()
    try:
        trio.lowlevel.spawn_system_task(coro)
    except TypeError as error:
        print("TypeError", error)
    coro.close()
    async for value in generator():
        print(value)
        break


async def main():
    sys.set_coroutine_origin_tracking_depth(5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(forgetful)


warnings.simplefilter("always")
steady.run(main)
try:
    trio.run(main())
except TypeError as error:
    print(error)
