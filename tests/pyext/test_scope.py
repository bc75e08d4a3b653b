"""CancelScope: entering, cancelling, deadlines, shields, exits out of order."""

from __future__ import annotations

import gc
import re
import sys
import weakref
from math import inf
from typing import Any

import pytest
from mock_clock import on_mock_clock

import ctrio
from ctrio import Cancelled, CancelScope, current_effective_deadline, current_time
from ctrio.lowlevel import checkpoint, checkpoint_if_cancelled, current_task
from ctrio.testing import trio_test, wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup


# --- entering and leaving -----------------------------------------------------------


@trio_test
async def test_a_scope_that_nobody_cancels_changes_nothing() -> None:
    with CancelScope() as scope:
        await checkpoint()
    assert not scope.cancel_called
    assert not scope.cancelled_caught
    with pytest.raises(KeyError), CancelScope():
        raise KeyError


@trio_test
async def test_a_scope_swallows_its_own_cancellation() -> None:
    reached = []
    with CancelScope() as scope:
        scope.cancel()
        reached.append("after cancel()")
        await checkpoint()
        reached.append("never")
    assert reached == ["after cancel()"]
    assert scope.cancel_called
    assert scope.cancelled_caught


@trio_test
async def test_a_block_that_meets_no_checkpoint_catches_nothing() -> None:
    with CancelScope() as scope:
        scope.cancel()
    assert scope.cancel_called
    assert not scope.cancelled_caught


@trio_test
async def test_every_checkpoint_inside_raises() -> None:
    count = 0
    with CancelScope() as scope:
        scope.cancel()
        for _ in range(3):
            with pytest.raises(Cancelled):
                await ctrio.sleep_forever()
            count += 1
        try:
            await checkpoint()
        finally:
            with pytest.raises(Cancelled):
                await checkpoint_if_cancelled()
    assert count == 3
    assert scope.cancelled_caught


@trio_test
async def test_one_cancelled_before_it_is_entered_is_cancelled_from_the_start() -> None:
    scope = CancelScope()
    scope.cancel()
    with scope:
        await checkpoint()
        raise AssertionError
    assert scope.cancelled_caught


@trio_test
async def test_a_scope_can_be_used_once() -> None:
    text = "^Each CancelScope may only be used for a single 'with' block$"
    scope = CancelScope()
    with scope:
        with pytest.raises(RuntimeError, match=text), scope:
            pass
    with pytest.raises(RuntimeError, match=text), scope:
        pass


@trio_test
async def test_another_task_may_cancel_it() -> None:
    async def child(scope: CancelScope) -> None:
        await wait_all_tasks_blocked()
        scope.cancel()

    async with ctrio.open_nursery() as nursery:
        with CancelScope() as scope:
            nursery.start_soon(child, scope)
            await ctrio.sleep_forever()
    assert scope.cancelled_caught


@trio_test
async def test_an_inner_scope_lets_an_outer_one_s_pass() -> None:
    with CancelScope() as outer:
        with CancelScope() as inner:
            outer.cancel()
            await checkpoint()
        raise AssertionError
    assert outer.cancelled_caught
    assert not inner.cancelled_caught
    assert not inner.cancel_called


@trio_test
async def test_of_two_cancelled_ones_the_outer_one_catches() -> None:
    with CancelScope() as outer:
        with CancelScope() as inner:
            inner.cancel()
            outer.cancel()
            await checkpoint()
        raise AssertionError
    assert outer.cancelled_caught
    assert not inner.cancelled_caught


@trio_test
async def test_other_exceptions_pass_a_cancelled_scope() -> None:
    with pytest.raises(KeyError), CancelScope() as scope:
        scope.cancel()
        raise KeyError
    assert not scope.cancelled_caught


@trio_test
async def test_out_of_a_group_it_takes_what_is_cancelled() -> None:
    with pytest.raises(ExceptionGroup) as caught, CancelScope() as scope:
        scope.cancel()
        raise BaseExceptionGroup(
            "mixed",
            [
                Cancelled._create(),
                KeyError("a"),
                BaseExceptionGroup("inner", [Cancelled._create(), KeyError("b")]),
            ],
        )
    assert scope.cancelled_caught
    first, second = caught.value.exceptions
    assert repr(first) == "KeyError('a')"
    assert repr(second) == "ExceptionGroup('inner', [KeyError('b')])"


@trio_test
async def test_it_asks_a_user_s_group_to_split_itself() -> None:
    class Mine(BaseExceptionGroup):
        def derive(self, excs: Any) -> Mine:
            return Mine(f"derived from {self.message}", excs)

    with pytest.raises(Mine) as caught, CancelScope() as scope:
        scope.cancel()
        raise Mine("mine", [Cancelled._create(), KeyError()])
    assert caught.value.message == "derived from mine"
    with CancelScope() as scope:
        scope.cancel()
        raise Mine("mine", [Cancelled._create()])
    assert scope.cancelled_caught


@trio_test
async def test_a_group_whose_split_fails_is_replaced_by_that_failure() -> None:
    class Mine(BaseExceptionGroup):
        def split(self, condition: Any) -> Any:
            raise OSError("no")

    with pytest.raises(OSError, match="no"), CancelScope() as scope:
        scope.cancel()
        raise Mine("mine", [Cancelled._create()])


# --- shields --------------------------------------------------------------------------


@trio_test
async def test_a_shield_keeps_outer_cancellations_out() -> None:
    with CancelScope() as outer:
        outer.cancel()
        with CancelScope(shield=True) as inner:
            assert inner.shield
            await checkpoint()
            inner.cancel()
            await checkpoint()
        assert inner.cancelled_caught
        await checkpoint()
    assert outer.cancelled_caught


@trio_test
async def test_a_shield_can_be_taken_away() -> None:
    async def child(inner: CancelScope) -> None:
        await wait_all_tasks_blocked()
        inner.shield = False

    async with ctrio.open_nursery() as nursery:
        with CancelScope() as outer, CancelScope(shield=True) as inner:
            outer.cancel()
            nursery.start_soon(child, inner)
            await ctrio.sleep_forever()
    assert outer.cancelled_caught
    assert not inner.cancelled_caught


@trio_test
async def test_a_shield_put_up_late_helps_whoever_is_inside() -> None:
    with CancelScope() as outer, CancelScope() as inner:
        outer.cancel()
        inner.shield = True
        await checkpoint()
        inner.shield = True
        await checkpoint()
        inner.shield = False
        with pytest.raises(Cancelled):
            await checkpoint()


@trio_test
async def test_a_shield_is_a_bool() -> None:
    scope = CancelScope()
    for wrong in (1, None, "yes"):
        with pytest.raises(TypeError, match="^shield must be a bool$"):
            scope.shield = wrong  # type: ignore[assignment]
    assert scope.shield is False


# --- deadlines ------------------------------------------------------------------------


@on_mock_clock
async def test_a_deadline_cancels() -> None:
    start = current_time()
    with CancelScope(deadline=start + 2) as scope:
        assert scope.deadline == start + 2
        assert not scope.cancel_called
        await ctrio.sleep(10)
    assert current_time() == start + 2
    assert scope.cancelled_caught
    assert scope.cancel_called


@on_mock_clock
async def test_a_deadline_can_be_moved_both_ways() -> None:
    start = current_time()
    with CancelScope(deadline=start + 2) as scope:
        scope.deadline += 2
        await ctrio.sleep(3)
        scope.deadline = inf
        await ctrio.sleep(100)
        scope.deadline = -inf
        await checkpoint()
    assert scope.cancelled_caught
    assert current_time() == start + 103


@on_mock_clock
async def test_a_deadline_that_has_passed_counts_on_entry() -> None:
    with CancelScope(deadline=current_time() - 1) as scope:
        assert scope.cancel_called
        await checkpoint()
    assert scope.cancelled_caught


@on_mock_clock
async def test_asking_whether_it_is_cancelled_looks_at_the_clock() -> None:
    clock: Any = ctrio.lowlevel.current_clock()
    with CancelScope(deadline=current_time() + 1) as scope:
        assert not scope.cancel_called
        clock.jump(1)
        assert scope.cancel_called
        with pytest.raises(Cancelled):
            await checkpoint()


@on_mock_clock
async def test_a_relative_deadline_counts_from_the_entry() -> None:
    scope = CancelScope(relative_deadline=3)
    assert scope.is_relative is True
    assert scope.relative_deadline == 3
    await ctrio.sleep(10)
    start = current_time()
    scope.relative_deadline = 5
    with scope:
        assert scope.is_relative is None
        assert scope.deadline == start + 5
        await ctrio.sleep(1)
        assert scope.relative_deadline == 4
        scope.relative_deadline = 10
        assert scope.deadline == start + 11
        await ctrio.sleep_forever()
    assert current_time() == start + 11
    assert CancelScope(deadline=1).is_relative is False
    assert CancelScope().is_relative is False


@on_mock_clock
async def test_the_effective_deadline_is_the_first_one_that_is_not_shielded() -> None:
    start = current_time()
    assert current_effective_deadline() == inf
    with CancelScope(deadline=start + 5):
        with CancelScope(deadline=start + 10) as inner:
            assert current_effective_deadline() == start + 5
            inner.shield = True
            assert current_effective_deadline() == start + 10
            inner.deadline = start + 3
            assert current_effective_deadline() == start + 3
            inner.cancel()
            assert current_effective_deadline() == -inf
            inner.shield = False
        assert current_effective_deadline() == start + 5


@on_mock_clock
async def test_deadlines_at_the_same_time_all_count() -> None:
    when = current_time() + 1
    scopes = []

    async def child() -> None:
        with CancelScope(deadline=when) as scope:
            scopes.append(scope)
            await ctrio.sleep_forever()

    async with ctrio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(child)
    assert len(scopes) == 50
    assert all(scope.cancelled_caught for scope in scopes)


@on_mock_clock
async def test_a_scope_that_has_been_left_can_still_be_assigned_to() -> None:
    with CancelScope() as scope:
        pass
    scope.deadline = current_time() + 1
    scope.shield = True
    await ctrio.sleep(2)
    assert not scope.cancel_called
    scope.cancel()
    assert scope.cancel_called
    assert not scope.cancelled_caught


# --- exits out of order ---------------------------------------------------------------


@trio_test
async def test_leaving_an_outer_scope_first_is_told_and_recovered_from() -> None:
    outer, inner = CancelScope(), CancelScope()
    outer.__enter__()
    inner.__enter__()
    text = r"attempted to exit <trio.CancelScope .*> in <Task .*> that's still within"
    with pytest.raises(RuntimeError, match=text):
        outer.__exit__(None, None, None)
    assert inner.__exit__(None, None, None) in (True, False)
    await checkpoint()


@trio_test
async def test_what_is_inside_a_scope_that_was_left_is_cancelled() -> None:
    outer, inner = CancelScope(), CancelScope()
    outer.__enter__()
    inner.__enter__()
    with pytest.raises(RuntimeError, match="still within its child"):
        outer.__exit__(None, None, None)
    await checkpoint()  # this task has left both

    entered: list[CancelScope] = []
    caught = []

    async def child() -> None:
        with CancelScope() as scope:
            entered.append(scope)
            try:
                await ctrio.sleep_forever()
            except Cancelled as exc:
                caught.append(exc.reason)
                raise

    manager = ctrio.open_nursery()
    around = CancelScope()
    around.__enter__()
    nursery = await manager.__aenter__()
    nursery.start_soon(child)
    await wait_all_tasks_blocked()
    with pytest.raises(RuntimeError, match="still within its child"):
        around.__exit__(None, None, None)
    await wait_all_tasks_blocked()
    assert caught == ["misnesting"]
    assert await manager.__aexit__(None, None, None)


@trio_test
async def test_another_task_cannot_leave_it() -> None:
    with CancelScope() as scope:

        async def child() -> None:
            text = "attempted to exit <.*> from unrelated <Task"
            with CancelScope():
                with pytest.raises(RuntimeError, match=text):
                    other.__exit__(None, None, None)

        async def owner() -> None:
            with other:
                owned.set()
                await ctrio.sleep_forever()

        other = CancelScope()
        owned = ctrio.Event()
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(owner)
            await owned.wait()
            async with ctrio.open_nursery() as inner:
                inner.start_soon(child)
            nursery.cancel_scope.cancel()
    assert not scope.cancel_called


@trio_test
async def test_leaving_it_twice_is_refused() -> None:
    text = r"attempted to exit <trio.CancelScope at 0x\w+, {}> which had already been"
    scope = CancelScope()
    with pytest.raises(RuntimeError, match=text.format("unbound")):
        scope.__exit__(None, None, None)
    with scope:
        pass
    with pytest.raises(RuntimeError, match=text.format("exited")) as caught:
        scope.__exit__(KeyError, KeyError("given"), None)
    assert repr(caught.value.__context__) == "KeyError('given')"


@trio_test
async def test_a_task_that_ends_inside_a_scope_it_has_not_left_is_none_the_worse() -> (
    None
):
    scopes = []

    async def child() -> None:
        scope = CancelScope()
        scope.__enter__()
        scopes.append(scope)

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(child)
    assert "active" in repr(scopes[0])
    scopes[0].cancel()
    await checkpoint()


# --- the object -----------------------------------------------------------------------


@on_mock_clock
async def test_its_repr_tells_its_state() -> None:
    def shape(scope: CancelScope) -> str:
        return re.sub(r" at 0x[0-9a-f]+", "", repr(scope))

    scope = CancelScope()
    assert shape(scope) == "<trio.CancelScope, unbound>"
    with scope:
        assert shape(scope) == "<trio.CancelScope, active>"
        scope.deadline = current_time() + 10
        assert shape(scope) == (
            "<trio.CancelScope, active, deadline is 10.00 seconds from now>"
        )
        scope.deadline = current_time() - 10
        assert shape(scope) == (
            "<trio.CancelScope, active, deadline is 10.00 seconds ago>"
        )
        scope.deadline = inf
        scope.cancel()
        assert shape(scope) == "<trio.CancelScope, active, cancelled>"
    assert shape(scope) == "<trio.CancelScope, exited, cancelled>"


def test_outside_of_a_run_it_can_be_made_and_cancelled_and_no_more() -> None:
    scope = CancelScope(deadline=5)
    assert repr(scope).endswith(", unbound>")
    assert scope.deadline == 5
    with pytest.raises(RuntimeError, match="^must be called from async context$"):
        scope.__enter__()
    with pytest.raises(RuntimeError, match="^must be called from async context$"):
        assert scope.cancel_called
    scope.cancel("before the run")
    assert scope.cancel_called

    async def main() -> None:
        with scope:
            try:
                await checkpoint()
            except Cancelled as exc:
                assert (exc.source_task, exc.reason) == (None, "before the run")
                raise

    ctrio.run(main)
    assert scope.cancelled_caught


@trio_test
async def test_it_can_be_hashed_compared_and_weakly_referenced() -> None:
    first, second = CancelScope(), CancelScope()
    assert len({first, second, first}) == 2
    assert first != second
    died = weakref.ref(first)
    del first
    gc.collect()
    assert died() is None
    assert CancelScope.__module__ == "trio"
    with pytest.raises(TypeError):
        type("Mine", (CancelScope,), {})


@trio_test
async def test_an_entered_scope_that_nobody_holds_works_on() -> None:
    entered = CancelScope()
    entered.__enter__()
    lives = weakref.ref(entered)
    del entered
    gc.collect()
    scope = lives()
    assert scope is not None
    scope.cancel()
    with pytest.raises(Cancelled):
        await checkpoint()
    assert scope.__exit__(Cancelled, Cancelled._create(), None)


@trio_test
async def test_a_hundred_thousand_nested_scopes_need_no_stack() -> None:
    scopes = [CancelScope() for _ in range(100_000)]
    for scope in scopes:
        scope.__enter__()
    scopes[0].cancel()
    with pytest.raises(Cancelled):
        await checkpoint()
    assert current_effective_deadline() == -inf
    error: BaseException | None = Cancelled._create()
    for scope in reversed(scopes):
        if scope.__exit__(type(error), error, None):
            error = None
    assert error is None
    assert scopes[0].cancelled_caught
    assert current_task().child_nurseries == []
