"""Bad calls of run(), traps and tokens: the same exception and text as Trio's."""

from __future__ import annotations

import asyncio
import warnings

import outcome
import pytest
from bad_input import (
    ASYNC_CONTEXT,
    COROUTINE,
    FRAMEWORK,
    INTERNAL,
    SYNCHRONOUS,
    YIELDED,
    Case,
    Table,
    agen,
    check_inside,
    check_outside,
    foreign,
    low,
    sleeper,
    sync,
    untyped,
)

import ctrio
from ctrio import CancelScope, open_nursery
from ctrio.lowlevel import (
    Abort,
    Task,
    TrioToken,
    current_root_task,
    current_task,
    current_trio_token,
    permanently_detach_coroutine_object,
    reattach_detached_coroutine_object,
    reschedule,
    spawn_system_task,
    wait_task_rescheduled,
)

inside, outside = Table(), Table()

# --- run() ----------------------------------------------------------------------------

outside(TypeError, "run() missing 1 required positional argument: 'async_fn'")(
    lambda: untyped.run()
)
for argument, text in [
    (sync, SYNCHRONOUS.format("'sync'")),
    (None, "'NoneType' object is not callable"),
    (12, "'int' object is not callable"),
    (
        agen,
        (
            "start_soon expected an async function but got an async generator "
            "<async_generator object agen at ...>"
        ),
    ),
]:
    outside(TypeError, text)(lambda argument=argument: untyped.run(argument))


@outside(TypeError, COROUTINE.format("sleeper"))
def a_coroutine_for_run() -> None:
    untyped.run(sleeper())


@outside(TypeError, COROUTINE.format("sleep"))
def a_coroutine_of_ours_for_run() -> None:
    untyped.run(ctrio.sleep(1))


@outside(TypeError, "sleeper() takes 0 positional arguments but 1 was given")
def too_many_arguments_for_run() -> None:
    untyped.run(sleeper, 1)


@outside(TypeError, "run() got an unexpected keyword argument 'nonsense'")
def an_unknown_keyword_for_run() -> None:
    untyped.run(sleeper, nonsense=1)


@outside(ctrio.TrioInternalError, INTERNAL)
def a_clock_that_is_none() -> None:
    untyped.run(sleeper, clock=1)


@outside(TypeError, "'int' object is not iterable")
def instruments_that_are_none() -> None:
    untyped.run(sleeper, instruments=1)


@outside(
    TypeError,
    "Trio was expecting an async function, but instead it got <Future pending>"
    + FRAMEWORK,
)
def a_future_for_run() -> None:
    loop = asyncio.new_event_loop()
    try:
        untyped.run(loop.create_future())
    finally:
        loop.close()


@outside(TypeError, "Trio got unexpected <Future pending>" + FRAMEWORK)
def a_function_that_returns_a_future() -> None:
    loop = asyncio.new_event_loop()
    try:
        untyped.run(loop.create_future)
    finally:
        loop.close()


@inside(RuntimeError, "Attempted to call run() from inside a run()")
async def a_run_inside_a_run() -> None:
    ctrio.run(sleeper)


# --- what belongs to others -----------------------------------------------------------


@inside(TypeError, YIELDED.format("None"))
async def an_asyncio_sleep() -> None:
    await asyncio.sleep(0)


@inside(TypeError, YIELDED.format("<Future pending>"))
async def an_asyncio_future() -> None:
    loop = asyncio.new_event_loop()
    try:
        await loop.create_future()
    finally:
        loop.close()


@inside(TypeError, YIELDED.format("12"))
async def a_foreign_yield() -> None:
    await foreign(12)


# --- outside of a run -----------------------------------------------------------------

for asked in (
    ctrio.current_time,
    ctrio.current_effective_deadline,
    low.current_task,
    low.current_clock,
    low.current_root_task,
    low.current_statistics,
    low.current_trio_token,
    lambda: spawn_system_task(sleeper),
    lambda: CancelScope().__enter__(),
    lambda: CancelScope().cancel_called,
    lambda: ctrio.fail_after(1).__enter__(),
    lambda: ctrio.move_on_after(1).__enter__(),
    lambda: ctrio.sleep(1).send(None),
    lambda: low.checkpoint_if_cancelled().send(None),
    lambda: reschedule(ctrio.run(give_task)),
):
    outside(RuntimeError, ASYNC_CONTEXT)(asked)


async def give_task() -> Task:
    return current_task()


@outside(AttributeError, "'RunContext' object has no attribute 'runner'")
def a_nursery_outside_of_a_run() -> None:
    open_nursery()


@outside(ctrio.RunFinishedError, "run() has exited")
def a_token_of_a_run_that_has_ended() -> None:
    async def main() -> TrioToken:
        return current_trio_token()

    ctrio.run(main).run_sync_soon(sync)


# --- the traps ------------------------------------------------------------------------

inside(TypeError, "reschedule() missing 1 required positional argument: 'task'")(
    lambda: low.reschedule()
)
# Trio: RuntimeError, which says that this is no async context.
inside(TypeError, "reschedule() expects a Task, not 3")(lambda: low.reschedule(3))


@inside(
    TypeError,
    "wait_task_rescheduled() missing 1 required positional argument: 'abort_func'",
)
async def a_wait_without_an_abort_function() -> None:
    await low.wait_task_rescheduled()


@inside(RuntimeError, "can't permanently detach a coroutine object with open nurseries")
async def detaching_with_a_nursery_open() -> None:
    manager = open_nursery()
    await manager.__aenter__()
    try:
        await permanently_detach_coroutine_object(outcome.Value(1))
    finally:
        await manager.__aexit__(None, None, None)


@inside(RuntimeError, "given task does not match calling coroutine")
async def reattaching_another_task() -> None:
    await reattach_detached_coroutine_object(current_root_task(), 1)  # type: ignore[arg-type]


@outside(ctrio.TrioInternalError, "abort function must return Abort enum")
def an_abort_function_that_returns_nothing() -> None:
    async def main() -> None:
        scope = CancelScope()
        scope.__enter__()
        scope.cancel()
        await wait_task_rescheduled(lambda _: None)  # type: ignore[arg-type, return-value]

    ctrio.run(main)


@outside(ctrio.TrioInternalError, INTERNAL)
def an_abort_function_that_takes_nothing() -> None:
    async def main() -> None:
        scope = CancelScope()
        scope.__enter__()
        scope.cancel()
        await wait_task_rescheduled(lambda: Abort.SUCCEEDED)  # type: ignore[arg-type, misc]

    ctrio.run(main)


# --- system tasks, tokens -------------------------------------------------------------

for error, text, call in [
    (
        TypeError,
        "spawn_system_task() missing 1 required positional argument: 'async_fn'",
        lambda: low.spawn_system_task(),
    ),
    (TypeError, SYNCHRONOUS.format("'sync'"), lambda: low.spawn_system_task(sync)),
    (
        TypeError,
        "spawn_system_task() got an unexpected keyword argument 'x'",
        lambda: low.spawn_system_task(sleeper, x=1),
    ),
    (
        TypeError,
        "TrioToken.run_sync_soon() missing 1 required positional argument: 'sync_fn'",
        lambda: low.current_trio_token().run_sync_soon(),
    ),
    (
        TypeError,
        "TrioToken.run_sync_soon() got an unexpected keyword argument 'x'",
        lambda: low.current_trio_token().run_sync_soon(sync, x=1),
    ),
    (
        TypeError,
        "unhashable type: 'list'",
        lambda: low.current_trio_token().run_sync_soon(print, [], idempotent=True),
    ),
]:
    inside(error, text)(call)


@pytest.mark.parametrize(("case", "error", "text"), outside.cases)
def test_outside_of_a_run(case: Case, error: type[BaseException], text: str) -> None:
    check_outside(case, error, text)


@pytest.mark.parametrize(("case", "error", "text"), inside.cases)
def test_in_a_task(case: Case, error: type[BaseException], text: str) -> None:
    check_inside(case, error, text)


def test_every_coroutine_that_was_refused_was_closed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make in (sleeper, lambda: ctrio.sleep(1)):
            with pytest.raises(TypeError):
                untyped.run(make())
