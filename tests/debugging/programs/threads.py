"""breakpoint() in a worker thread, and in a task that the thread calls back."""

import threading

import steady
import trio


async def called_back(number):
    await trio.lowlevel.checkpoint()
    breakpoint()
    return number + 1


def in_worker(number):
    same = threading.current_thread() is threading.main_thread()
    breakpoint()
    found = trio.from_thread.run(called_back, number)
    return same, found, trio.from_thread.run_sync(len, "four")


async def main():
    print(await trio.to_thread.run_sync(in_worker, 5))


steady.run(main)
