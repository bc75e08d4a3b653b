"""run(): its result, its shutdown, what breaks it, and what is left afterwards."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import weakref
from typing import Any

import outcome
import pytest
import sniffio

import ctrio
from ctrio import CancelScope, TrioInternalError, open_nursery
from ctrio.lowlevel import (
    Abort,
    checkpoint,
    current_root_task,
    current_task,
    current_trio_token,
    in_trio_run,
    permanently_detach_coroutine_object,
    spawn_system_task,
    wait_task_rescheduled,
)
from ctrio.testing import wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


async def nothing() -> None:
    pass


# --- the result -----------------------------------------------------------------------


def test_run_returns_what_the_function_returns() -> None:
    async def echo(*args: object) -> object:
        return args

    assert ctrio.run(echo, 1, "two", None) == (1, "two", None)
    result = object()

    async def give() -> object:
        await checkpoint()
        return result

    assert ctrio.run(give) is result
    assert ctrio.run(nothing) is None


def test_run_raises_what_the_function_raises() -> None:
    for error in (KeyError("x"), KeyboardInterrupt(), SystemExit(3), StopIteration()):

        async def fail(error: BaseException = error) -> None:
            await checkpoint()
            raise error

        with pytest.raises(BaseException) as caught:
            ctrio.run(fail)
        if isinstance(error, StopIteration):  # no coroutine lets it out
            assert isinstance(caught.value, RuntimeError)
        else:
            assert caught.value is error


def test_a_cancelled_that_nobody_catches_comes_out() -> None:
    async def main() -> None:
        raise ctrio.Cancelled._create()

    with pytest.raises(ctrio.Cancelled):
        ctrio.run(main)


def test_runs_follow_one_another() -> None:
    runners = []
    for _ in range(3):

        async def main() -> None:
            runners.append(id(current_root_task()))
            await checkpoint()

        ctrio.run(main)
        assert not in_trio_run()
    assert len(runners) == 3


def test_a_run_inside_a_run_is_refused_and_disturbs_nobody() -> None:
    async def main() -> str:
        text = r"^Attempted to call run\(\) from inside a run\(\)$"
        for _ in range(2):
            with pytest.raises(RuntimeError, match=text):
                ctrio.run(nothing)
            await checkpoint()
        return current_task().name

    assert ctrio.run(main).endswith("main")


def test_each_thread_may_have_its_own_run() -> None:
    barrier = threading.Barrier(3)
    results = []

    async def main(number: int) -> None:
        barrier.wait()  # all three are in the middle of a run
        await checkpoint()
        results.append((number, threading.get_ident(), current_task().name))
        barrier.wait()

    threads = [
        threading.Thread(target=ctrio.run, args=(main, number)) for number in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, _, _ in results) == [0, 1, 2]
    assert len({ident for _, ident, _ in results}) == 3


def test_a_run_in_a_thread_of_a_run_is_another_one() -> None:
    async def inner() -> object:
        return current_root_task()

    async def main() -> None:
        root = await ctrio.to_thread.run_sync(ctrio.run, inner)
        assert root is not current_root_task()

    ctrio.run(main)


# --- shutdown -------------------------------------------------------------------------


def test_system_tasks_end_after_the_main_task_and_async_generators_after_them() -> None:
    events: list[str] = []
    kept = []

    async def system_task() -> None:
        try:
            await ctrio.sleep_forever()
        finally:
            events.append("system task")

    async def generate() -> Any:
        try:
            yield 1
        finally:
            events.append("async generator")

    async def main() -> None:
        spawn_system_task(system_task)
        generator = generate()
        kept.append(generator)
        await generator.__anext__()
        await checkpoint()
        events.append("main")

    ctrio.run(main)
    assert events == ["main", "system task", "async generator"]


def test_what_is_queued_at_the_end_is_called_before_run_returns() -> None:
    events: list[str] = []

    async def system_task() -> None:
        try:
            await ctrio.sleep_forever()
        finally:
            current_trio_token().run_sync_soon(events.append, "from the system task")

    async def main() -> None:
        spawn_system_task(system_task)
        await checkpoint()
        current_trio_token().run_sync_soon(events.append, "from main")

    ctrio.run(main)
    assert events == ["from main", "from the system task"]


def test_the_main_task_s_result_waits_for_the_shutdown() -> None:
    async def slow_to_leave() -> None:
        try:
            await ctrio.sleep_forever()
        finally:
            with CancelScope(shield=True):
                for _ in range(10):
                    await checkpoint()
            left.append(True)

    left: list[bool] = []

    async def main() -> str:
        spawn_system_task(slow_to_leave)
        await checkpoint()
        return "result"

    assert ctrio.run(main) == "result"
    assert left == [True]


# --- what breaks it -------------------------------------------------------------------


def test_a_system_task_that_fails_breaks_the_run() -> None:
    error = KeyError("system task")
    ended = []

    async def fails() -> None:
        raise error

    async def main() -> None:
        spawn_system_task(fails)
        try:
            await ctrio.sleep_forever()
        finally:
            ended.append(True)

    text = "^internal error in Trio - please file a bug!$"
    with pytest.raises(TrioInternalError, match=text) as caught:
        ctrio.run(main)
    cause: Any = caught.value.__cause__
    while isinstance(cause, ExceptionGroup):
        [cause] = cause.exceptions
    assert cause is error
    assert ended == [True]


@pytest.mark.filterwarnings("ignore:.*strict_exception_groups")
def test_loose_groups_are_loose_around_system_tasks_too() -> None:
    async def fails() -> None:
        raise ValueError("on purpose")

    async def main() -> None:
        spawn_system_task(fails)
        await ctrio.sleep_forever()

    with pytest.raises(TrioInternalError) as caught:
        ctrio.run(main, strict_exception_groups=False)
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_abort_function_that_answers_nonsense_breaks_the_run() -> None:
    for answer in (None, True, 1, "SUCCEEDED"):

        async def main(answer: object = answer) -> None:
            with CancelScope() as scope:
                scope.cancel()
                await wait_task_rescheduled(lambda _: answer)  # type: ignore[arg-type, return-value]

        text = "^abort function must return Abort enum$"
        with ignored_finalisers(), pytest.raises(TrioInternalError, match=text):
            ctrio.run(main)


def test_an_abort_function_that_raises_breaks_the_run() -> None:
    error = KeyError("abort_fn")

    def abort_fn(raise_cancel: object) -> Abort:
        raise error

    async def main() -> None:
        with CancelScope() as scope:
            scope.cancel()
            await wait_task_rescheduled(abort_fn)

    with ignored_finalisers(), pytest.raises(TrioInternalError) as caught:
        ctrio.run(main)
    assert caught.value.__cause__ is error


class ignored_finalisers:
    """For runs that break down: what their coroutines say when they are collected."""

    def __enter__(self) -> None:
        self.before = sys.unraisablehook
        sys.unraisablehook = lambda report: None

    def __exit__(self, *args: object) -> None:
        gc.collect()
        sys.unraisablehook = self.before


def test_after_a_breakdown_another_run_works() -> None:
    async def breaks() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            nursery.start_soon(ctrio.sleep, 1000)
            with CancelScope() as scope:
                scope.cancel()
                await wait_task_rescheduled(lambda _: None)  # type: ignore[arg-type, return-value]

    for _ in range(3):
        with ignored_finalisers(), pytest.raises(TrioInternalError):
            ctrio.run(breaks)
        assert not in_trio_run()
        assert ctrio.run(nothing) is None


def test_finalisers_after_the_run_touch_no_run() -> None:
    """Blocks left open by a run that broke down are left by the garbage collector."""
    events = []

    async def child(nursery: ctrio.Nursery, lock: ctrio.Lock) -> None:
        try:
            with ctrio.move_on_after(5), CancelScope():
                await lock.acquire()
                await ctrio.sleep_forever()
        finally:
            events.append("left")
            with pytest.raises((RuntimeError, AttributeError)):
                nursery.start_soon(nothing)
            with pytest.raises(RuntimeError, match="must be called from async context"):
                current_task()
            with pytest.raises(RuntimeError, match="must be called from async context"):
                lock.release()

    async def main() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(child, nursery, ctrio.Lock())
            await wait_all_tasks_blocked()
            with CancelScope() as scope:
                scope.cancel()
                await wait_task_rescheduled(lambda _: None)  # type: ignore[arg-type, return-value]

    with ignored_finalisers(), pytest.raises(TrioInternalError):
        ctrio.run(main)
    gc.collect()
    assert events == ["left"]


def test_a_coroutine_that_was_detached_may_outlive_its_run() -> None:
    events = []
    coros = []

    async def child() -> None:
        coros.append(current_task().coro)
        with CancelScope() as scope:
            events.append("detaching")
            try:
                await permanently_detach_coroutine_object(outcome.Value(None))
            finally:
                events.append("ends")
                with pytest.raises(RuntimeError):
                    scope.__exit__(None, None, None)

    async def main() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(child)

    with ignored_finalisers():
        ctrio.run(main)
        assert events == ["detaching"]
        with pytest.raises(RuntimeError):  # the exit of its scope
            coros[0].close()
        coros.clear()
    assert events == ["detaching", "ends"]


# --- what is left ---------------------------------------------------------------------


def test_nothing_of_a_run_is_current_afterwards() -> None:
    context = ctrio._core._run.GLOBAL_RUN_CONTEXT
    ctrio.run(nothing)
    assert not in_trio_run()
    for name in ("task", "runner"):
        with pytest.raises(AttributeError):
            getattr(context, name)


def test_everything_of_a_run_is_freed() -> None:
    class Local:
        pass

    died = []

    async def main() -> None:
        local = Local()
        died.append(weakref.ref(local))
        died.append(weakref.ref(current_task()))
        died.append(weakref.ref(current_root_task()))  # type: ignore[arg-type]
        async with open_nursery() as nursery:
            died.append(weakref.ref(nursery))
            nursery.start_soon(checkpoint)

    ctrio.run(main)
    gc.collect()
    assert [ref() for ref in died] == [None] * 4


def test_sniffio_is_told_and_what_was_there_before_is_put_back() -> None:
    async def main() -> str:
        return sniffio.current_async_library()

    async def fail() -> None:
        raise KeyError

    for before in (None, "something"):
        sniffio.thread_local.name = before
        try:
            assert ctrio.run(main) == "trio"
            assert sniffio.thread_local.name == before
            with pytest.raises(KeyError):
                ctrio.run(fail)
            assert sniffio.thread_local.name == before
        finally:
            sniffio.thread_local.name = None
    with pytest.raises(sniffio.AsyncLibraryNotFoundError):
        sniffio.current_async_library()


# --- interrupts -----------------------------------------------------------------------


def test_an_interrupt_in_a_task_is_raised_there() -> None:
    async def main() -> None:
        signal.raise_signal(signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        ctrio.run(main)
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupt_that_nobody_waited_for_is_raised_by_run() -> None:
    async def main() -> str:
        signal.raise_signal(signal.SIGINT)
        return "result"

    with pytest.raises(KeyboardInterrupt) as caught:
        ctrio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)
    assert caught.value.__context__ is None

    async def fail() -> None:
        signal.raise_signal(signal.SIGINT)
        raise KeyError("main")

    with pytest.raises(KeyboardInterrupt) as caught:
        ctrio.run(fail, restrict_keyboard_interrupt_to_checkpoints=True)
    assert repr(caught.value.__context__) == "KeyError('main')"


def test_restricted_to_checkpoints_it_waits_for_one() -> None:
    events = []

    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        events.append("after the signal")
        try:
            await checkpoint()
        except KeyboardInterrupt:
            events.append("at the checkpoint")
        await checkpoint()
        events.append("once")

    ctrio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)
    assert events == ["after the signal", "at the checkpoint", "once"]


def test_an_interrupt_in_a_system_task_goes_to_the_main_task() -> None:
    async def system_task() -> None:
        signal.raise_signal(signal.SIGINT)
        await checkpoint()

    async def main() -> None:
        spawn_system_task(system_task)
        with pytest.raises(KeyboardInterrupt):
            await ctrio.sleep_forever()

    ctrio.run(main)


def test_an_interrupt_in_a_callback_goes_to_the_main_task() -> None:
    async def main() -> None:
        token = current_trio_token()
        token.run_sync_soon(signal.raise_signal, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            await ctrio.sleep_forever()

    ctrio.run(main)
