"""Locks and their like."""

from __future__ import annotations

import math

from typing_extensions import assert_type

import ctrio as trio


async def locks(lock: trio.Lock | trio.StrictFIFOLock) -> None:
    async with lock as held:
        assert_type(held, None)
        assert lock.locked()
        assert_type(lock.statistics().owner, "trio.lowlevel.Task | None")
    await lock.acquire()
    lock.release()
    try:
        lock.acquire_nowait()
    except trio.WouldBlock:
        pass


async def main() -> None:
    await locks(trio.Lock())
    await locks(trio.StrictFIFOLock())

    event = trio.Event()
    event.set()
    await event.wait()
    assert_type(event.is_set(), bool)
    assert_type(event.statistics(), trio.EventStatistics)

    limiter = trio.CapacityLimiter(math.inf)
    limiter.total_tokens = 3
    async with limiter:
        assert_type(limiter.available_tokens, "int | float")
    await limiter.acquire_on_behalf_of("somebody")
    limiter.release_on_behalf_of("somebody")
    assert_type(limiter.statistics(), trio.CapacityLimiterStatistics)

    semaphore = trio.Semaphore(1, max_value=2)
    async with semaphore:
        assert_type(semaphore.value, int)
    assert_type(semaphore.max_value, "int | None")
    assert_type(semaphore.statistics(), trio.lowlevel.ParkingLotStatistics)

    condition = trio.Condition(trio.Lock())
    async with condition:
        condition.notify(2)
        condition.notify_all()
    assert_type(condition.statistics().lock_statistics, trio.LockStatistics)


trio.run(main)
