"""The coroutines that async functions in C return: every way in, every way out.

Which slot of theirs `await` calls depends on CPython's version, on whether the
program is traced, and on whether there is a result.
"""

from __future__ import annotations

import collections.abc
import gc
import inspect
import sys
import types
import warnings
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import outcome
import pytest

import ctrio
from ctrio.lowlevel import (
    Abort,
    cancel_shielded_checkpoint,
    checkpoint,
    current_task,
    reschedule,
    wait_task_rescheduled,
)
from ctrio.testing import trio_test, wait_all_tasks_blocked

# --- every way in -------------------------------------------------------------------


async def by_await(coro: Coroutine[Any, Any, object]) -> object:
    return await coro


@types.coroutine
def by_send(coro: Coroutine[Any, Any, object]) -> Generator[object, object, object]:
    sent = None
    try:
        while True:
            sent = yield coro.send(sent)
    except StopIteration as stop:
        return stop.value


@types.coroutine
def by_next(coro: Coroutine[Any, Any, object]) -> Generator[object, object, object]:
    iterator = coro.__await__()
    try:
        while True:
            yield next(iterator)
    except StopIteration as stop:
        return stop.value


@types.coroutine
def by_yield_from(
    coro: Coroutine[Any, Any, object],
) -> Generator[object, object, object]:
    return (yield from coro.__await__())


class Awaitable:
    def __init__(self, coro: Coroutine[Any, Any, object]) -> None:
        self.coro = coro

    def __await__(self) -> Generator[object, object, object]:
        return self.coro.__await__()


async def by_an_awaitable(coro: Coroutine[Any, Any, object]) -> object:
    return await Awaitable(coro)


WAYS = [by_await, by_send, by_next, by_yield_from, by_an_awaitable]


@contextmanager
def untraced() -> Iterator[None]:
    yield


@contextmanager
def traced() -> Iterator[None]:
    def trace(frame: object, event: str, arg: object) -> Any:
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@contextmanager
def profiled() -> Iterator[None]:
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, arg: None)
    try:
        yield
    finally:
        sys.setprofile(before)


@contextmanager
def monitored() -> Iterator[None]:
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        pytest.skip("sys.monitoring came with CPython 3.12")
    events = monitoring.events
    wanted = (events.CALL, events.PY_YIELD, events.PY_RESUME, events.STOP_ITERATION)
    monitoring.use_tool_id(monitoring.PROFILER_ID, "test_coroutine")
    try:
        for event in wanted:
            monitoring.register_callback(
                monitoring.PROFILER_ID, event, lambda *args: None
            )
        monitoring.set_events(monitoring.PROFILER_ID, sum(wanted))
        yield
    finally:
        monitoring.set_events(monitoring.PROFILER_ID, 0)
        monitoring.free_tool_id(monitoring.PROFILER_ID)


WATCHED = [untraced, traced, profiled, monitored]

RESULTS: list[object] = [
    None,
    12,
    10**30,
    "text",
    b"bytes",
    1.5,
    True,
    (),
    (1,),
    (1, 2),
    ["list"],
    ValueError("as a value"),
    StopIteration(3),
    StopIteration,
]


async def wait_for(result: object) -> object:
    """Wait once; return `result`."""
    task = current_task()
    token = ctrio.lowlevel.current_trio_token()
    token.run_sync_soon(reschedule, task, outcome.Value(result))
    return await wait_task_rescheduled(lambda _: Abort.FAILED)


@pytest.mark.parametrize("watch", WATCHED)
@pytest.mark.parametrize("way", WAYS)
@trio_test
async def test_a_result_arrives_whichever_way(way: Any, watch: Any) -> None:
    task = current_task()
    token = ctrio.lowlevel.current_trio_token()
    with watch():
        for result in RESULTS * 20:  # often: CPython specialises what is hot
            token.run_sync_soon(reschedule, task, outcome.Value(result))
            assert await way(wait_task_rescheduled(lambda _: Abort.FAILED)) is result
            await way(checkpoint())
            await way(cancel_shielded_checkpoint())
            assert await way(ctrio.sleep(0)) is None


@pytest.mark.parametrize("watch", WATCHED)
@pytest.mark.parametrize("way", WAYS)
@trio_test
async def test_a_result_without_a_wait_arrives_too(way: Any, watch: Any) -> None:
    with watch():
        for _ in range(20):
            manager = ctrio.open_nursery()
            nursery = await way(manager.__aenter__())
            assert isinstance(nursery, ctrio.Nursery)
            nursery.start_soon(checkpoint)
            assert await way(manager.__aexit__(None, None, None))


@pytest.mark.parametrize("watch", WATCHED)
@pytest.mark.parametrize("way", WAYS)
@trio_test
async def test_an_exception_arrives_whichever_way(way: Any, watch: Any) -> None:
    task = current_task()
    token = ctrio.lowlevel.current_trio_token()
    with watch():
        for error in (KeyError("k"), StopAsyncIteration(), OSError(1, "x")):
            token.run_sync_soon(reschedule, task, outcome.Error(error))
            with pytest.raises(type(error)) as caught:
                await way(wait_task_rescheduled(lambda _: Abort.FAILED))
            assert caught.value is error
        with ctrio.CancelScope() as scope:
            scope.cancel()
            await way(ctrio.sleep_forever())
        assert scope.cancelled_caught


@pytest.mark.parametrize("watch", WATCHED)
def test_a_task_s_own_coroutine_may_be_one_of_ours(watch: Any) -> None:
    with watch():
        assert ctrio.run(checkpoint) is None
        assert ctrio.run(ctrio.sleep, 0) is None
        assert ctrio.run(wait_for, (1, 2)) == (1, 2)


@trio_test
async def test_a_value_is_not_kept_alive_by_having_been_returned() -> None:
    class Value:
        pass

    value = Value()
    died = weakref.ref(value)
    assert await wait_for(value) is value
    del value
    await checkpoint()
    gc.collect()
    assert died() is None


# --- refusals -----------------------------------------------------------------------


@trio_test
async def test_it_can_be_awaited_once() -> None:
    coro = ctrio.sleep(0)
    await coro
    for again in (lambda: coro.send(None), lambda: coro.throw(KeyError())):
        with pytest.raises(RuntimeError, match="^cannot reuse already awaited cor"):
            again()
    with pytest.raises(RuntimeError, match="^cannot reuse already awaited coroutine$"):
        await coro
    coro.close()


@trio_test
async def test_two_tasks_cannot_await_the_same() -> None:
    coro = ctrio.sleep_forever()

    async def child() -> None:
        await coro

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(child)
        await wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="^coroutine is being awaited already$"):
            await coro
        nursery.cancel_scope.cancel()


@trio_test
async def test_a_fresh_one_takes_no_value() -> None:
    coro = ctrio.sleep(0)
    text = "^can't send non-None value to a just-started coroutine$"
    with pytest.raises(TypeError, match=text):
        coro.send(1)
    await coro  # and is none the worse


@trio_test
async def test_a_closed_one_cannot_be_awaited() -> None:
    coro = ctrio.sleep(0)
    coro.close()
    coro.close()
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        await coro


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        ((KeyError("x"),), KeyError, "'x'"),
        ((KeyError,), KeyError, ""),
        ((KeyError, "y", None), KeyError, "'y'"),
        ((KeyError, KeyError("z"), None), KeyError, "'z'"),
        ((), TypeError, "throw expected at least 1 argument, got 0"),
        ((1, 2, 3, 4), TypeError, "throw expected at most 3 arguments, got 4"),
        (
            (3,),
            TypeError,
            (
                "exceptions must be classes or instances deriving from BaseException"
                ", not int"
            ),
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:the .type, exc, tb. signature:DeprecationWarning")
@trio_test
async def test_throw_takes_one_to_three_arguments(
    args: Any, error: type[BaseException], text: str
) -> None:
    for through_wrapper in (False, True):
        coro = ctrio.sleep(0)
        thrower: Any = coro.__await__() if through_wrapper else coro
        with pytest.raises(error) as caught:
            thrower.throw(*args)
        assert str(caught.value) == text
        coro.close()


@trio_test
async def test_what_is_thrown_keeps_its_traceback_and_gets_no_context() -> None:
    try:
        raise KeyError("kept")
    except KeyError as exc:
        error = exc
    where = error.__traceback__
    coro = ctrio.sleep(0)
    try:
        try:
            raise LookupError
        except LookupError:
            coro.throw(error)
    except KeyError as exc:
        assert exc is error
        assert exc.__context__ is None
        frames = []
        traceback = exc.__traceback__
        while traceback is not None:
            frames.append(traceback)
            traceback = traceback.tb_next
        assert frames[-1] is where


@trio_test
async def test_only_the_scheduler_can_wake_it() -> None:
    event = ctrio.Event()
    tasks = []

    async def child() -> None:
        tasks.append(current_task())
        await event.wait()

    with pytest.raises(BaseException) as caught:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(child)
            await wait_all_tasks_blocked()
            with pytest.raises((RuntimeError, AttributeError)):
                tasks[0].coro.send(None)
            nursery.cancel_scope.cancel()
    # Its coroutine has ended behind the scheduler's back.
    [error] = caught.value.exceptions  # type: ignore[attr-defined]
    assert str(error) == "cannot reuse already awaited coroutine"


# --- what people look at --------------------------------------------------------------


@trio_test
async def test_it_is_a_coroutine_and_nothing_else() -> None:
    coro = ctrio.sleep(0)
    assert isinstance(coro, collections.abc.Coroutine)
    assert isinstance(coro, collections.abc.Awaitable)
    assert not isinstance(coro, collections.abc.Generator)
    assert not isinstance(coro, collections.abc.Iterable)
    assert inspect.isawaitable(coro)
    with pytest.raises(TypeError, match="object is not iterable"):
        iter(coro)  # type: ignore[call-overload]
    assert weakref.ref(coro)() is coro
    await coro


def test_it_tells_its_name_and_state() -> None:
    states = []

    async def main() -> None:
        coro = ctrio.sleep_forever()
        assert coro.__name__ == "sleep_forever"
        assert coro.__qualname__ == "sleep_forever"
        assert repr(coro).startswith("<coroutine object sleep_forever at 0x")
        assert ctrio.Event().wait.__qualname__ == "Event.wait"

        async def child() -> None:
            await coro

        def note() -> None:
            frame = coro.cr_frame
            states.append(
                (
                    inspect.getcoroutinestate(coro),
                    coro.cr_running,
                    frame is not None and frame.f_code.co_name,
                )
            )

        note()
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(child)
            await wait_all_tasks_blocked()
            note()
            nursery.cancel_scope.cancel()
        note()

    ctrio.run(main)
    assert states == [
        (inspect.CORO_CREATED, False, "sleep_forever"),
        (inspect.CORO_SUSPENDED, False, "sleep_forever"),
        (inspect.CORO_CLOSED, False, False),
    ]


@trio_test
async def test_it_tells_whether_it_runs_waits_or_is_over() -> None:
    limiter, states = ctrio.CapacityLimiter(1), []

    class Borrower:
        def __hash__(self) -> int:  # asked for at the first step
            note()
            return 1

    def note() -> None:
        python_s = inspect.getcoroutinestate(coro)
        states.append((python_s, coro.cr_running, coro.cr_suspended))
        assert coro.cr_state == python_s

    limiter.acquire_on_behalf_of_nowait("another")
    coro: Any = limiter.acquire_on_behalf_of(Borrower())
    assert not inspect.iscoroutine(coro)
    assert inspect.isawaitable(coro)
    note()
    coro.send(None)
    note()
    coro.close()
    note()
    assert states == [
        (inspect.CORO_CREATED, False, False),
        (inspect.CORO_RUNNING, True, False),
        (inspect.CORO_SUSPENDED, False, True),
        (inspect.CORO_CLOSED, False, False),
    ]


@trio_test
async def test_a_debugger_finds_its_code_and_a_frame_without_a_caller() -> None:
    coro = ctrio.sleep(0)
    assert coro.cr_code is ctrio.sleep.__code__
    assert coro.cr_frame.f_back is None
    assert coro.cr_frame.f_code.co_filename == coro.cr_code.co_filename
    assert coro.cr_await is None
    assert coro.cr_origin is None
    await coro
    assert coro.cr_frame is None


@trio_test
async def test_the_chain_of_awaits_leads_to_it() -> None:
    event = ctrio.Event()
    tasks = []

    async def inner() -> None:
        await event.wait()

    async def outer() -> None:
        tasks.append(current_task())
        await inner()

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(outer)
        await wait_all_tasks_blocked()
        awaited: Any = tasks[0].coro
        names = []
        while awaited is not None and hasattr(awaited, "cr_await"):
            names.append(awaited.__name__)
            awaited = awaited.cr_await
        assert names[:3] == ["outer", "inner", "wait"]
        event.set()


# --- never awaited ------------------------------------------------------------------


def never_awaited(make: Callable[[], object]) -> list[str]:
    """Drop what `make` makes; the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = make()
        del made
        gc.collect()
    return [str(warning.message) for warning in caught]


def test_one_that_nobody_awaited_warns() -> None:
    assert never_awaited(lambda: ctrio.sleep(1)) == [
        "coroutine 'sleep' was never awaited"
    ]
    assert never_awaited(ctrio.Event().wait) == [
        "coroutine 'Event.wait' was never awaited"
    ]


@trio_test
async def test_it_warns_again_in_recycled_memory() -> None:
    for _ in range(3):
        assert len(never_awaited(checkpoint)) == 1
        await checkpoint()
        for coro in [checkpoint() for _ in range(600)]:  # more than are kept
            await coro
        assert len(never_awaited(checkpoint)) == 1
        assert len(never_awaited(lambda: [checkpoint() for _ in range(20)])) == 20


def test_one_in_a_cycle_warns_as_well() -> None:
    def make() -> object:
        cycle: list[object] = [ctrio.sleep(1)]
        cycle.append(cycle)
        return cycle

    assert never_awaited(make) == ["coroutine 'sleep' was never awaited"]


def test_one_that_was_closed_or_thrown_into_does_not_warn() -> None:
    def thrown() -> None:
        with pytest.raises(KeyError):
            ctrio.sleep(1).throw(KeyError())

    assert never_awaited(lambda: ctrio.sleep(1).close()) == []
    assert never_awaited(thrown) == []


def test_a_call_with_wrong_arguments_does_not_warn() -> None:
    def wrong() -> None:
        with pytest.raises(TypeError):
            ctrio.sleep()  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            ctrio.Event().wait(1)  # type: ignore[call-arg]

    assert never_awaited(wrong) == []


def test_the_warning_tells_where_it_was_made_if_that_is_tracked() -> None:
    before = sys.get_coroutine_origin_tracking_depth()
    sys.set_coroutine_origin_tracking_depth(2)
    origins = []

    def make() -> object:
        coro = ctrio.sleep(1)
        origins.append(coro.cr_origin)
        return coro

    try:
        [text] = never_awaited(make)
        [again] = never_awaited(make)
    finally:
        sys.set_coroutine_origin_tracking_depth(before)
    assert text.startswith("coroutine 'sleep' was never awaited\nCoroutine created at")
    assert "in never_awaited" in text
    assert text.endswith("coro = ctrio.sleep(1)")
    assert again == text
    [(file, _, name), (_, _, caller)] = origins[0]
    assert (file, name, caller) == (__file__, "make", "never_awaited")


def test_as_an_error_the_warning_is_reported_and_changes_nothing() -> None:
    reported: list[Any] = []
    before = sys.unraisablehook
    sys.unraisablehook = reported.append
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(2):
                try:
                    raise KeyError
                except KeyError as exc:
                    ctrio.sleep(1)
                    gc.collect()
                    assert sys.exc_info()[1] is exc
    finally:
        sys.unraisablehook = before
    assert [str(report.exc_value) for report in reported] == [
        "coroutine 'sleep' was never awaited"
    ] * 2
    assert all(report.exc_type is RuntimeWarning for report in reported)
