"""A run that is the same each time: a mock clock, and an order of batches by a seed."""

import trio
import trio.testing
from trio._core import _run


async def warm_up():
    trio.lowlevel.current_statistics()
    await trio.sleep(1)


def run(main, *args):
    _run._ALLOW_DETERMINISTIC_SCHEDULING = True
    _run._r.seed(7)
    return trio.run(main, *args, clock=trio.testing.MockClock(autojump_threshold=0))


# What is imported when it is first needed is no part of what a debugger steps through.
run(warm_up)
