"""What is not awaited, or cannot be."""

from __future__ import annotations

import ctrio as trio


async def main(lock: trio.Lock, event: trio.Event) -> None:
    trio.sleep(1)  # error: unused-coroutine
    trio.lowlevel.checkpoint()  # error: unused-coroutine
    lock.acquire()  # error: unused-coroutine
    event.wait()  # error: unused-coroutine
    trio.to_thread.run_sync(print)  # error: unused-coroutine
    await event.set()  # error: func-returns-value, misc
    await lock.release()  # error: func-returns-value, misc
    with lock:  # error: attr-defined
        pass
    with trio.open_nursery():  # error: attr-defined
        pass
    async with trio.CancelScope():  # error: attr-defined
        pass
    async with trio.move_on_after(1):  # error: attr-defined
        pass
    await trio.from_thread.run(trio.sleep, 1)  # error: misc
    length: int = trio.to_thread.run_sync(len, "abc")  # error: assignment
    print(length)
