"""What is profiled, traced, covered and monitored: some of everything."""

import steady
import trio


def pure(number):
    if number > 1:
        return number * 2
    return number


async def twice(number):
    await trio.sleep(0.1)
    return pure(number)


async def fails(number):
    await trio.sleep(0.35)
    if number == 1:
        raise KeyError(number)
    raise AssertionError


async def counted(count):
    for number in range(count):
        await trio.lowlevel.checkpoint()
        yield number


async def worker(limiter, results):
    async with limiter:
        async for number in counted(3):
            results.append(await twice(number))


async def forever(results):
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        results.append("cancelled")
        raise
    else:
        raise AssertionError


async def from_a_thread(results):
    number = await trio.to_thread.run_sync(pure, 3)
    results.append(await trio.to_thread.run_sync(trio.from_thread.run, twice, number))


async def tasks():
    results = []
    limiter = trio.CapacityLimiter(1)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker, limiter, results)
            nursery.start_soon(worker, limiter, results)
            nursery.start_soon(forever, results)
            await trio.sleep(1)
            nursery.start_soon(fails, 1)
    except Exception as group:
        results.append(len(group.exceptions))
    return results


async def main():
    results = await tasks()
    await from_a_thread(results)
    return results


if __name__ == "__main__":
    print(steady.run(main))
