"""faulthandler: dumps in a task, on a signal, of a worker, and at a crash."""

import faulthandler
import signal
import sys

import steady
import trio


def dump():
    faulthandler.dump_traceback(all_threads=False)


async def deeper():
    await trio.sleep(1)
    dump()
    signal.raise_signal(signal.SIGUSR1)
    print("in a thread", file=sys.stderr, flush=True)
    await trio.to_thread.run_sync(dump)


async def crashes():
    await trio.sleep(5)
    signal.raise_signal(signal.SIGABRT)


async def main():
    async with trio.open_nursery() as nursery:
        await deeper()
        nursery.start_soon(crashes)


faulthandler.register(signal.SIGUSR1, all_threads=False)
faulthandler.enable(all_threads=False)
steady.run(main)
