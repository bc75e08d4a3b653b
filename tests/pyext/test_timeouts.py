"""move_on_at, move_on_after, fail_at, fail_after."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from fractions import Fraction
from math import inf, nan
from typing import Any

import pytest
from mock_clock import on_mock_clock

import ctrio
from ctrio import (
    CancelScope,
    TooSlowError,
    current_time,
    fail_after,
    fail_at,
    move_on_after,
    move_on_at,
    sleep,
)
from ctrio.lowlevel import checkpoint
from ctrio.testing import MockClock, trio_test, wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


def at(make: Any, seconds: float, **kwargs: Any) -> Any:
    """`make` for a time limit so many seconds from now."""
    if make in (move_on_at, fail_at):
        return make(current_time() + seconds, **kwargs)
    return make(seconds, **kwargs)


@on_mock_clock
async def test_move_on_leaves_the_block_in_silence() -> None:
    for make in (move_on_at, move_on_after):
        start = current_time()
        with at(make, 2) as scope:
            await sleep(10)
            raise AssertionError
        assert current_time() == start + 2
        assert scope.cancelled_caught
        with at(make, 2) as scope:
            await sleep(1)
        assert not scope.cancelled_caught
        assert isinstance(scope, CancelScope)


@on_mock_clock
async def test_fail_complains() -> None:
    for make in (fail_at, fail_after):
        start = current_time()
        with pytest.raises(TooSlowError) as caught, at(make, 2) as scope:
            await sleep(10)
        assert current_time() == start + 2
        assert scope.cancelled_caught
        assert isinstance(scope, CancelScope)
        assert isinstance(caught.value.__context__, ctrio.Cancelled)
        assert caught.value.__cause__ is None
        with at(make, 2) as scope:
            await sleep(1)
        assert not scope.cancelled_caught


@on_mock_clock
async def test_a_cancellation_by_hand_fails_too() -> None:
    with pytest.raises(TooSlowError), fail_after(5) as scope:
        scope.cancel()
        await checkpoint()
    with fail_after(5) as scope:
        scope.cancel()


@on_mock_clock
async def test_the_time_counts_from_the_entry() -> None:
    for make in (move_on_after, fail_after):
        manager = make(3)
        await sleep(10)
        start = current_time()
        with manager as scope:
            assert scope.deadline == start + 3


@on_mock_clock
async def test_other_exceptions_pass() -> None:
    for make in (move_on_at, move_on_after, fail_at, fail_after):
        error = KeyError()
        with pytest.raises(KeyError) as caught, at(make, 1):
            raise error
        assert caught.value is error
        assert error.__context__ is None


@on_mock_clock
async def test_an_outer_cancellation_is_not_too_slow() -> None:
    with CancelScope() as outer:
        outer.cancel()
        with fail_after(1):
            await checkpoint()
    assert outer.cancelled_caught


@on_mock_clock
async def test_of_a_group_fail_keeps_what_is_not_cancelled() -> None:
    with pytest.raises(BaseExceptionGroup) as caught, fail_after(0):
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            raise KeyError
    assert not isinstance(caught.value, TooSlowError)
    assert caught.group_contains(KeyError)


@on_mock_clock
async def test_the_shield_can_be_asked_for() -> None:
    for make in (move_on_at, move_on_after, fail_at, fail_after):
        with CancelScope() as outer:
            outer.cancel()
            with at(make, 5, shield=True) as scope:
                assert scope.shield is True
                await sleep(1)
            with at(make, 5) as scope:
                assert scope.shield is False
        assert not outer.cancelled_caught


@on_mock_clock
async def test_no_time_at_all_is_a_cancellation_at_the_first_checkpoint() -> None:
    for make in (move_on_at, move_on_after):
        with at(make, 0) as scope:
            assert scope.cancel_called
            await checkpoint()
        assert scope.cancelled_caught
    with move_on_at(-inf) as scope:
        await checkpoint()
    assert scope.cancelled_caught
    for make in (move_on_at, move_on_after):
        with make(inf) as scope:
            await sleep(1000)
        assert not scope.cancelled_caught


@on_mock_clock
async def test_any_number_will_do() -> None:
    for number in (2, 2.0, True, Fraction(1, 2)):
        with move_on_after(number) as scope:  # type: ignore[arg-type]
            assert scope.deadline == current_time() + float(number)
        with move_on_at(number) as scope:  # type: ignore[arg-type]
            assert scope.deadline == float(number)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: move_on_at(nan), "^deadline must not be NaN$"),
        (lambda: fail_at(nan), "^deadline must not be NaN$"),
        (lambda: move_on_after(nan), "^`seconds` must not be NaN$"),
        (lambda: fail_after(nan), "^`seconds` must not be NaN$"),
        (lambda: move_on_after(-1), "^`seconds` must be non-negative$"),
        (lambda: fail_after(-1), "^`seconds` must be non-negative$"),
        (lambda: move_on_after(-inf), "^`seconds` must be non-negative$"),
    ],
)
@trio_test
async def test_no_number_and_no_time_before_now(
    make: Callable[[], AbstractContextManager[object]], text: str
) -> None:
    with pytest.raises(ValueError, match=text), make():
        raise AssertionError


@trio_test
async def test_the_limit_of_fail_is_entered_once() -> None:
    manager = fail_after(5)
    with manager:
        pass
    with pytest.raises((RuntimeError, AttributeError)), manager:
        pass


def test_outside_of_a_run_they_can_be_made_but_not_entered() -> None:
    for make in (move_on_at, move_on_after, fail_at, fail_after):
        manager: Any = make(5)
        with pytest.raises(RuntimeError, match="must be called from async context"):
            manager.__enter__()


@on_mock_clock
async def test_they_nest() -> None:
    start = current_time()
    with pytest.raises(TooSlowError), fail_after(2):
        with move_on_after(5):
            with fail_after(8):
                await ctrio.sleep_forever()
    assert current_time() == start + 2
    with move_on_after(5) as outer, move_on_after(2) as inner:
        await ctrio.sleep_forever()
    assert inner.cancelled_caught
    assert not outer.cancelled_caught


@on_mock_clock
async def test_a_generator_may_use_one_as_its_context_manager() -> None:
    from contextlib import contextmanager

    @contextmanager
    def limited() -> Any:
        with fail_after(1) as scope:
            yield scope

    with pytest.raises(TooSlowError), limited():
        await ctrio.sleep_forever()


# --- deadlines that have passed before the loop has seen it -------------------------


def test_a_change_of_the_shield_looks_at_the_deadline() -> None:
    clock = MockClock()

    async def main() -> None:
        with CancelScope(deadline=1) as scope:
            clock.jump(1)
            scope.shield = True
            scope.deadline = 5
            assert scope.cancel_called

    ctrio.run(main, clock=clock)


def test_a_cancellation_that_meets_a_passed_deadline_leaves_it_the_reason() -> None:
    clock = MockClock()

    async def main() -> None:
        with CancelScope() as outer, CancelScope(deadline=1):
            clock.jump(1)
            outer.cancel(reason="explicit")
            with pytest.raises(ctrio.Cancelled) as caught:
                await checkpoint()
            assert caught.value.source == "deadline"

    ctrio.run(main, clock=clock)


def test_a_sleep_that_is_over_is_cancelled_by_its_deadline() -> None:
    clock = MockClock()

    async def main() -> None:

        async def sleeper() -> None:
            with pytest.raises(ctrio.Cancelled) as caught:
                await sleep(1)
            assert caught.value.source == "deadline"

        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(sleeper)
            await wait_all_tasks_blocked()
            clock.jump(1)
            nursery.cancel_scope.cancel(reason="explicit")

    ctrio.run(main, clock=clock)


def test_a_sleep_that_is_not_over_is_cancelled_by_who_cancels() -> None:
    async def main() -> None:
        with CancelScope() as outer:
            outer.cancel(reason="explicit")
            with pytest.raises(ctrio.Cancelled) as caught:
                await sleep(1)
            assert caught.value.source == "explicit"

    ctrio.run(main, clock=MockClock())
