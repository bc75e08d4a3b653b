"""Tracebacks as they are printed: by traceback, by logging, and by the interpreter."""

import logging
import sys
import traceback

import group
import steady
import trio


async def deep(depth):
    if depth == 0:
        await trio.lowlevel.checkpoint()
        return 1 / 0
    return 1 + await deep(depth - 1)


async def starts_and_fails(task_status):
    await trio.sleep(1)
    raise LookupError("before started()")


async def failing_start():
    async with trio.open_nursery() as nursery:
        await nursery.start(starts_and_fails)


async def broken_channel():
    sending, receiving = trio.open_memory_channel(0)
    receiving.close()
    await sending.send(1)


async def in_a_thread():
    await trio.to_thread.run_sync(lambda: trio.from_thread.run(deep, 1))


logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
for attempt in (failing_start, broken_channel, in_a_thread, group.main):
    try:
        steady.run(attempt)
    except BaseException as failure:
        print("---", attempt.__name__, type(failure).__name__)
        traceback.print_exception(type(failure), failure, failure.__traceback__)
        logging.exception("%s failed", attempt.__name__)
sys.stdout.flush()
steady.run(deep, 3)
