"""The raw wait, waking, and lending a coroutine to another runner."""

from __future__ import annotations

import gc
import types
import weakref
from collections.abc import Generator
from typing import Any

import outcome
import pytest

import ctrio
from ctrio import Cancelled, CancelScope, open_nursery
from ctrio.lowlevel import (
    Abort,
    Task,
    checkpoint,
    current_task,
    current_trio_token,
    permanently_detach_coroutine_object,
    reattach_detached_coroutine_object,
    reschedule,
    temporarily_detach_coroutine_object,
    wait_task_rescheduled,
)
from ctrio.testing import trio_test, wait_all_tasks_blocked

# --- waiting and waking ---------------------------------------------------------------


async def wait_and_note(events: list[object]) -> None:
    events.append(current_task())
    try:
        events.append(await wait_task_rescheduled(lambda _: Abort.SUCCEEDED))
    except KeyError as exc:
        events.append(exc)


@trio_test
async def test_reschedule_wakes_with_a_value_or_an_error() -> None:
    error = KeyError()
    for woken_with, expected in [
        ((), None),
        ((None,), None),
        ((outcome.Value("value"),), "value"),
        ((outcome.Value(None),), None),
        ((outcome.Error(error),), error),
    ]:
        events: list[Any] = []
        async with open_nursery() as nursery:
            nursery.start_soon(wait_and_note, events)
            await wait_all_tasks_blocked()
            if woken_with == (None,):
                reschedule(events[0])
            else:
                reschedule(events[0], *woken_with)
        assert events[1] is expected


@trio_test
async def test_waking_twice_is_found_out() -> None:
    events: list[Any] = []
    async with open_nursery() as nursery:
        nursery.start_soon(wait_and_note, events)
        await wait_all_tasks_blocked()
        reschedule(events[0])
        with pytest.raises(AssertionError):
            reschedule(events[0])
    assert events[1:] == [None]


def test_a_reschedule_comes_from_the_run_s_own_thread() -> None:
    tasks: list[Task] = []

    async def main() -> None:
        tasks.append(current_task())
        with pytest.raises(RuntimeError, match="must be called from async context"):
            await ctrio.to_thread.run_sync(reschedule, current_task())

    ctrio.run(main)
    with pytest.raises(RuntimeError, match="must be called from async context"):
        reschedule(tasks[0])


@trio_test
async def test_the_arguments_are_named() -> None:
    events: list[Any] = []
    async with open_nursery() as nursery:
        nursery.start_soon(wait_and_note, events)
        await wait_all_tasks_blocked()
        reschedule(task=events[0], next_send=outcome.Value(1))
    assert events[1] == 1
    with CancelScope() as scope:
        scope.cancel()
        await wait_task_rescheduled(abort_func=lambda _: Abort.SUCCEEDED)


# --- aborting -------------------------------------------------------------------------


@trio_test
async def test_an_abort_that_succeeds_raises_cancelled() -> None:
    calls = []

    def abort_fn(raise_cancel: Any) -> Abort:
        calls.append(raise_cancel)
        return Abort.SUCCEEDED

    with CancelScope() as scope:
        scope.cancel("why")
        with pytest.raises(Cancelled) as caught:
            await wait_task_rescheduled(abort_fn)
        assert caught.value.reason == "why"
    assert len(calls) == 1


@trio_test
async def test_an_abort_that_fails_leaves_it_to_the_waker() -> None:
    calls = []
    task = current_task()

    def abort_fn(raise_cancel: Any) -> Abort:
        calls.append(True)
        current_trio_token().run_sync_soon(reschedule, task, outcome.Value("late"))
        return Abort.FAILED

    with CancelScope() as scope:
        scope.cancel()
        assert await wait_task_rescheduled(abort_fn) == "late"
        with pytest.raises(Cancelled):
            await checkpoint()
    assert calls == [True]


@trio_test
async def test_the_abort_function_is_asked_once_a_wait() -> None:
    calls = []

    def abort_fn(raise_cancel: Any) -> Abort:
        calls.append(True)
        return Abort.FAILED

    events: list[Any] = []

    async def child() -> None:
        events.append(current_task())
        await wait_task_rescheduled(abort_fn)

    async with open_nursery() as nursery:
        with CancelScope() as outer, CancelScope():
            async with open_nursery() as inner:
                inner.start_soon(child)
                await wait_all_tasks_blocked()
                inner.cancel_scope.cancel()
                outer.cancel()
                nursery.cancel_scope.cancel()
                with CancelScope(shield=True):
                    await wait_all_tasks_blocked()
                assert calls == [True]
                reschedule(events[0])


@trio_test
async def test_raise_cancel_may_be_called_later() -> None:
    raisers: list[Any] = []
    task = current_task()

    def abort_fn(raise_cancel: Any) -> Abort:
        raisers.append(raise_cancel)
        current_trio_token().run_sync_soon(
            lambda: reschedule(task, outcome.capture(raise_cancel))
        )
        return Abort.FAILED

    with CancelScope() as scope:
        scope.cancel("later")
        with pytest.raises(Cancelled) as caught:
            await wait_task_rescheduled(abort_fn)
        assert caught.value.reason == "later"
        for _ in range(2):  # each time a new one
            with pytest.raises(Cancelled) as again:
                raisers[0]()
            assert again.value is not caught.value
            assert again.value.reason == "later"
    with pytest.raises(TypeError):
        raisers[0](1)


@trio_test
async def test_an_abort_function_may_cancel_and_wake_others() -> None:
    events: list[Any] = []
    other_scope = CancelScope()

    def abort_fn(raise_cancel: Any) -> Abort:
        other_scope.cancel()
        reschedule(events[0], outcome.Value("woken by an abort"))
        return Abort.SUCCEEDED

    async def other() -> None:
        with other_scope:
            await ctrio.sleep_forever()
        events.append("other left")

    async with open_nursery() as nursery:
        nursery.start_soon(wait_and_note, events)
        await wait_all_tasks_blocked()
        nursery.start_soon(other)
        await wait_all_tasks_blocked()
        with CancelScope() as scope:
            scope.cancel()
            await wait_task_rescheduled(abort_fn)
    assert sorted(map(str, events[1:])) == ["other left", "woken by an abort"]


@trio_test
async def test_what_the_abort_function_holds_is_let_go_after_the_wait() -> None:
    class Held:
        def __call__(self, raise_cancel: Any) -> Abort:
            return Abort.SUCCEEDED

    events: list[Any] = []

    async def child(died: list[Any]) -> None:
        events.append(current_task())
        held = Held()
        died.append(weakref.ref(held))
        await wait_task_rescheduled(held)
        del held
        await checkpoint()
        gc.collect()
        died.append(died[0]())

    died: list[Any] = []
    async with open_nursery() as nursery:
        nursery.start_soon(child, died)
        await wait_all_tasks_blocked()
        reschedule(events[0])
    assert died[1] is None


# --- another coroutine runner ---------------------------------------------------------


@types.coroutine
def foreign_yield(value: object) -> Generator[object, Any, Any]:
    return (yield value)


@trio_test
async def test_a_coroutine_may_leave_for_good() -> None:
    events: list[object] = []
    coros: list[Any] = []

    async def leaves() -> object:
        coros.append(current_task().coro)
        sent = await permanently_detach_coroutine_object(outcome.Value("result"))
        events.append(("outside", sent))
        events.append(("and again", await foreign_yield("yielded")))
        return "end"

    async with open_nursery() as nursery:
        nursery.start_soon(leaves)
    [coro] = coros
    assert events == []
    assert coro.send("first") == "yielded"
    with pytest.raises(StopIteration) as stop:
        coro.send("second")
    assert stop.value.value == "end"
    assert events == [("outside", "first"), ("and again", "second")]


def test_a_main_task_that_leaves_gives_its_outcome_to_run() -> None:
    coros: list[Any] = []

    async def leaves(final: outcome.Outcome[object]) -> None:
        coros.append(current_task().coro)
        await permanently_detach_coroutine_object(final)

    assert ctrio.run(leaves, outcome.Value("result")) == "result"
    error = KeyError()
    with pytest.raises(KeyError) as caught:
        ctrio.run(leaves, outcome.Error(error))
    assert caught.value is error
    for coro in coros:
        coro.close()


@trio_test
async def test_nobody_leaves_with_a_nursery_open() -> None:
    text = "^can't permanently detach a coroutine object with open nurseries$"
    async with open_nursery():
        with pytest.raises(RuntimeError, match=text):
            await permanently_detach_coroutine_object(outcome.Value(None))


@trio_test
async def test_a_coroutine_may_leave_for_a_while_and_come_back() -> None:
    events: list[object] = []
    tasks: list[Task] = []

    def abort_fn(raise_cancel: Any) -> Abort:
        return Abort.FAILED

    async def leaves() -> None:
        task = current_task()
        tasks.append(task)
        sent = await temporarily_detach_coroutine_object(abort_fn)
        events.append(("outside", sent))
        events.append(("again", await foreign_yield("yielded")))
        with pytest.raises(KeyError):
            await foreign_yield("throw")
        await reattach_detached_coroutine_object(task, "good-bye")
        events.append(("back", current_task() is task))
        await checkpoint()
        await ctrio.sleep(0)
        events.append("end")

    async with open_nursery() as nursery:
        nursery.start_soon(leaves)
        await wait_all_tasks_blocked()
        coro: Any = tasks[0].coro
        assert coro.send("first") == "yielded"
        assert coro.send("second") == "throw"
        assert coro.throw(KeyError()) == "good-bye"
        assert nursery.child_tasks == {tasks[0]}
    assert events == [("outside", "first"), ("again", "second"), ("back", True), "end"]


@trio_test
async def test_one_that_is_away_hears_of_a_cancellation_by_its_abort_function() -> None:
    calls = []
    tasks: list[Task] = []

    def abort_fn(raise_cancel: Any) -> Abort:
        calls.append(True)
        return Abort.FAILED

    async def leaves() -> None:
        task = current_task()
        tasks.append(task)
        await temporarily_detach_coroutine_object(abort_fn)
        await reattach_detached_coroutine_object(task, None)
        with pytest.raises(Cancelled):
            await checkpoint()

    async with open_nursery() as nursery:
        nursery.start_soon(leaves)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with CancelScope(shield=True):
            await wait_all_tasks_blocked()
        assert calls == [True]
        coro: Any = tasks[0].coro
        coro.send(None)


@trio_test
async def test_only_the_coroutine_itself_can_come_back() -> None:
    tasks: list[Task] = []

    async def leaves() -> None:
        task = current_task()
        tasks.append(task)
        await temporarily_detach_coroutine_object(lambda _: Abort.FAILED)
        await reattach_detached_coroutine_object(task, None)

    text = "^given task does not match calling coroutine$"
    async with open_nursery() as nursery:
        nursery.start_soon(leaves)
        await wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match=text):
            await reattach_detached_coroutine_object(tasks[0], None)
        tasks[0].coro.send(None)


def test_a_coroutine_may_finish_in_another_run() -> None:
    coros: list[Any] = []

    async def leaves() -> str:
        coros.append(current_task().coro)
        await permanently_detach_coroutine_object(outcome.Value(None))
        await checkpoint()  # of the other run
        return current_task().name

    ctrio.run(leaves)

    @types.coroutine
    def drive(coro: Any) -> Generator[Any, Any, Any]:
        sent = None
        while True:
            try:
                sent = yield coro.send(sent)
            except StopIteration as stop:
                return stop.value

    async def other() -> str:
        return await drive(coros[0])

    assert ctrio.run(other).endswith("other")
