"""Checkpoints, sleeping, waiting until all is quiet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf, nan
from typing import Any

import pytest
from mock_clock import on_mock_clock

import ctrio
from ctrio import Cancelled, CancelScope, current_time, open_nursery
from ctrio.lowlevel import (
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    current_task,
)
from ctrio.testing import (
    assert_checkpoints,
    assert_no_checkpoints,
    trio_test,
    wait_all_tasks_blocked,
)

# --- checkpoints ----------------------------------------------------------------------


async def turns(point: Callable[[], Awaitable[None]]) -> list[str]:
    """Which tasks run, when two take turns through `point`."""
    order = []

    async def take_turns(name: str) -> None:
        for _ in range(5):
            order.append(name)
            await point()

    async with open_nursery() as nursery:
        nursery.start_soon(take_turns, "a")
        nursery.start_soon(take_turns, "b")
    return order


@trio_test
async def test_a_checkpoint_lets_the_others_run() -> None:
    for point in (checkpoint, cancel_shielded_checkpoint, lambda: ctrio.sleep(0)):
        order = await turns(point)
        for turn in range(0, 10, 2):
            assert set(order[turn : turn + 2]) == {"a", "b"}


@trio_test
async def test_a_check_for_cancellation_does_not() -> None:
    order = await turns(checkpoint_if_cancelled)
    assert order in (["a"] * 5 + ["b"] * 5, ["b"] * 5 + ["a"] * 5)


@trio_test
async def test_a_checkpoint_is_a_cancel_point() -> None:
    for point in (checkpoint, checkpoint_if_cancelled, lambda: ctrio.sleep(0)):
        with CancelScope() as scope:
            await point()
            scope.cancel()
            for _ in range(2):
                with pytest.raises(Cancelled):
                    await point()


@trio_test
async def test_a_shielded_one_is_none() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await cancel_shielded_checkpoint()
    assert not scope.cancelled_caught


@trio_test
async def test_a_cancellation_while_others_run_counts() -> None:
    async def canceller(scope: CancelScope) -> None:
        scope.cancel()

    async with open_nursery() as nursery:
        with CancelScope() as scope:
            nursery.start_soon(canceller, scope)
            for _ in range(3):
                await checkpoint()
        assert scope.cancelled_caught


@trio_test
async def test_they_count_as_what_they_are() -> None:
    with assert_checkpoints():
        await checkpoint()
    with assert_checkpoints():
        await ctrio.sleep(0)
    with assert_checkpoints():
        await cancel_shielded_checkpoint()
        await checkpoint_if_cancelled()
    with assert_no_checkpoints():
        pass
    task: Any = current_task()
    before = task._cancel_points, task._schedule_points
    await checkpoint_if_cancelled()
    assert (task._cancel_points, task._schedule_points) == (before[0] + 1, before[1])
    await cancel_shielded_checkpoint()
    assert (task._cancel_points, task._schedule_points) == (
        before[0] + 1,
        before[1] + 1,
    )
    with pytest.raises(AssertionError), assert_checkpoints():
        await cancel_shielded_checkpoint()


# --- sleeping -------------------------------------------------------------------------


@on_mock_clock
async def test_sleep_takes_that_long() -> None:
    start = current_time()
    for seconds in (1, 0.5, True):
        await ctrio.sleep(seconds)
    assert current_time() == start + 2.5
    await ctrio.sleep_until(start + 10)
    assert current_time() == start + 10


@on_mock_clock
async def test_sleepers_wake_in_order_of_their_deadlines() -> None:
    woken = []

    async def sleeper(seconds: float) -> None:
        await ctrio.sleep(seconds)
        woken.append(seconds)

    async with open_nursery() as nursery:
        for seconds in (5, 1, 3, 2, 4):
            nursery.start_soon(sleeper, seconds)
    assert woken == [1, 2, 3, 4, 5]


@on_mock_clock
async def test_a_time_that_has_passed_is_still_a_checkpoint() -> None:
    start = current_time()
    for when in (start, start - 1, -inf):
        with assert_checkpoints():
            await ctrio.sleep_until(when)
        with CancelScope() as scope:
            scope.cancel()
            await ctrio.sleep_until(when)
        assert scope.cancelled_caught
    assert current_time() == start


@on_mock_clock
async def test_a_sleep_can_be_cancelled() -> None:
    start = current_time()
    for sleep in (
        lambda: ctrio.sleep(10),
        lambda: ctrio.sleep(inf),
        lambda: ctrio.sleep_until(inf),
        ctrio.sleep_forever,
    ):
        with ctrio.move_on_after(1) as scope:
            await sleep()
        assert scope.cancelled_caught
    assert current_time() == start + 4


@on_mock_clock
async def test_many_sleepers_can_be_cancelled_together() -> None:
    async with open_nursery() as nursery:
        for number in range(1000):
            nursery.start_soon(ctrio.sleep, 1 + number % 7)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    await ctrio.sleep(20)
    assert ctrio.lowlevel.current_statistics().seconds_to_next_deadline == inf


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: ctrio.sleep(-1), ValueError, "^`seconds` must be non-negative$"),
        (lambda: ctrio.sleep(-inf), ValueError, "^`seconds` must be non-negative$"),
        (lambda: ctrio.sleep(nan), ValueError, "^deadline must not be NaN$"),
        (lambda: ctrio.sleep_until(nan), ValueError, "^deadline must not be NaN$"),
        (
            lambda: ctrio.sleep("1"),  # type: ignore[arg-type]
            TypeError,
            "^'<' not supported between instances of 'str' and 'int'$",
        ),
        (
            lambda: ctrio.sleep_until("1"),  # type: ignore[arg-type]
            TypeError,
            "^must be real number, not str$",
        ),
    ],
)
@trio_test
async def test_a_wrong_time_is_told_at_the_await(
    make: Callable[[], Awaitable[None]], error: type[Exception], text: str
) -> None:
    awaitable = make()
    with pytest.raises(error, match=text):
        await awaitable


# --- waiting for quiet ----------------------------------------------------------------


@trio_test
async def test_it_waits_until_nobody_can_run() -> None:
    events = []

    async def busy() -> None:
        for _ in range(20):
            await checkpoint()
        events.append("busy is done")
        await ctrio.sleep_forever()

    async with open_nursery() as nursery:
        nursery.start_soon(busy)
        await wait_all_tasks_blocked()
        events.append("all is quiet")
        nursery.cancel_scope.cancel()
    assert events == ["busy is done", "all is quiet"]


@trio_test
async def test_several_may_wait_for_it_and_are_woken_together() -> None:
    events = []

    async def waiter(name: str) -> None:
        await wait_all_tasks_blocked()
        events.append(name)
        await checkpoint()
        events.append(name)

    async with open_nursery() as nursery:
        nursery.start_soon(waiter, "a")
        nursery.start_soon(waiter, "b")
    assert sorted(events[:2]) == ["a", "b"]


@trio_test
async def test_a_shorter_cushion_wakes_first() -> None:
    events = []

    async def waiter(cushion: float) -> None:
        await wait_all_tasks_blocked(cushion)
        events.append(cushion)

    async with open_nursery() as nursery:
        nursery.start_soon(waiter, 0.002)
        nursery.start_soon(waiter, 0.0)
        nursery.start_soon(waiter, 0.001)
    assert events == [0.0, 0.001, 0.002]


@trio_test
async def test_it_can_be_cancelled() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await wait_all_tasks_blocked()
    assert scope.cancelled_caught

    async def canceller(scope: CancelScope) -> None:
        await wait_all_tasks_blocked()
        scope.cancel()

    async with open_nursery() as nursery:
        with CancelScope() as scope:
            nursery.start_soon(canceller, scope)
            await wait_all_tasks_blocked(1000)
        assert scope.cancelled_caught


@trio_test
async def test_a_checkpoint_stepped_by_hand_yields_and_never_goes_on_at_once() -> None:
    for _ in range(100):
        await checkpoint()  # The loop has just looked.
        coro = checkpoint()
        coro.send(None)
        coro.close()
