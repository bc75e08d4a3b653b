"""KeyboardInterrupt in code of the user's that the core calls: it has to wait.

C has no frames, so the core notes where it calls out. What a task's own calls lead to
is protected where Trio does it, and open where it does not: seen by running both.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import ctrio
from ctrio import CancelScope, lowlevel, open_nursery
from ctrio.lowlevel import (
    Abort,
    checkpoint,
    currently_ki_protected,
    disable_ki_protection,
    notify_closing,
    spawn_system_task,
    wait_readable,
)
from ctrio.testing import wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


def interrupt() -> None:
    """Do as Ctrl-C: the handler runs before this returns."""
    signal.raise_signal(signal.SIGINT)


def ask() -> bool:
    return currently_ki_protected()


async def nothing() -> None:
    pass


# --- where it waits -------------------------------------------------------------------


class Everywhere(ctrio.abc.Clock, ctrio.abc.Instrument):
    """Notes whether the core protects what it calls."""

    def __init__(self) -> None:
        self.answers: dict[str, bool] = {}

    def note(self, name: str) -> None:
        self.answers[name] = ask()

    def start_clock(self) -> None:
        self.note("start_clock")

    def current_time(self) -> float:
        self.note("current_time")
        return 0.0

    def deadline_to_sleep_time(self, deadline: float) -> float:
        self.note("deadline_to_sleep_time")
        return 1000.0

    def before_run(self) -> None:
        self.note("before_run")

    def after_run(self) -> None:
        self.note("after_run")

    def task_spawned(self, task: lowlevel.Task) -> None:
        self.note("task_spawned")

    def before_task_step(self, task: lowlevel.Task) -> None:
        self.note("before_task_step")

    def before_io_wait(self, timeout: float) -> None:
        self.note("before_io_wait")


def test_whatever_the_loop_calls_is_protected() -> None:
    everywhere = Everywhere()

    def abort(_: object) -> Abort:
        everywhere.note("abort_fn")
        return Abort.SUCCEEDED

    async def child(scope: CancelScope) -> None:
        with scope:
            await lowlevel.wait_task_rescheduled(abort)

    async def main() -> None:
        token = lowlevel.current_trio_token()
        token.run_sync_soon(everywhere.note, "run_sync_soon")
        assert not ask()
        scope = CancelScope()
        async with open_nursery() as nursery:
            nursery.start_soon(child, scope)
            await wait_all_tasks_blocked()
            scope.cancel()
            assert not ask()
        ctrio.current_time()
        assert not ask()

    ctrio.run(main, clock=everywhere, instruments=[everywhere])
    assert len(everywhere.answers) == 10
    assert set(everywhere.answers.values()) == {True}


class Asked:
    """Has one special method, which notes the answer."""

    def __init__(self) -> None:
        self.answers: list[bool] = []

    def note(self) -> None:
        self.answers.append(ask())


class Borrower(Asked):
    def __hash__(self) -> int:
        self.note()
        return 1

    def __eq__(self, other: object) -> bool:
        self.note()
        return self is other


class Handle(Asked):
    def fileno(self) -> int:
        self.note()
        return -1


class Group(BaseExceptionGroup[BaseException]):
    """A group of the user's, with what the core calls of it."""

    answers: list[bool]

    def split(self, condition: Any) -> Any:
        self.answers.append(ask())
        return super().split(condition)

    def derive(self, errors: Sequence[BaseException]) -> Group:
        self.answers.append(ask())
        return group(errors, self.answers)


def group(errors: Sequence[BaseException], answers: list[bool]) -> Group:
    made = Group("of the user's", list(errors))
    made.answers = answers
    return made


def mixed_group(answers: list[bool]) -> Group:
    """One with a member to be taken out, and one to stay, at two levels."""
    inner = group([ctrio.Cancelled._create(), KeyError()], answers)
    return group([ctrio.Cancelled._create(), inner], answers)


class Telling(Exception, Asked):
    def __init__(self) -> None:
        Asked.__init__(self)

    def __repr__(self) -> str:
        self.note()
        return "telling"


async def a_borrower_of_a_limiter() -> list[bool]:
    limiter, borrower = ctrio.CapacityLimiter(3), Borrower()
    limiter.acquire_on_behalf_of_nowait(Borrower())
    limiter.acquire_on_behalf_of_nowait(borrower)
    limiter.release_on_behalf_of(borrower)
    await limiter.acquire_on_behalf_of(borrower)
    return borrower.answers


async def a_handle() -> list[bool]:
    handle = Handle()
    notify_closing(handle)
    for wait in (wait_readable, lowlevel.wait_writable):
        with pytest.raises(ValueError):
            await wait(handle)
    assert len(handle.answers) == 3
    return handle.answers


async def a_function_for_a_system_task() -> list[bool]:
    asked = Asked()

    def factory() -> Any:
        asked.note()
        return nothing()

    spawn_system_task(factory)
    return asked.answers


async def a_group_that_leaves_a_scope() -> list[bool]:
    answers: list[bool] = []
    with pytest.raises(BaseExceptionGroup), CancelScope() as scope:
        scope.cancel()
        raise mixed_group(answers)
    return answers


async def a_group_that_leaves_a_nursery() -> list[bool]:
    answers: list[bool] = []
    with pytest.raises(BaseExceptionGroup):
        async with open_nursery() as nursery:
            nursery.cancel_scope.cancel()
            raise mixed_group(answers)
    return answers


async def a_group_out_of_a_child() -> list[bool]:
    answers: list[bool] = []

    async def child() -> None:
        raise mixed_group(answers)

    with pytest.raises(BaseExceptionGroup):
        async with open_nursery() as nursery:
            nursery.cancel_scope.cancel()
            nursery.start_soon(child)
    return answers


async def the_name_of_a_failure() -> list[bool]:
    failures = [Telling(), Telling()]

    async def child() -> None:
        raise failures[1]

    with pytest.raises(BaseExceptionGroup):
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            raise failures[0]
    with pytest.raises(BaseExceptionGroup):
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            nursery.start_soon(child)
    assert failures[0].answers and failures[1].answers
    return failures[0].answers + failures[1].answers


async def the_name_of_a_task() -> list[bool]:
    class Name(Asked):
        def __repr__(self) -> str:
            self.note()
            return "name"

    names, task = [Name(), Name()], lowlevel.current_task()
    try:
        task.name = names[0]  # type: ignore[assignment]
        CancelScope().cancel()
        with pytest.raises(BaseExceptionGroup):
            async with open_nursery():
                task.name = names[1]  # type: ignore[assignment]
                raise KeyError
    finally:
        task.name = "main"
    assert names[0].answers and names[1].answers
    return names[0].answers + names[1].answers


@pytest.mark.parametrize(
    "case",
    [
        a_borrower_of_a_limiter,
        a_handle,
        a_function_for_a_system_task,
        a_group_that_leaves_a_scope,
        a_group_that_leaves_a_nursery,
        a_group_out_of_a_child,
        the_name_of_a_failure,
        the_name_of_a_task,
    ],
)
def test_what_a_task_s_call_leads_to_is_protected(case: Callable[[], Any]) -> None:
    async def main() -> list[bool]:
        assert not ask()
        answers: list[bool] = await case()
        assert not ask()
        return answers

    answers = ctrio.run(main)
    assert answers
    assert all(answers)


def test_what_trio_does_not_protect_is_open_here_too() -> None:
    """The keys of idempotent calls, and async functions for tasks like others."""
    keys, factory = Borrower(), Asked()

    def make() -> Any:
        factory.note()
        return nothing()

    async def main() -> None:
        token = lowlevel.current_trio_token()
        for _ in range(2):
            token.run_sync_soon(id, keys, idempotent=True)
        early = list(keys.answers)
        async with open_nursery() as nursery:
            nursery.start_soon(make)
        assert early
        assert set(early) == {False}

    ctrio.run(main)
    assert factory.answers == [False]


# --- what comes of it -----------------------------------------------------------------


class Interrupting(Exception):
    def __repr__(self) -> str:
        interrupt()
        return "interrupting"


def test_an_interrupt_while_a_failure_is_named_joins_the_failure() -> None:
    async def main() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            await checkpoint()
            raise Interrupting

    with pytest.raises(BaseExceptionGroup) as caught:
        ctrio.run(main)
    kinds = [type(error) for error in caught.value.exceptions]
    assert kinds == [Interrupting, KeyboardInterrupt]


def test_an_interrupt_raised_while_a_failure_is_named_is_not_lost() -> None:
    """Trio lets it through, and the run breaks down."""

    class Open(Exception):
        @disable_ki_protection
        def __repr__(self) -> str:
            interrupt()
            raise AssertionError

    async def main() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            await checkpoint()
            raise Open

    with pytest.raises(BaseExceptionGroup) as caught:
        ctrio.run(main)
    kinds = [type(error) for error in caught.value.exceptions]
    assert kinds == [Open, KeyboardInterrupt]


def test_an_interrupt_while_a_group_is_split_does_not_take_its_place() -> None:
    class Splitting(BaseExceptionGroup[BaseException]):
        def split(self, condition: Any) -> Any:
            interrupt()
            return super().split(condition)

    async def main() -> None:
        with CancelScope() as scope:
            scope.cancel()
            raise Splitting("group", [ctrio.Cancelled._create(), KeyError()])

    with pytest.raises(KeyboardInterrupt) as caught:
        ctrio.run(main)
    kept = caught.value.__context__
    assert isinstance(kept, BaseExceptionGroup)
    assert [type(error) for error in kept.exceptions] == [KeyError]
