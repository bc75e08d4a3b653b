"""TrioToken.run_sync_soon(): calls into a run, from anywhere."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import weakref
from typing import Any

import pytest

import ctrio
from ctrio import RunFinishedError, TrioInternalError
from ctrio.lowlevel import (
    TrioToken,
    checkpoint,
    current_root_task,
    current_task,
    current_trio_token,
    spawn_system_task,
)
from ctrio.testing import trio_test, wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


@trio_test
async def test_calls_are_made_in_order_with_their_arguments() -> None:
    token = current_trio_token()
    calls: list[object] = []

    def note(*args: object) -> None:
        calls.append(args)

    for number in range(100):
        token.run_sync_soon(note, number, "x")
    assert calls == []
    await wait_all_tasks_blocked()
    assert calls == [(number, "x") for number in range(100)]


@trio_test
async def test_a_call_may_queue_another() -> None:
    token = current_trio_token()
    calls: list[int] = []

    def again(left: int) -> None:
        calls.append(left)
        if left:
            token.run_sync_soon(again, left - 1)

    token.run_sync_soon(again, 10)
    await wait_all_tasks_blocked()
    assert calls == list(range(10, -1, -1))


@trio_test
async def test_calls_that_queue_calls_for_ever_leave_room_for_tasks() -> None:
    token = current_trio_token()
    stop = False

    def again() -> None:
        if not stop:
            token.run_sync_soon(again)

    token.run_sync_soon(again)
    for _ in range(100):
        await checkpoint()
    stop = True


@trio_test
async def test_equal_idempotent_calls_are_made_once() -> None:
    token = current_trio_token()
    calls: list[object] = []
    for _ in range(3):
        for number in range(3):
            token.run_sync_soon(calls.append, number, idempotent=True)
    token.run_sync_soon(calls.append, 0)
    token.run_sync_soon(calls.append, 0)
    await wait_all_tasks_blocked()
    assert sorted(calls) == [0, 0, 0, 1, 2]  # type: ignore[type-var]
    token.run_sync_soon(calls.append, 0, idempotent=True)
    await wait_all_tasks_blocked()
    assert len(calls) == 6


@trio_test
async def test_an_idempotent_call_may_queue_itself() -> None:
    token = current_trio_token()
    calls: list[int] = []

    def again() -> None:
        calls.append(len(calls))
        if len(calls) < 3:
            token.run_sync_soon(again, idempotent=True)

    token.run_sync_soon(again, idempotent=True)
    await wait_all_tasks_blocked()
    assert calls == [0, 1, 2]


@trio_test
async def test_an_idempotent_call_needs_arguments_that_can_be_hashed() -> None:
    token = current_trio_token()
    calls: list[object] = []
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        token.run_sync_soon(calls.append, [], idempotent=True)
    token.run_sync_soon(calls.append, [])
    await wait_all_tasks_blocked()
    assert calls == [[]]


def test_other_threads_may_queue_calls() -> None:
    calls: list[int] = []

    async def main() -> None:
        token = current_trio_token()
        event = ctrio.Event()

        def thread(number: int) -> None:
            for _ in range(200):
                token.run_sync_soon(calls.append, number)

        threads = [threading.Thread(target=thread, args=(n,)) for n in range(4)]
        for each in threads:
            each.start()

        def joiner() -> None:
            for each in threads:
                each.join()
            token.run_sync_soon(event.set)

        threading.Thread(target=joiner).start()
        await event.wait()  # the calls wake the run
        assert len(calls) == 800

    ctrio.run(main)
    assert sorted(calls) == sorted(list(range(4)) * 200)


def test_a_signal_handler_may_queue_calls() -> None:
    calls = []

    async def main() -> None:
        token = current_trio_token()
        event = ctrio.Event()

        def handler(*args: object) -> None:
            token.run_sync_soon(calls.append, "handled")
            token.run_sync_soon(event.set)

        before = signal.signal(signal.SIGUSR1, handler)
        try:
            signal.raise_signal(signal.SIGUSR1)
            await event.wait()
        finally:
            signal.signal(signal.SIGUSR1, before)

    ctrio.run(main)
    assert calls == ["handled"]


# --- at the end of the run ------------------------------------------------------------


def test_after_the_run_a_call_is_refused() -> None:
    tokens = []

    async def main() -> None:
        tokens.append(current_trio_token())

    ctrio.run(main)
    for idempotent in (False, True):
        with pytest.raises(RunFinishedError, match=r"^run\(\) has exited$"):
            tokens[0].run_sync_soon(print, idempotent=idempotent)
    with pytest.raises(RuntimeError):  # what it is, for those who do not know ours
        tokens[0].run_sync_soon(print)


def test_what_is_accepted_is_called_even_at_the_very_end() -> None:
    accepted: list[int] = []
    called: list[int] = []

    async def main() -> None:
        token = current_trio_token()
        ready = threading.Event()

        def thread() -> None:
            number = 0
            while True:
                try:
                    token.run_sync_soon(called.append, number)
                except RunFinishedError:
                    return
                accepted.append(number)
                number += 1
                ready.set()

        spawned = threading.Thread(target=thread)
        threads.append(spawned)
        spawned.start()
        ready.wait()

    threads: list[threading.Thread] = []
    ctrio.run(main)
    threads[0].join()
    assert called == accepted
    assert called


# --- failures -------------------------------------------------------------------------


def leaves(exc: BaseException | None) -> list[BaseException | None]:
    if not isinstance(exc, BaseExceptionGroup):
        return [exc]
    return [leaf for each in exc.exceptions for leaf in leaves(each)]


def test_a_call_that_raises_breaks_the_run() -> None:
    error = KeyError("call")
    calls = []

    def fail() -> None:
        raise error

    async def main() -> None:
        token = current_trio_token()
        token.run_sync_soon(fail)
        token.run_sync_soon(calls.append, "later")
        await ctrio.sleep_forever()

    with pytest.raises(TrioInternalError) as caught:
        ctrio.run(main)
    assert leaves(caught.value.__cause__) == [error]
    assert calls == ["later"]


def test_a_call_that_raises_during_the_shutdown_breaks_it_as_well() -> None:
    error = KeyError("call")

    def fail() -> None:
        raise error

    async def system_task() -> None:
        try:
            await ctrio.sleep_forever()
        finally:
            current_trio_token().run_sync_soon(fail)

    async def main() -> None:
        spawn_system_task(system_task)
        await checkpoint()

    with pytest.raises(TrioInternalError) as caught:
        ctrio.run(main)
    # In Trio, too, the finaliser of generators may find a task missing because of it.
    assert error in leaves(caught.value.__cause__)


# --- the object -----------------------------------------------------------------------


@trio_test
async def test_the_calls_run_in_a_task_of_the_run() -> None:
    seen: list[Any] = []

    def note() -> None:
        seen.append((current_task(), current_root_task()))

    current_trio_token().run_sync_soon(note)
    await wait_all_tasks_blocked()
    [(task, root)] = seen
    assert task.name == "<TrioToken.run_sync_soon task>"
    assert task is not current_task()
    assert root is current_root_task()


@trio_test
async def test_nobody_makes_one() -> None:
    text = r"^trio\.lowlevel\.TrioToken has no public constructor$"
    with pytest.raises(TypeError, match=text):
        TrioToken()
    assert TrioToken.__module__ == "trio.lowlevel"
    token = current_trio_token()
    assert isinstance(token, TrioToken)
    assert {token: 1}[token] == 1
    assert weakref.ref(token)() is token
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        token.run_sync_soon()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'x'"):
        token.run_sync_soon(print, x=1)  # type: ignore[call-arg]


def test_a_token_keeps_nothing_of_its_run_but_itself_alive() -> None:
    class Local:
        pass

    kept: list[Any] = []
    died: list[Any] = []

    async def main() -> None:
        local = Local()
        died.append(weakref.ref(local))
        died.append(weakref.ref(current_task()))
        kept.append(current_trio_token())
        kept[0].run_sync_soon(lambda: local)

    ctrio.run(main)
    gc.collect()
    assert [ref() for ref in died] == [None, None]


def test_what_a_broken_run_never_called_is_let_go() -> None:
    class Callback:
        def __call__(self) -> None:
            raise AssertionError

    died: list[Any] = []

    def abort_fn(raise_cancel: object) -> Any:
        callback = Callback()
        died.append(weakref.ref(callback))
        current_trio_token().run_sync_soon(callback)
        current_trio_token().run_sync_soon(callback, idempotent=True)
        raise KeyError

    async def main() -> None:
        await wait_all_tasks_blocked()
        scope = ctrio.CancelScope()
        scope.__enter__()
        scope.cancel()
        await ctrio.lowlevel.wait_task_rescheduled(abort_fn)

    with pytest.raises(TrioInternalError):
        ctrio.run(main)
    gc.collect()
    assert died[0]() is None
