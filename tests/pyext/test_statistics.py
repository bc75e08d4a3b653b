"""What the `statistics()` methods return."""

from __future__ import annotations

from math import inf

import attrs
import pytest

import ctrio
from ctrio.testing import trio_test, wait_all_tasks_blocked


@trio_test
async def test_each_has_its_own() -> None:
    lock = ctrio.Lock()
    limiter = ctrio.CapacityLimiter(3)
    send, receive = ctrio.open_memory_channel[int](2)
    send.send_nowait(1)
    limiter.acquire_on_behalf_of_nowait("somebody")
    lot = ctrio.lowlevel.ParkingLotStatistics(tasks_waiting=0)
    unlocked = ctrio.LockStatistics(locked=False, owner=None, tasks_waiting=0)
    assert ctrio.Event().statistics() == ctrio.EventStatistics(tasks_waiting=0)
    assert ctrio.Semaphore(1).statistics() == lot
    assert ctrio.lowlevel.ParkingLot().statistics() == lot
    assert lock.statistics() == unlocked
    assert ctrio.StrictFIFOLock().statistics() == unlocked
    assert ctrio.Condition(lock).statistics() == ctrio.ConditionStatistics(0, unlocked)
    assert limiter.statistics() == ctrio.CapacityLimiterStatistics(
        borrowed_tokens=1, total_tokens=3, borrowers=["somebody"], tasks_waiting=0
    )
    channel = send.statistics()
    assert channel == receive.statistics()
    assert attrs.asdict(channel) == {
        "current_buffer_used": 1,
        "max_buffer_size": 2,
        "open_send_channels": 1,
        "open_receive_channels": 1,
        "tasks_waiting_send": 0,
        "tasks_waiting_receive": 0,
        "peak_buffer_used": 1,
    }


@trio_test
async def test_they_are_frozen_and_can_be_evolved() -> None:
    statistics = ctrio.Event().statistics()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        statistics.tasks_waiting = 3  # type: ignore[misc]
    assert repr(attrs.evolve(statistics, tasks_waiting=3)) == (
        "EventStatistics(tasks_waiting=3)"
    )


@trio_test
async def test_waiting_tasks_are_counted() -> None:
    event, lock = ctrio.Event(), ctrio.Lock()
    async with ctrio.open_nursery() as nursery:
        await lock.acquire()
        for _ in range(3):
            nursery.start_soon(event.wait)
        nursery.start_soon(lock.acquire)
        await wait_all_tasks_blocked()
        assert event.statistics().tasks_waiting == 3
        statistics = lock.statistics()
        assert (statistics.locked, statistics.tasks_waiting) == (True, 1)
        assert statistics.owner is ctrio.lowlevel.current_task()
        nursery.cancel_scope.cancel()


@trio_test
async def test_a_run_has_statistics() -> None:
    before = ctrio.lowlevel.current_statistics()
    assert type(before) is ctrio.lowlevel.RunStatistics
    assert before.seconds_to_next_deadline == inf
    assert before.io_statistics.backend == "epoll"
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(ctrio.sleep, 1000)
        ctrio.lowlevel.current_trio_token().run_sync_soon(int)
        ctrio.lowlevel.current_trio_token().run_sync_soon(int, idempotent=True)
        during = ctrio.lowlevel.current_statistics()
        assert during.tasks_living == before.tasks_living + 1
        assert during.tasks_runnable == before.tasks_runnable + 1
        assert during.run_sync_soon_queue_size == 2
        await wait_all_tasks_blocked()
        waiting = ctrio.lowlevel.current_statistics()
        assert 0 < waiting.seconds_to_next_deadline <= 1000
        assert waiting.run_sync_soon_queue_size == 0
        nursery.cancel_scope.cancel()
