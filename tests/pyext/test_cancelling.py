"""Corners of cancelling: who is reached, when, and how often."""

from __future__ import annotations

from typing import Any

import pytest
from mock_clock import run_on_mock_clock

import ctrio
from ctrio import Cancelled, CancelScope, open_nursery
from ctrio.lowlevel import Abort, checkpoint, current_task, wait_task_rescheduled
from ctrio.testing import trio_test, wait_all_tasks_blocked


@trio_test
async def test_a_task_born_cancelled_runs_to_its_first_checkpoint() -> None:
    events = []

    async def child() -> None:
        events.append("born")
        try:
            await checkpoint()
        except Cancelled:
            events.append("cancelled")
            raise

    async with open_nursery() as nursery:
        nursery.cancel_scope.cancel()
        nursery.start_soon(child)
        nursery.start_soon(child)
    assert sorted(events) == ["born", "born", "cancelled", "cancelled"]
    assert nursery.cancel_scope.cancelled_caught


@trio_test
async def test_a_shield_may_fall_while_the_cancellation_travels_past_it() -> None:
    async def lowers() -> None:
        try:
            await ctrio.sleep_forever()
        finally:
            inner.shield = False

    with CancelScope() as outer, CancelScope(shield=True) as inner:
        async with open_nursery() as innermost:
            innermost.start_soon(lowers)
            await wait_all_tasks_blocked()
            outer.cancel()
            innermost.cancel_scope.cancel()
        raise AssertionError("it is the outer one's by now")
    assert outer.cancelled_caught
    assert not inner.cancelled_caught


@trio_test
async def test_abort_functions_of_a_cancelled_tree_may_cancel_the_rest_of_it() -> None:
    aborted = []

    async def child(number: int) -> None:
        def abort_fn(raise_cancel: object) -> Abort:
            aborted.append(number)
            scopes[(number + 1) % 3].cancel()
            return Abort.SUCCEEDED

        with CancelScope() as scope:
            scopes[number] = scope
            await wait_task_rescheduled(abort_fn)

    scopes: dict[int, CancelScope] = {}
    async with open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(child, number)
        await wait_all_tasks_blocked()
        scopes[1].cancel()
    assert sorted(aborted) == [0, 1, 2]


@trio_test
async def test_what_failed_to_abort_is_asked_again_at_its_next_wait() -> None:
    asked = []

    def fail(raise_cancel: object) -> Abort:
        asked.append("first")
        return Abort.FAILED

    def succeed(raise_cancel: object) -> Abort:
        asked.append("second")
        return Abort.SUCCEEDED

    async def child() -> None:
        tasks.append(current_task())
        await wait_task_rescheduled(fail)
        with pytest.raises(Cancelled):
            await wait_task_rescheduled(succeed)

    tasks: list[Any] = []
    async with open_nursery() as nursery:
        nursery.start_soon(child)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
        with CancelScope(shield=True):
            await wait_all_tasks_blocked()
            assert asked == ["first"]
            ctrio.lowlevel.reschedule(tasks[0])
            await wait_all_tasks_blocked()
    assert asked == ["first", "second"]


@trio_test
async def test_started_may_move_a_task_whose_abort_cancels_where_it_came_from() -> None:
    """Moving under a cancelled nursery delivers, in the middle of the move."""
    events: list[object] = []

    async def child(task_status: Any) -> None:
        mine = current_task().parent_nursery
        assert mine is not None

        async def waits() -> None:
            def abort_fn(raise_cancel: object) -> Abort:
                mine.cancel_scope.cancel()
                events.append("aborted")
                return Abort.SUCCEEDED

            await wait_task_rescheduled(abort_fn)

        async with open_nursery() as inner:
            inner.start_soon(waits)
            await wait_all_tasks_blocked()
            task_status.started("value")
            events.append("started")

    async with open_nursery() as nursery:
        nursery.cancel_scope.cancel()
        with CancelScope(shield=True):
            events.append(await nursery.start(child))
    assert events == ["aborted", "started", "value"]


def test_a_deadline_that_is_just_now_has_passed() -> None:
    async def main() -> None:
        with CancelScope(deadline=ctrio.current_time()) as scope:
            await checkpoint()
        assert scope.cancelled_caught
        with CancelScope(deadline=ctrio.current_time() + 3) as later:
            await ctrio.sleep_until(later.deadline - 1)
            assert not later.cancel_called
            await ctrio.sleep(1)
        assert later.cancel_called

    run_on_mock_clock(main)


@trio_test
async def test_cancelled_is_caught_only_if_it_has_arrived() -> None:
    with CancelScope() as scope:
        scope.cancel()
        with pytest.raises(Cancelled):
            await checkpoint()
    assert scope.cancel_called
    assert not scope.cancelled_caught
