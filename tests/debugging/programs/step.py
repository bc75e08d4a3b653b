"""Two tasks that await, loop, raise and catch, for a debugger to walk through."""

import sys

import steady
import trio


async def add(left, right):
    await trio.sleep(1)
    return left + right


async def worker(results):
    breakpoint()
    total = 0
    for number in range(2):
        total = await add(total, number)
    with trio.move_on_after(3) as scope:
        await trio.sleep_forever()
    results.append((total, scope.cancelled_caught))


async def failing():
    try:
        await trio.sleep(2)
        raise ValueError("mine")
    except ValueError as error:
        await trio.sleep(10)
        return str(error)


async def main():
    results = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker, results, name="the worker")
        nursery.start_soon(failing)
    print(results)


steady.run(main)
print("end")
sys.settrace(None)  # the interpreter's end is of no interest
