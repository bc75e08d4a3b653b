"""Tests of Trio programs."""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import assert_type

import ctrio as trio
from ctrio import testing


@testing.trio_test
async def test_that_takes_ten_seconds(clock: testing.MockClock, times: int) -> float:
    await trio.sleep(10 * times)
    clock.jump(1)
    return trio.current_time()


@testing.trio_test
async def test_of_order() -> list[int]:
    order: list[int] = []
    sequencer = testing.Sequencer()

    async def second() -> None:
        async with sequencer(1):
            order.append(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(second)
        async with sequencer(0):
            order.append(0)
    with testing.assert_checkpoints():
        await trio.lowlevel.checkpoint()
    with testing.assert_no_checkpoints():
        assert_type(testing.active_thread_count(), int)
    await testing.wait_all_tasks_blocked(0.0)
    await testing.wait_all_threads_completed()
    return order


@testing.trio_test
async def test_of_a_stream() -> None:
    async def maker() -> tuple[testing.MemorySendStream, testing.MemoryReceiveStream]:
        return testing.memory_stream_one_way_pair()

    await testing.check_one_way_stream(maker, None)


test: Callable[..., float] = test_that_takes_ten_seconds
clock = testing.MockClock(rate=0.0, autojump_threshold=0)
assert_type(test_that_takes_ten_seconds(clock=clock, times=2), float)
assert_type(test_of_order(), list[int])
test_of_a_stream()
