"""`trio.to_thread` and `trio.from_thread`."""

from __future__ import annotations

import contextvars
import inspect
import sys
import threading
import types
import weakref
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

import pytest

import ctrio
from ctrio import CapacityLimiter, from_thread, lowlevel, to_thread
from ctrio._threads import PARENT_TASK_DATA
from ctrio.testing import (
    active_thread_count,
    trio_test,
    wait_all_tasks_blocked,
    wait_all_threads_completed,
)

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


@trio_test
async def test_it_runs_in_another_thread_and_returns_or_raises() -> None:
    here = threading.current_thread()
    there = await to_thread.run_sync(threading.current_thread)
    assert there is not here
    assert there.daemon
    assert await to_thread.run_sync(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await to_thread.run_sync(divmod, 7, 0)


@trio_test
async def test_the_thread_is_named_after_function_and_task() -> None:
    def name() -> str:
        return threading.current_thread().name

    task = ctrio.lowlevel.current_task().name
    assert await to_thread.run_sync(name) == f"name from {task}"
    assert await to_thread.run_sync(name, thread_name="other") == "other"


@trio_test
async def test_context_variables_go_along_and_do_not_come_back() -> None:
    def change() -> str:
        before = variable.get()
        variable.set("there")
        return before

    variable.set("here")
    assert await to_thread.run_sync(change) == "here"
    assert variable.get() == "here"


@trio_test
async def test_sniffio_sees_no_trio_in_the_thread() -> None:
    import sniffio

    sniffio.current_async_library_cvar.set("trio")

    def ask() -> None:
        with pytest.raises(sniffio.AsyncLibraryNotFoundError):
            sniffio.current_async_library()

    await to_thread.run_sync(ask)


@trio_test
async def test_an_async_function_is_refused() -> None:
    async def function() -> None: ...

    for wrong in (function, ctrio.lowlevel.checkpoint):
        with pytest.raises(TypeError, match="expected a sync function, but '.*' app"):
            await to_thread.run_sync(wrong)  # type: ignore[unused-coroutine]


@trio_test
async def test_cancelled_before_it_starts_nothing() -> None:
    with ctrio.CancelScope() as scope:
        scope.cancel()
        await to_thread.run_sync(pytest.fail)
    assert scope.cancelled_caught
    assert to_thread.current_default_thread_limiter().borrowed_tokens == 0


@trio_test
async def test_cancelled_meanwhile_it_waits_for_the_thread() -> None:
    go = threading.Event()
    results: list[bool] = []

    async def call() -> None:
        results.append(await to_thread.run_sync(go.wait, 30))

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        go.set()
    assert results == [True]
    assert not nursery.cancel_scope.cancelled_caught


@trio_test
async def test_told_to_abandon_it_leaves_and_the_token_stays_borrowed() -> None:
    go = threading.Event()
    limiter = CapacityLimiter(1)

    async def call() -> None:
        await to_thread.run_sync(go.wait, 30, abandon_on_cancel=True, limiter=limiter)

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert nursery.cancel_scope.cancelled_caught
    assert limiter.borrowed_tokens == 1
    go.set()
    async with limiter:  # it comes back when the thread is through
        pass


def test_an_abandoned_thread_may_outlive_the_run() -> None:
    go, ended = threading.Event(), threading.Event()

    def work() -> None:
        go.wait(30)
        ended.set()

    async def main() -> None:
        async with ctrio.open_nursery() as nursery:
            call = partial(to_thread.run_sync, work, abandon_on_cancel=True)
            nursery.start_soon(call)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    ctrio.run(main)
    go.set()
    assert ended.wait(30)


class Limiter:
    """Like a limiter, and can fail."""

    def __init__(self, fail_on_release: bool = False) -> None:
        self.calls: list[str] = []
        self.borrowers: list[object] = []
        self.fail_on_release = fail_on_release

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        self.calls.append("acquire")
        self.borrowers.append(borrower)

    def release_on_behalf_of(self, borrower: object) -> None:
        self.calls.append("release")
        self.borrowers.append(borrower)
        if self.fail_on_release:
            raise ValueError("release")


@trio_test
async def test_any_limiter_will_do() -> None:
    limiter = Limiter()
    await to_thread.run_sync(int, limiter=limiter)  # type: ignore[arg-type]
    assert limiter.calls == ["acquire", "release"]
    assert limiter.borrowers[0] is limiter.borrowers[1]
    failing = Limiter(fail_on_release=True)
    with pytest.raises(ValueError, match="release") as caught:
        await to_thread.run_sync(divmod, 1, 0, limiter=failing)  # type: ignore[arg-type]
    assert isinstance(caught.value.__context__, ZeroDivisionError)


@trio_test
async def test_when_the_limiter_fails_too_its_error_ends_in_the_function_s() -> None:
    class Failing(Limiter):
        def release_on_behalf_of(self, borrower: object) -> None:
            try:
                {}["nothing"]
            except KeyError:
                raise ValueError("release")  # noqa: B904

    with pytest.raises(ValueError, match="release") as caught:
        await to_thread.run_sync(divmod, 1, 0, limiter=Failing())  # type: ignore[arg-type]
    own = caught.value.__context__
    assert isinstance(own, KeyError)
    assert isinstance(own.__context__, ZeroDivisionError)
    with pytest.raises(ValueError, match="release") as caught:
        await to_thread.run_sync(int, limiter=Failing())  # type: ignore[arg-type]
    assert isinstance(caught.value.__context__, KeyError)


@trio_test
async def test_a_borrower_can_be_told_from_others() -> None:
    limiter = Limiter()
    for _ in range(2):
        await to_thread.run_sync(int, limiter=limiter)  # type: ignore[arg-type]
    first, _, second, _ = limiter.borrowers
    names = [str(getattr(borrower, "name", None)) for borrower in (first, second)]
    assert all(name.startswith("trio.to_thread.run_sync-") for name in names)
    assert names[0] != names[1]
    assert repr(first) == f"ThreadPlaceholder(name={names[0]!r})"
    assert len({first, second}) == 2
    assert weakref.ref(first)() is first


@trio_test
async def test_a_thread_that_cannot_be_started_gives_its_token_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("ctrio._threads.start_thread_soon", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        await to_thread.run_sync(int)
    assert to_thread.current_default_thread_limiter().borrowed_tokens == 0
    assert active_thread_count() == 0


@trio_test
async def test_the_default_limiter_is_the_run_s() -> None:
    limiter = to_thread.current_default_thread_limiter()
    assert limiter is to_thread.current_default_thread_limiter()
    assert limiter.total_tokens == 40


@trio_test
async def test_active_threads_are_counted_and_waited_for() -> None:
    go = threading.Event()
    assert active_thread_count() == 0
    await wait_all_threads_completed()
    order: list[str] = []

    async def wait() -> None:
        await wait_all_threads_completed()
        order.append("completed")

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(to_thread.run_sync, go.wait, 30)
        nursery.start_soon(to_thread.run_sync, go.wait, 30)
        await wait_all_tasks_blocked()
        assert active_thread_count() == 2
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert not order
        go.set()
    assert order == ["completed"]
    assert active_thread_count() == 0


@trio_test
async def test_from_thread_runs_in_the_task_that_waits() -> None:
    task = ctrio.lowlevel.current_task()

    async def in_task(value: int) -> int:
        assert ctrio.lowlevel.current_task() is task
        assert variable.get() == "thread"
        variable.set("task")
        await ctrio.lowlevel.checkpoint()
        assert variable.get() == "task"
        return value + 1

    def in_task_sync(value: int) -> int:
        assert ctrio.lowlevel.current_task() is task
        assert variable.get() == "thread"
        return value * 2

    def work() -> tuple[int, int]:
        variable.set("thread")
        answers = from_thread.run(in_task, 1), from_thread.run_sync(in_task_sync, 2)
        assert variable.get() == "thread"
        return answers

    variable.set("outside")
    assert await to_thread.run_sync(work) == (2, 4)
    assert variable.get() == "outside"


@trio_test
async def test_from_thread_raises_what_was_raised() -> None:
    async def fail() -> None:
        raise KeyError("async")

    def fail_sync() -> None:
        raise KeyError("sync")

    def work() -> None:
        with pytest.raises(KeyError, match="async"):
            from_thread.run(fail)
        with pytest.raises(KeyError, match="sync"):
            from_thread.run_sync(fail_sync)
        with pytest.raises(TypeError, match="appears to be synchronous"):
            from_thread.run(int)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="expected a synchronous function"):
            from_thread.run_sync(fail)  # type: ignore[unused-coroutine]

    await to_thread.run_sync(work)


@trio_test
async def test_what_the_thread_runs_is_cancelled_with_the_task() -> None:
    seen: list[str] = []

    def work() -> None:
        try:
            from_thread.run(ctrio.sleep_forever)
        except ctrio.Cancelled:
            seen.append("cancelled")
            raise

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(to_thread.run_sync, work)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert seen == ["cancelled"]
    assert nursery.cancel_scope.cancelled_caught


@pytest.mark.parametrize("abandon", [False, True])
def test_a_thread_can_ask_whether_its_task_was_cancelled(abandon: bool) -> None:
    asked, go, ended = threading.Event(), threading.Event(), threading.Event()
    seen: list[str] = []

    def work() -> None:
        from_thread.check_cancelled()
        seen.append("not yet")
        asked.set()
        go.wait(30)
        try:
            from_thread.check_cancelled()
        except ctrio.Cancelled as exc:
            seen.append(str(exc.reason))
            raise
        finally:
            ended.set()

    async def call() -> None:
        await to_thread.run_sync(work, abandon_on_cancel=abandon)

    async def main() -> None:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(call)
            await to_thread.run_sync(asked.wait, 30)
            nursery.cancel_scope.cancel("enough")
            go.set()
        assert nursery.cancel_scope.cancelled_caught

    ctrio.run(main)
    assert ended.wait(30)
    assert seen == ["not yet", "enough"]


@trio_test
async def test_an_abandoned_thread_gets_a_task_of_its_own() -> None:
    task = ctrio.lowlevel.current_task()

    async def in_trio() -> bool:
        return ctrio.lowlevel.current_task() is task

    assert not await to_thread.run_sync(
        from_thread.run, in_trio, abandon_on_cancel=True
    )


def call_from_foreign_thread(call: Callable[[], object]) -> Callable[[], object]:
    """Start a thread that ctrio knows nothing of; its result is to be called for."""
    answers: list[object] = []

    def work() -> None:
        try:
            answers.append(call())
        except BaseException as exc:
            answers.append(exc)

    thread = threading.Thread(target=work)
    thread.start()

    def result() -> object:
        thread.join()
        return answers[0]

    return result


@trio_test
async def test_a_foreign_thread_needs_a_token() -> None:
    token = ctrio.lowlevel.current_trio_token()

    async def answer() -> str:
        return ctrio.lowlevel.current_task().name

    def work() -> None:
        for call in (
            lambda: from_thread.run(answer),
            lambda: from_thread.run_sync(int),
        ):
            with pytest.raises(RuntimeError, match="pass kwarg trio_token="):
                call()
        with pytest.raises(RuntimeError, match="not of type TrioToken"):
            from_thread.run(answer, trio_token=3)  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="can't check for cancellation"):
            from_thread.check_cancelled()
        assert from_thread.run(answer, trio_token=token).endswith("answer")
        assert from_thread.run_sync(int, "3", trio_token=token) == 3

    foreign = call_from_foreign_thread(work)
    assert await to_thread.run_sync(foreign) is None


@trio_test
async def test_a_task_must_not_block_on_itself() -> None:
    token = ctrio.lowlevel.current_trio_token()
    for call in (from_thread.run, from_thread.run_sync):
        with pytest.raises(RuntimeError, match="this is a blocking function"):
            call(int, trio_token=token)  # type: ignore[operator]


def test_a_run_that_has_ended_says_so() -> None:
    async def main() -> ctrio.lowlevel.TrioToken:
        return ctrio.lowlevel.current_trio_token()

    token = ctrio.run(main)
    for call in (
        lambda: from_thread.run(ctrio.sleep, 0, trio_token=token),
        lambda: from_thread.run_sync(int, trio_token=token),
    ):
        with pytest.raises(ctrio.RunFinishedError):
            call()


def test_a_run_that_is_ending_takes_nothing_from_foreign_threads() -> None:
    refused: list[object] = []

    async def generator() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            token = lowlevel.current_trio_token()

            def enter() -> None:
                with pytest.raises(ctrio.RunFinishedError):
                    from_thread.run(ctrio.sleep, 0, trio_token=token)
                refused.append(from_thread.run_sync(int, "3", trio_token=token))

            with ctrio.CancelScope(shield=True):
                await to_thread.run_sync(enter, abandon_on_cancel=True)

    async def main() -> None:
        kept.append(generator())
        await kept[0].__anext__()

    kept: list[AsyncGenerator[None, None]] = []
    ctrio.run(main)
    assert refused == [3]


@trio_test
async def test_nothing_is_left_in_the_thread() -> None:
    def look() -> dict[str, object]:
        return dict(PARENT_TASK_DATA.__dict__)

    within = await to_thread.run_sync(look)
    assert set(within) == {
        "token",
        "abandon_on_cancel",
        "cancel_register",
        "task_register",
    }
    outside: list[dict[str, object]] = []
    done = threading.Event()

    def deliver(outcome: object) -> None:
        done.set()

    ctrio.lowlevel.start_thread_soon(lambda: outside.append(look()), deliver)
    assert done.wait(30)
    assert outside == [{}]


# --- what others look into ------------------------------------------------------------


def test_the_functions_are_python_s_with_the_names_that_others_read() -> None:
    """stackscope finds the thread of a task, and the task of a thread, by these."""
    run_sync: Any = to_thread.run_sync
    assert inspect.isfunction(run_sync)
    assert {"thread_name", "worker_fn"} <= set(run_sync.__code__.co_varnames)
    for function in (from_thread.run, from_thread.run_sync):
        assert inspect.isfunction(function)
        assert "trio_token" in function.__code__.co_varnames
        assert "_send_message_to_trio" in function.__code__.co_names
    send: Any = ctrio._threads._send_message_to_trio
    assert {"trio_token", "message_to_trio"} <= set(send.__code__.co_varnames)
    for message in (ctrio._threads.Run, ctrio._threads.RunSync):
        assert inspect.isfunction(message.run_in_host_task)
        assert inspect.isfunction(message.run_in_system_nursery)


@trio_test
async def test_a_task_that_waits_for_a_thread_shows_which() -> None:
    task, token = lowlevel.current_task(), lowlevel.current_trio_token()
    finished, codes, seen = threading.Event(), [], {}
    code = to_thread.run_sync.__code__

    def look() -> None:
        frames = [frame for frame, _ in task.iter_await_frames()]
        [frame] = [frame for frame in frames if frame.f_code is code]
        seen.update(frame.f_locals)
        finished.set()

    def work() -> None:
        frame: types.FrameType | None = sys._getframe()
        while frame is not None:
            codes.append(frame.f_code)
            frame = frame.f_back
        token.run_sync_soon(look)
        assert finished.wait(60)

    await to_thread.run_sync(work, thread_name="the thread")
    assert seen["thread_name"] == "the thread"
    assert seen["worker_fn"].__code__ in codes
