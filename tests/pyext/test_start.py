"""nursery.start(): a child that runs under the caller until it says started()."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

import pytest
from mock_clock import run_on_mock_clock

import ctrio
from ctrio import TASK_STATUS_IGNORED, CancelScope, TaskStatus, open_nursery
from ctrio.lowlevel import checkpoint, current_task
from ctrio.testing import trio_test, wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup


async def service(
    value: object = None, *, task_status: Any = TASK_STATUS_IGNORED
) -> None:
    task_status.started(value)
    await ctrio.sleep_forever()


@trio_test
async def test_start_returns_what_started_was_given() -> None:
    async with open_nursery() as nursery:
        assert await nursery.start(service) is None
        assert await nursery.start(service, "value") == "value"
        value = (1, 2)
        assert await nursery.start(service, value) is value
        assert len(nursery.child_tasks) == 3
        nursery.cancel_scope.cancel()


@trio_test
async def test_started_without_a_value_gives_none() -> None:
    async def plain(task_status: Any) -> None:
        task_status.started()

    async with open_nursery() as nursery:
        assert await nursery.start(plain) is None


@trio_test
async def test_the_function_can_be_called_without_start() -> None:
    assert repr(TASK_STATUS_IGNORED) == "TASK_STATUS_IGNORED"
    with CancelScope() as scope:
        scope.cancel()
        await service()
    async with open_nursery() as nursery:
        nursery.start_soon(service)
        nursery.cancel_scope.cancel()


@trio_test
async def test_until_started_the_child_is_in_a_nursery_of_the_call() -> None:
    gates = [ctrio.Event(), ctrio.Event()]
    seen = []

    async def child(task_status: Any) -> None:
        me = current_task()
        seen.append((me.parent_nursery, me.eventual_parent_nursery))
        await gates[0].wait()
        task_status.started()
        seen.append((me.parent_nursery, me.eventual_parent_nursery))
        await gates[1].wait()

    async def opener() -> None:
        await wait_all_tasks_blocked()
        assert nursery.child_tasks == {current_task()}
        gates[0].set()

    async with open_nursery() as nursery:
        nursery.start_soon(opener)
        await nursery.start(child)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        [(first, eventual), (second, no_more)] = seen
        assert first not in (None, nursery)
        assert eventual is nursery
        assert (second, no_more) == (nursery, None)
        assert first is not None
        assert first.child_tasks == frozenset()
        gates[1].set()


@trio_test
async def test_what_it_raises_before_comes_out_of_start_alone() -> None:
    error = KeyError()

    async def fails(task_status: Any) -> None:
        await checkpoint()
        raise error

    async with open_nursery() as nursery:
        nursery.start_soon(ctrio.sleep_forever)
        with pytest.raises(KeyError) as caught:
            await nursery.start(fails)
        assert caught.value is error
        assert caught.value.__context__ is None
        assert not nursery.cancel_scope.cancel_called
        nursery.cancel_scope.cancel()


@trio_test
async def test_a_group_that_it_raises_stays_one() -> None:
    async def fails(task_status: Any) -> None:
        raise ExceptionGroup("mine", [KeyError(), OSError()])

    async with open_nursery() as nursery:
        with pytest.raises(ExceptionGroup, match="^mine"):
            await nursery.start(fails)


@trio_test
async def test_what_it_raises_afterwards_comes_out_of_the_nursery() -> None:
    async def fails(task_status: Any) -> None:
        task_status.started()
        raise KeyError

    with pytest.raises(ExceptionGroup) as caught:
        async with open_nursery() as nursery:
            await nursery.start(fails)
            await ctrio.sleep_forever()
    assert isinstance(caught.value.exceptions[0], KeyError)


@trio_test
async def test_a_child_that_ends_without_started_is_an_error() -> None:
    async def forgets(task_status: Any) -> None:
        pass

    text = r"^child exited without calling task_status\.started\(\)$"
    async with open_nursery() as nursery:
        with pytest.raises(RuntimeError, match=text):
            await nursery.start(forgets)


@trio_test
async def test_started_can_be_called_once() -> None:
    async def twice(task_status: Any) -> None:
        task_status.started()
        text = "^called 'started' twice on the same task status$"
        with pytest.raises(RuntimeError, match=text):
            task_status.started()

    async with open_nursery() as nursery:
        await nursery.start(twice)


@trio_test
async def test_a_cancelled_start_cancels_the_child() -> None:
    ended = []

    async def slow(task_status: Any) -> None:
        try:
            await ctrio.sleep_forever()
        finally:
            ended.append(True)

    async with open_nursery() as nursery:
        with CancelScope() as scope:
            nursery.start_soon(wait_and_cancel, scope)
            await nursery.start(slow)
        assert scope.cancelled_caught
        assert ended == [True]
        assert not nursery.cancel_scope.cancel_called


async def wait_and_cancel(scope: CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


@trio_test
async def test_after_started_the_caller_s_scope_is_no_longer_around_the_child() -> None:
    async with open_nursery() as nursery:
        with CancelScope() as scope:
            await nursery.start(service)
            scope.cancel()
            await checkpoint()
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        nursery.cancel_scope.cancel()


@trio_test
async def test_started_in_a_cancelled_start_is_too_late() -> None:
    """The child stays where it is, and is cancelled."""

    async def late(task_status: Any) -> None:
        with CancelScope(shield=True):
            await wait_all_tasks_blocked()
        task_status.started("too late")
        assert current_task().parent_nursery is not nursery
        await ctrio.sleep_forever()

    async with open_nursery() as nursery:
        with CancelScope() as scope:
            scope.cancel()
            await nursery.start(late)
        assert scope.cancelled_caught
        assert nursery.child_tasks == frozenset()


@trio_test
async def test_started_and_done_in_a_cancelled_start_counts() -> None:
    async def late(task_status: Any) -> None:
        task_status.started("in time")

    async with open_nursery() as nursery:
        with CancelScope() as scope:
            scope.cancel()
            assert await nursery.start(late) == "in time"
        assert not scope.cancelled_caught


@trio_test
async def test_scopes_and_tasks_inside_move_along_with_the_child() -> None:
    events = []

    async def grandchild() -> None:
        try:
            await ctrio.sleep_forever()
        finally:
            events.append("grandchild")

    async def child(task_status: Any) -> None:
        async with open_nursery() as inner:
            inner.start_soon(grandchild)
            with CancelScope() as scope:
                await wait_all_tasks_blocked()
                task_status.started()
                await ctrio.sleep_forever()
        events.append(scope.cancelled_caught)

    async with open_nursery() as nursery:
        with CancelScope() as around:
            await nursery.start(child)
        around.cancel()
        await wait_all_tasks_blocked()
        assert events == []
        nursery.cancel_scope.cancel()
    assert events == ["grandchild"]


@trio_test
async def test_a_child_that_moves_into_a_cancelled_nursery_is_cancelled() -> None:
    async with open_nursery() as outer:
        async with open_nursery() as target:
            target.cancel_scope.cancel()
            target.cancel_scope.shield = True

        async def shielded_target(task_status: Any) -> None:
            async with open_nursery() as mine:
                mine.cancel_scope.cancel()
                with CancelScope(shield=True):
                    assert await mine.start(service, "v") == "v"
                    task_status.started()

        await outer.start(shielded_target)


@trio_test
async def test_a_nursery_waits_for_starts_that_are_under_way() -> None:
    events = []

    async def slow(task_status: Any) -> None:
        await wait_all_tasks_blocked()
        task_status.started()
        events.append("child")

    async def starter() -> None:
        await nursery.start(slow)
        events.append("started")

    async with open_nursery() as outer:
        async with open_nursery() as nursery:
            outer.start_soon(starter)
            await checkpoint()
            await checkpoint()
        events.append("closed")
    assert events.index("closed") > events.index("child")


@trio_test
async def test_start_of_something_that_cannot_be_called_changes_nothing() -> None:
    async with open_nursery() as nursery:
        for wrong in (None, 3, "text", service()):
            with pytest.raises(TypeError, match="^the first argument must be callable"):
                await nursery.start(wrong)  # type: ignore[arg-type]
            if hasattr(wrong, "close"):
                wrong.close()
        with pytest.raises(
            TypeError, match="unexpected keyword argument 'task_status'"
        ):
            await nursery.start(checkpoint)
        assert nursery.child_tasks == frozenset()
        assert await nursery.start(service) is None
        nursery.cancel_scope.cancel()


@trio_test
async def test_the_name_is_the_function_s_or_the_one_given() -> None:
    names = []

    async def child(task_status: Any) -> None:
        names.append(current_task().name)
        task_status.started()

    async with open_nursery() as nursery:
        await nursery.start(child)
        await nursery.start(child, name="given")
    assert names[0].endswith("<locals>.child")
    assert names[1] == "given"


def test_a_start_may_time_out() -> None:
    async def main() -> None:
        async with open_nursery() as nursery:
            with pytest.raises(ctrio.TooSlowError), ctrio.fail_after(3):

                async def slow(task_status: Any) -> None:
                    await ctrio.sleep(5)

                await nursery.start(slow)
            nursery.cancel_scope.cancel()

    run_on_mock_clock(main)


@trio_test
async def test_tasks_put_into_the_inner_nursery_are_found_out() -> None:
    async def fails() -> None:
        raise KeyError

    async def cheats(task_status: Any) -> None:
        task_status._old_nursery.start_soon(fails)
        task_status._old_nursery.start_soon(fails)
        await ctrio.sleep_forever()

    async with open_nursery() as nursery:
        text = "^Internal nursery should not have multiple tasks"
        with pytest.raises(ctrio.TrioInternalError, match=text) as caught:
            await nursery.start(cheats)
        assert isinstance(caught.value.__cause__, BaseExceptionGroup)


@trio_test
async def test_the_status_tells_what_it_is_and_keeps_nothing_alive() -> None:
    class Value:
        pass

    statuses = []

    async def child(task_status: Any) -> None:
        statuses.append(repr(task_status))
        task_status.started(Value())

    async with open_nursery() as nursery:
        died = weakref.ref(await nursery.start(child))
    gc.collect()
    assert statuses[0].startswith("<Task status object at 0x")
    assert died() is None


@trio_test
async def test_many_starts_at_once_all_succeed() -> None:
    results = []

    async def starter(number: int) -> None:
        results.append(await nursery.start(service, number))

    async with open_nursery() as nursery:
        async with open_nursery() as starters:
            for number in range(300):
                starters.start_soon(starter, number)
        assert sorted(results) == list(range(300))
        assert len(nursery.child_tasks) == 300
        nursery.cancel_scope.cancel()


def test_task_status_is_a_protocol() -> None:
    with pytest.raises(TypeError, match="^Protocols cannot be instantiated$"):
        TaskStatus()

    class Mine(TaskStatus[int]):
        def __init__(self, value: int) -> None:
            self.value = value

    assert Mine(3).value == 3
