"""The shape in which failures arrive: groups, causes, contexts, tracebacks."""

from __future__ import annotations

import signal
import sys
import traceback
from typing import Any

import outcome
import pytest

import ctrio
from ctrio import Cancelled, CancelScope, open_nursery
from ctrio.lowlevel import Abort, checkpoint, spawn_system_task, wait_task_rescheduled
from ctrio.testing import trio_test, wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

LOOSE = pytest.mark.filterwarnings("ignore::FutureWarning")


async def fail_with(error: BaseException) -> None:
    raise error


# --- groups ---------------------------------------------------------------------------


@pytest.mark.parametrize("error", [StopIteration(3), StopAsyncIteration(3)])
def test_the_exceptions_of_iterators_are_failures_like_others(error: Exception) -> None:
    other = ValueError()

    async def main() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(fail_with, other)
            raise error

    with pytest.raises(ExceptionGroup) as caught:
        ctrio.run(main)
    assert set(caught.value.exceptions) == {error, other}
    assert error.__context__ is None


@LOOSE
@trio_test
async def test_a_group_of_the_user_s_own_is_never_collapsed() -> None:
    mine = ExceptionGroup("mine", [KeyError()])
    with pytest.raises(ExceptionGroup) as caught:
        async with open_nursery(strict_exception_groups=False) as nursery:
            nursery.start_soon(fail_with, mine)
    assert caught.value.message == "mine"
    assert caught.value.exceptions == mine.exceptions


@LOOSE
@trio_test
async def test_a_loose_group_that_loses_its_cancellations_is_collapsed() -> None:
    error = KeyError()

    async def slow() -> None:
        try:
            await ctrio.sleep_forever()
        finally:
            raise error

    with pytest.raises(KeyError) as caught:
        with CancelScope() as scope:
            async with open_nursery(strict_exception_groups=False) as loose:
                loose.start_soon(slow)
                loose.start_soon(ctrio.sleep_forever)
                await wait_all_tasks_blocked()
                scope.cancel()
    assert caught.value is error


def tree(exc: BaseException) -> object:
    """An exception as its class, a group as the list of what is in it."""
    if isinstance(exc, BaseExceptionGroup):
        return [tree(inner) for inner in exc.exceptions]
    return type(exc)


async def fail_in_a_nursery() -> None:
    async with open_nursery() as nursery:
        nursery.start_soon(ctrio.sleep_forever)
        nursery.start_soon(fail_with, KeyError())


@pytest.mark.parametrize(
    ("function", "arguments", "shape"),
    [
        (fail_with, (KeyError(),), [[KeyError]]),
        (fail_in_a_nursery, (), [[[KeyError]]]),
        (fail_with, (KeyboardInterrupt(),), [[KeyboardInterrupt]]),
    ],
)
def test_what_a_system_task_raises_is_in_a_group_for_each_nursery(
    function: Any, arguments: tuple[Any, ...], shape: object
) -> None:
    async def main() -> None:
        spawn_system_task(function, *arguments)
        await ctrio.sleep_forever()

    with pytest.raises(ctrio.TrioInternalError) as caught:
        ctrio.run(main)
    assert caught.value.__cause__ is not None
    assert tree(caught.value.__cause__) == shape


# --- cause and context ----------------------------------------------------------------


@trio_test
async def test_start_leaves_cause_and_context_as_they_are() -> None:
    cause, context = OSError("cause"), TypeError("context")

    async def fails(task_status: object) -> None:
        error = KeyError()
        error.__cause__, error.__context__ = cause, context
        raise error

    async with open_nursery() as nursery:
        with pytest.raises(KeyError) as caught:
            await nursery.start(fails)
    assert caught.value.__cause__ is cause
    assert caught.value.__context__ is context


@trio_test
async def test_a_failure_of_a_nursery_is_not_its_own_context() -> None:
    error = KeyError()
    with pytest.raises(ExceptionGroup) as caught:
        async with open_nursery() as outer:
            outer.start_soon(fail_with, error)
            async with open_nursery() as inner:
                inner.start_soon(fail_with, OSError())
                await ctrio.sleep_forever()
    seen: list[BaseException] = []
    waiting: list[BaseException] = [caught.value]
    while waiting:
        exc = waiting.pop()
        assert exc not in seen
        seen.append(exc)
        assert exc.__cause__ is None
        if exc.__context__ is not None:
            waiting.append(exc.__context__)
    assert error.__context__ is None


@trio_test
async def test_an_exception_that_is_handled_stays_so_while_others_run() -> None:
    async def other() -> None:
        assert sys.exc_info() == (None, None, None)
        try:
            raise OSError
        except OSError as exc:
            await checkpoint()
            assert sys.exc_info()[1] is exc

    async with open_nursery() as nursery:
        nursery.start_soon(other)
        try:
            raise KeyError
        except KeyError as exc:
            await checkpoint()
            await checkpoint()
            assert sys.exc_info()[1] is exc
            with pytest.raises(TypeError) as caught:
                raise TypeError  # noqa: B904
            assert caught.value.__context__ is exc
        assert sys.exc_info() == (None, None, None)


@trio_test
async def test_an_error_that_wakes_a_handler_has_what_it_handles_as_context() -> None:
    error = OSError()
    handled = KeyError()

    async def woken() -> None:
        try:
            raise handled
        except KeyError:
            tasks.append(ctrio.lowlevel.current_task())
            await wait_task_rescheduled(lambda _: Abort.FAILED)

    tasks: list[Any] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with open_nursery() as nursery:
            nursery.start_soon(woken)
            await wait_all_tasks_blocked()
            ctrio.lowlevel.reschedule(tasks[0], outcome.Error(error))
    assert caught.value.exceptions == (error,)
    assert error.__context__ is handled


@trio_test
async def test_a_traceback_begins_with_the_task_s_own_function() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_nursery() as nursery:
            nursery.start_soon(fail_with, KeyError())
    frames = traceback.extract_tb(caught.value.exceptions[0].__traceback__)
    assert [frame.name for frame in frames] == ["fail_with"]


def test_the_traceback_of_run_leads_from_its_caller_to_the_main_task() -> None:
    async def main() -> None:
        await fail_with(KeyError())

    with pytest.raises(KeyError) as caught:
        ctrio.run(main)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[0].name.startswith("test_the_traceback_of_run")
    assert [frame.name for frame in frames[-2:]] == ["main", "fail_with"]


# --- an interrupt ---------------------------------------------------------------------


def test_an_interrupt_while_a_nursery_waits_comes_out_of_it() -> None:
    seen: list[object] = []

    async def child() -> None:
        try:
            await ctrio.sleep_forever()
        except Cancelled as exc:
            seen.append(exc.source)  # type: ignore[attr-defined]
            raise

    async def interrupt() -> None:
        await wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        spawn_system_task(interrupt)
        async with open_nursery() as nursery:
            nursery.start_soon(child)

    with pytest.raises(BaseExceptionGroup) as caught:
        ctrio.run(main)
    assert tree(caught.value) == [KeyboardInterrupt]
    assert seen == ["KeyboardInterrupt"]
