"""A debugger that is left in the middle of a task: BdbQuit goes through the run."""

import steady
import trio


async def worker():
    try:
        await trio.sleep(1)
        breakpoint()
        await trio.sleep(1)
        print("not reached")
    finally:
        print("worker ends")


async def other():
    try:
        await trio.sleep_forever()
    finally:
        print("other ends")


async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker)
        nursery.start_soon(other)


steady.run(main)
