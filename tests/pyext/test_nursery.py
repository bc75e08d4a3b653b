"""Nursery and open_nursery(): children, failures, groups, closing."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import pytest
from mock_clock import run_on_mock_clock

import ctrio
from ctrio import Nursery, open_nursery
from ctrio.lowlevel import checkpoint, current_task
from ctrio.testing import trio_test, wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup


async def fail_with(error: BaseException) -> None:
    raise error


# --- children -------------------------------------------------------------------------


@trio_test
async def test_leaving_the_block_waits_for_the_children() -> None:
    events = []

    async def child(name: str, turns: int) -> None:
        for _ in range(turns):
            await checkpoint()
        events.append(name)

    async with open_nursery() as nursery:
        nursery.start_soon(child, "slow", 5)
        nursery.start_soon(child, "quick", 1)
        events.append("body")
    assert events == ["body", "quick", "slow"]


@trio_test
async def test_an_empty_nursery_lets_others_run_but_is_no_cancel_point() -> None:
    events = []

    async def other() -> None:
        events.append("other")

    async with open_nursery() as outer:
        outer.start_soon(other)
        with ctrio.CancelScope() as scope:
            scope.cancel()
            for _ in range(2):  # in the first turn this task may be the first
                async with open_nursery():
                    pass
            events.append("this task")
        assert not scope.cancelled_caught
    assert events == ["other", "this task"]


@trio_test
async def test_children_are_seen_while_they_run() -> None:
    me = current_task()
    seen = []

    async def child() -> None:
        seen.append(current_task())
        assert current_task().parent_nursery is nursery
        await ctrio.sleep_forever()

    async with open_nursery() as nursery:
        assert nursery.parent_task is me
        assert me.child_nurseries == [nursery]
        assert nursery.child_tasks == frozenset()
        for _ in range(3):
            nursery.start_soon(child)
        assert len(nursery.child_tasks) == 3
        await wait_all_tasks_blocked()
        assert nursery.child_tasks == frozenset(seen)
        async with open_nursery() as inner:
            assert me.child_nurseries == [nursery, inner]
        assert me.child_nurseries == [nursery]
        nursery.cancel_scope.cancel()
    assert nursery.child_tasks == frozenset()
    assert me.child_nurseries == []
    assert seen[0].parent_nursery is nursery


@trio_test
async def test_a_child_may_start_others_beside_itself() -> None:
    count = 0

    async def child(generations: int) -> None:
        nonlocal count
        count += 1
        for _ in range(2 if generations else 0):
            nursery.start_soon(child, generations - 1)

    async with open_nursery() as nursery:
        nursery.start_soon(child, 5)
    assert count == 2**6 - 1


@trio_test
async def test_its_scope_is_around_the_block_and_the_children() -> None:
    async with open_nursery() as nursery:
        nursery.start_soon(ctrio.sleep_forever)
        nursery.cancel_scope.cancel("enough")
        try:
            await checkpoint()
        except ctrio.Cancelled as exc:
            assert exc.reason == "enough"
            raise
    assert nursery.cancel_scope.cancelled_caught
    async with open_nursery() as nursery:
        nursery.start_soon(ctrio.sleep_forever)
        nursery.cancel_scope.cancel()
    assert nursery.cancel_scope.cancelled_caught


def test_its_scope_can_have_a_deadline() -> None:
    async def main() -> None:
        start = ctrio.current_time()
        async with open_nursery() as nursery:
            nursery.cancel_scope.deadline = start + 7
            nursery.start_soon(ctrio.sleep_forever)
        assert ctrio.current_time() == start + 7

    run_on_mock_clock(main)


# --- failures -------------------------------------------------------------------------


@trio_test
async def test_a_failing_child_cancels_the_others_and_comes_out_in_a_group() -> None:
    cancelled = []

    async def sleeper() -> None:
        try:
            await ctrio.sleep_forever()
        finally:
            cancelled.append(True)

    error = KeyError("child")
    with pytest.raises(ExceptionGroup) as caught:
        async with open_nursery() as nursery:
            nursery.start_soon(sleeper)
            nursery.start_soon(sleeper)
            await wait_all_tasks_blocked()
            nursery.start_soon(fail_with, error)
            await ctrio.sleep_forever()
    assert caught.value.exceptions == (error,)
    assert caught.value.message == "Exceptions from Trio nursery"
    assert type(caught.value) is ExceptionGroup
    assert len(cancelled) == 2


@trio_test
async def test_all_failures_come_out_in_the_order_they_happened() -> None:
    async def fail_when_cancelled(error: Exception, turns: int) -> None:
        try:
            await ctrio.sleep_forever()
        except ctrio.Cancelled:
            with ctrio.CancelScope(shield=True):
                for _ in range(turns):
                    await checkpoint()
            raise error from None

    body, late, later = KeyError("body"), OSError("late"), ValueError("later")
    with pytest.raises(ExceptionGroup) as caught:
        async with open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled, later, 5)
            nursery.start_soon(fail_when_cancelled, late, 1)
            await wait_all_tasks_blocked()
            raise body
    assert caught.value.exceptions == (body, late, later)
    # Raised inside the handler of Cancelled: that is their context.
    assert isinstance(late.__context__, ctrio.Cancelled)
    assert body.__context__ is None


@trio_test
async def test_a_base_exception_makes_a_base_group() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_nursery() as nursery:
            nursery.start_soon(fail_with, SystemExit(3))
            nursery.start_soon(fail_with, KeyError())
    assert type(caught.value) is BaseExceptionGroup


@trio_test
async def test_groups_of_nested_nurseries_nest() -> None:
    error = KeyError()
    with pytest.raises(ExceptionGroup) as caught:
        async with open_nursery() as outer:
            outer.start_soon(ctrio.sleep_forever)
            async with open_nursery() as inner:
                inner.start_soon(fail_with, error)
                inner.start_soon(ctrio.sleep_forever)
    [group] = caught.value.exceptions
    assert isinstance(group, ExceptionGroup)
    assert group.exceptions == (error,)


@trio_test
async def test_a_cancellation_from_outside_is_no_failure() -> None:
    with ctrio.CancelScope() as scope:
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            nursery.start_soon(ctrio.sleep_forever)
            scope.cancel()
    assert scope.cancelled_caught
    assert not nursery.cancel_scope.cancel_called or nursery.child_tasks == frozenset()


@trio_test
async def test_a_failure_during_a_cancellation_comes_out_alone() -> None:
    error = KeyError()

    async def fails() -> None:
        try:
            await ctrio.sleep_forever()
        finally:
            raise error

    with pytest.raises(ExceptionGroup) as caught, ctrio.CancelScope() as scope:
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            nursery.start_soon(fails)
            await wait_all_tasks_blocked()
            scope.cancel()
    # The inner group, without what was cancelled.
    [remaining] = caught.value.exceptions
    assert remaining is error
    assert scope.cancelled_caught


@trio_test
async def test_a_failure_without_a_child_is_a_group_too() -> None:
    error = KeyError("body")
    with pytest.raises(ExceptionGroup) as caught:
        async with open_nursery():
            raise error
    assert caught.value.exceptions == (error,)


@trio_test
async def test_ten_thousand_failures_make_one_group() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_nursery() as nursery:
            for number in range(10_000):
                nursery.start_soon(fail_with, KeyError(number))
    numbers = {error.args[0] for error in caught.value.exceptions}
    assert numbers == set(range(10_000))


# --- loose groups ---------------------------------------------------------------------

LOOSE = "ignore:.*strict_exception_groups=False:FutureWarning"


@trio_test
async def test_asking_for_loose_groups_is_deprecated() -> None:
    text = "open_nursery.strict_exception_groups=False"
    with pytest.warns(ctrio.TrioDeprecationWarning, match=text):
        open_nursery(strict_exception_groups=False)
    open_nursery(strict_exception_groups=True)
    open_nursery(None)

    def main() -> None:
        ctrio.run(checkpoint, strict_exception_groups=False)

    with pytest.warns(ctrio.TrioDeprecationWarning, match="strict_exception_groups"):
        await ctrio.to_thread.run_sync(main)


@pytest.mark.filterwarnings(LOOSE)
@trio_test
async def test_a_loose_nursery_lets_a_single_failure_out_bare() -> None:
    error = KeyError()
    with pytest.raises(KeyError) as caught:
        async with open_nursery(strict_exception_groups=False) as nursery:
            nursery.start_soon(fail_with, error)
            nursery.start_soon(ctrio.sleep_forever)
    assert caught.value is error
    with pytest.raises(ExceptionGroup) as both:
        async with open_nursery(strict_exception_groups=False) as nursery:
            nursery.start_soon(fail_with, error)
            nursery.start_soon(fail_with, OSError())
    [note] = both.value.__notes__
    assert note.startswith('This is a "loose" ExceptionGroup')


@pytest.mark.filterwarnings(LOOSE)
def test_a_loose_run_makes_its_nurseries_loose() -> None:
    error = KeyError()

    async def main() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(fail_with, error)

    with pytest.raises(KeyError) as caught:
        ctrio.run(main, strict_exception_groups=False)
    assert caught.value is error

    async def strict() -> None:
        async with open_nursery(strict_exception_groups=True) as nursery:
            nursery.start_soon(fail_with, error)

    with pytest.raises(ExceptionGroup):
        ctrio.run(strict, strict_exception_groups=False)


# --- closing --------------------------------------------------------------------------


@trio_test
async def test_a_closed_nursery_takes_no_children() -> None:
    async with open_nursery() as nursery:
        pass
    for start in (
        lambda: nursery.start_soon(checkpoint),
        lambda: nursery.start(checkpoint).send(None),
    ):
        with pytest.raises(RuntimeError, match="^Nursery is closed to new arrivals$"):
            start()


@trio_test
async def test_while_it_waits_for_children_it_still_takes_others() -> None:
    done = []

    async def second() -> None:
        done.append("second")

    async def first() -> None:
        await wait_all_tasks_blocked()
        nursery.start_soon(second)

    async with open_nursery() as nursery:
        nursery.start_soon(first)
    assert done == ["second"]


@trio_test
async def test_it_can_be_opened_by_hand() -> None:
    manager = open_nursery()
    nursery = await manager.__aenter__()
    nursery.start_soon(checkpoint)
    assert manager._nursery is nursery  # type: ignore[attr-defined]
    assert await manager.__aexit__(None, None, None) is True
    manager = open_nursery()
    nursery = await manager.__aenter__()
    error = KeyError()
    with pytest.raises(ExceptionGroup) as caught:
        await manager.__aexit__(KeyError, error, None)
    assert caught.value.exceptions == (error,)


@trio_test
async def test_leaving_the_outer_one_first_is_found_out() -> None:
    first, second = open_nursery(), open_nursery()
    await first.__aenter__()
    await second.__aenter__()
    with pytest.raises((AssertionError, RuntimeError)):
        await first.__aexit__(None, None, None)
    with pytest.raises((AssertionError, RuntimeError, IndexError)):
        await second.__aexit__(None, None, None)
    await checkpoint()


def test_a_task_that_ends_with_an_open_nursery_says_so() -> None:
    async def child() -> None:
        nursery = await open_nursery().__aenter__()
        nursery.start_soon(ctrio.sleep_forever)

    async def main() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(child)

    with pytest.raises(ExceptionGroup) as caught:
        ctrio.run(main)
    [error] = caught.value.exceptions
    assert "Nursery stack corrupted: Nursery surrounding <Task" in str(error)


@trio_test
async def test_a_plain_with_is_refused() -> None:
    text = r"^use 'async with open_nursery\(...\)', not 'with open_nursery\(...\)'$"
    with pytest.raises(RuntimeError, match=text):
        with open_nursery():  # type: ignore[attr-defined]
            pass


# --- the object -----------------------------------------------------------------------


@trio_test
async def test_nobody_makes_or_subclasses_one() -> None:
    with pytest.raises(TypeError, match=r"^trio.Nursery has no public constructor$"):
        Nursery()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        type("Mine", (Nursery,), {})
    assert Nursery.__module__ == "trio"


@trio_test
async def test_it_can_be_hashed_weakly_referenced_and_given_attributes() -> None:
    async with open_nursery() as nursery:
        lives = weakref.ref(nursery)
        anything: Any = nursery
        anything.note = "mine"
        assert anything.note == "mine"
        assert {nursery: 1}[nursery] == 1
    del nursery, anything
    gc.collect()
    assert lives() is None


@trio_test
async def test_an_exception_of_a_child_does_not_keep_its_frame_s_locals_alive() -> None:
    class Local:
        pass

    died = []

    async def fails() -> None:
        local = Local()
        died.append(weakref.ref(local))
        await checkpoint()
        raise KeyError

    try:
        async with open_nursery() as nursery:
            nursery.start_soon(fails)
    except ExceptionGroup as exc:
        assert died[0]() is not None
        exc.exceptions[0].__traceback__ = None
    assert died[0]() is None


@trio_test
async def test_the_manager_s_repr_says_whether_it_is_strict() -> None:
    for strict in (True, False):
        manager = open_nursery()
        if not strict:
            with pytest.warns(ctrio.TrioDeprecationWarning):
                manager = open_nursery(strict_exception_groups=False)
        assert repr(manager) == f"NurseryManager(strict_exception_groups={strict})"
