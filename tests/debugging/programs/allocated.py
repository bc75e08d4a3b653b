"""tracemalloc: where in our code what is kept was allocated, and by whom called."""

import tracemalloc

import steady
import trio

KEPT = []


def keep(size):
    KEPT.append(bytearray(size))


async def keeps(count):
    for number in range(count):
        await trio.sleep(1)
        keep(100_000 + number)


async def parent():
    await keeps(2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeps, 3)
        nursery.start_soon(trio.to_thread.run_sync, keep, 200_000)


async def main():
    await parent()
    snapshot = tracemalloc.take_snapshot()
    large = [trace for trace in snapshot.traces if trace.size > 50_000]
    ours = ([f for f in trace.traceback if f.filename == __file__] for trace in large)
    for lines in sorted([frame.lineno for frame in frames] for frames in ours):
        print(lines)
    task = trio.lowlevel.current_task()
    print(task.name, tracemalloc.get_object_traceback(KEPT[0])[-1].lineno)


tracemalloc.start(50)
steady.run(main)
