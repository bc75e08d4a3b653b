"""Exceptions in, exceptions out: Cancelled, its reasons, and what `__exit__` leaves.

What is expected of an exception's context, cause, notes and traceback was recorded
from Trio, whose Python does the same things.
"""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import weakref
from typing import Any

import outcome
import pytest

import ctrio
from ctrio import Cancelled, CancelScope
from ctrio.lowlevel import (
    Abort,
    checkpoint,
    current_task,
    reschedule,
    wait_task_rescheduled,
)
from ctrio.testing import trio_test, wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup


def chain(exc: BaseException | None, depth: int = 6) -> Any:
    """What can be seen of an exception, and of those it is chained to."""
    if exc is None or depth == 0:
        return None
    text = str(exc).split("\n")[0].split(" <")[0]
    seen: dict[str, Any] = {"is": f"{type(exc).__name__}: {text}"}
    if exc.__cause__ is not None:
        seen["cause"] = chain(exc.__cause__, depth - 1)
    if exc.__context__ is not None:
        seen["context"] = chain(exc.__context__, depth - 1)
    if exc.__suppress_context__:
        seen["suppresses"] = True
    if isinstance(exc, BaseExceptionGroup):
        seen["members"] = [chain(member, depth - 1) for member in exc.exceptions]
    return seen


def my_frames(exc: BaseException) -> list[str]:
    """The functions of this file that it went through."""
    names = []
    traceback = exc.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == __file__:
            names.append(code.co_name)
        traceback = traceback.tb_next
    return names


# --- Cancelled ------------------------------------------------------------------------


def test_nobody_makes_a_cancelled_himself() -> None:
    with pytest.raises(TypeError, match=r"^trio\.Cancelled has no public constructor$"):
        Cancelled()
    with pytest.raises(TypeError, match="has no public constructor"):
        Cancelled(source="explicit")
    with pytest.raises(TypeError):
        type("Mine", (Cancelled,), {})
    assert not issubclass(Cancelled, Exception)
    assert Cancelled.__module__ == "trio"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "cancelled due to unknown"),
        ({"source": "deadline"}, "cancelled due to deadline"),
        (
            {"source": "explicit", "reason": "enough"},
            "cancelled due to explicit with reason 'enough'",
        ),
        (
            {"source": "nursery", "source_task": "<Task 'x'>"},
            "cancelled due to nursery from task <Task 'x'>",
        ),
        (
            {"source": "nursery", "source_task": "t", "reason": "r"},
            "cancelled due to nursery with reason 'r' from task t",
        ),
    ],
)
def test_it_says_why(fields: dict[str, Any], text: str) -> None:
    error = Cancelled._create(**fields)
    assert str(error) == text
    assert error.source == fields.get("source", "unknown")
    assert error.source_task == fields.get("source_task")
    assert error.reason == fields.get("reason")
    names = ("source", "source_task", "reason")
    values = tuple(getattr(error, name) for name in names)
    assert error.args == values
    shown = ", ".join(
        f"{name}={value!r}" for name, value in zip(names, values, strict=True)
    )
    assert repr(error) == f"Cancelled({shown})"
    error.args = ("others",)
    assert error.args == ("others",)


def test_it_can_be_copied_and_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trio", ctrio)  # as ctrio.install() does
    error = Cancelled._create(source="explicit", source_task="task", reason="why")
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert again is not error
        assert type(again) is Cancelled
        assert str(again) == str(error)


async def reason_in(scope: CancelScope) -> tuple[str, str | None, str | None]:
    """What the Cancelled tells that is raised here; names instead of addresses."""
    try:
        await ctrio.sleep_forever()
    except Cancelled as exc:
        by = exc.source_task
        if by is not None:
            by = by.split(" at ")[0].replace(__name__ + ".", "")
        return exc.source, by, exc.reason
    raise AssertionError


@trio_test
async def test_the_reason_of_an_explicit_cancellation() -> None:
    with CancelScope() as scope:
        scope.cancel("enough")
        scope.cancel("more than enough")
        source, by, reason = await reason_in(scope)
        assert (source, reason) == ("explicit", "enough")
        assert by is not None
        assert by.startswith("<Task '")


@trio_test
async def test_the_reason_of_a_deadline() -> None:
    with ctrio.move_on_after(0) as scope:
        assert await reason_in(scope) == ("deadline", None, None)
    with CancelScope() as scope:
        scope.deadline = -1
        assert await reason_in(scope) == ("deadline", None, None)


@trio_test
async def test_the_reason_is_that_of_the_scope_which_was_cancelled_first() -> None:
    with CancelScope() as outer, CancelScope() as inner:
        outer.cancel("outer")
        inner.cancel("inner")
        assert (await reason_in(inner))[2] == "outer"
    with CancelScope() as outer, CancelScope() as inner:
        inner.cancel("inner")
        outer.cancel("outer")
        assert (await reason_in(inner))[2] == "inner"


@trio_test
async def test_the_reason_of_a_child_that_failed() -> None:
    seen = []

    async def fails() -> None:
        raise KeyError("child")

    async def waits(scope: CancelScope) -> None:
        seen.append(await reason_in(scope))

    with pytest.raises(ExceptionGroup):
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(waits, nursery.cancel_scope)
            await wait_all_tasks_blocked()
            nursery.start_soon(fails)
    [(source, by, reason)] = seen
    assert source == "nursery"
    assert by is not None
    assert by.endswith("fails'")
    assert reason == "child task raised exception KeyError('child')"


@trio_test
async def test_the_reason_of_a_body_that_failed() -> None:
    seen = []

    async def waits(scope: CancelScope) -> None:
        seen.append(await reason_in(scope))

    with pytest.raises(ExceptionGroup):
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(waits, nursery.cancel_scope)
            await wait_all_tasks_blocked()
            raise KeyError("body")
    assert seen[0][2] == (
        "Code block inside nursery contextmanager raised exception KeyError('body')"
    )


@trio_test
async def test_a_repr_that_raises_does_not_lose_the_cancellation() -> None:
    class NoRepr(Exception):
        def __repr__(self) -> str:
            raise ValueError

    with pytest.raises(ExceptionGroup) as caught:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            await wait_all_tasks_blocked()
            raise NoRepr
    [error] = caught.value.exceptions
    assert type(error) is NoRepr


def test_the_reason_of_a_shutdown() -> None:
    seen = []

    async def system_task() -> None:
        seen.append(await reason_in(CancelScope()))

    async def main() -> None:
        ctrio.lowlevel.spawn_system_task(system_task)
        await wait_all_tasks_blocked()

    ctrio.run(main)
    [(source, by, reason)] = seen
    assert source == "shutdown"
    assert reason == "main task done, shutting down system tasks"
    assert by == "<Task '<init>'"


# --- raising what was stored ----------------------------------------------------------


async def raise_stored(error: BaseException) -> None:
    task = current_task()
    token = ctrio.lowlevel.current_trio_token()
    token.run_sync_soon(reschedule, task, outcome.Error(error))
    del error
    await wait_task_rescheduled(lambda _: Abort.FAILED)


@trio_test
async def test_a_stored_exception_is_raised_in_the_context_of_the_await() -> None:
    try:
        try:
            raise LookupError("handled")
        except LookupError:
            await raise_stored(KeyError("stored"))
    except KeyError as exc:
        assert chain(exc) == {
            "is": "KeyError: 'stored'",
            "context": {"is": "LookupError: handled"},
        }


@trio_test
async def test_a_stored_exception_keeps_its_traceback() -> None:
    def origin() -> KeyError:
        try:
            raise KeyError
        except KeyError as exc:
            return exc

    with pytest.raises(KeyError) as caught:
        await raise_stored(origin())
    assert my_frames(caught.value)[-2:] == ["raise_stored", "origin"]


@trio_test
async def test_nobody_but_the_handler_holds_a_stored_exception() -> None:
    try:
        await raise_stored(KeyError())
    except KeyError as exc:
        own = sys._getframe()
        holders = [
            holder
            for holder in gc.get_referrers(exc)
            if holder is not own and "coroutine" not in repr(type(holder))
        ]
        assert holders == []


def test_what_run_raises_has_the_context_of_its_caller() -> None:
    async def fails() -> None:
        raise KeyError("main")

    try:
        try:
            raise LookupError("around run()")
        except LookupError:
            ctrio.run(fails)
    except KeyError as exc:
        assert chain(exc) == {
            "is": "KeyError: 'main'",
            "context": {"is": "LookupError: around run()"},
        }
        assert my_frames(exc)[-1] == "fails"


@trio_test
async def test_an_exception_in_a_child_keeps_its_own_context() -> None:
    async def child() -> None:
        try:
            raise LookupError("child's")
        except LookupError as exc:
            raise KeyError("child") from exc

    try:
        try:
            raise OSError("around the nursery")
        except OSError:
            async with ctrio.open_nursery() as nursery:
                nursery.start_soon(child)
    except ExceptionGroup as exc:
        assert chain(exc)["members"] == [
            {
                "is": "KeyError: 'child'",
                "cause": {"is": "LookupError: child's"},
                "context": {"is": "LookupError: child's"},
                "suppresses": True,
            }
        ]


@trio_test
async def test_an_outcome_must_be_one() -> None:
    for nonsense in (3, None, KeyError()):
        with pytest.raises((TypeError, AttributeError)):
            child: list[Any] = []

            async def waits(child: list[Any] = child) -> None:
                child.append(current_task())
                await wait_task_rescheduled(lambda _: Abort.SUCCEEDED)

            async with ctrio.open_nursery() as nursery:
                nursery.start_soon(waits)
                await wait_all_tasks_blocked()
                try:
                    reschedule(child[0], nonsense or 0)
                except TypeError as exc:
                    nursery.cancel_scope.cancel()
                    error = exc
            raise error


# --- the four ways in which an exit replaces an exception ---------------------------


@trio_test
async def test_an_exit_that_splits_a_group() -> None:
    cancelled = Cancelled._create()
    try:
        with CancelScope() as scope:
            scope.cancel()
            try:
                raise LookupError("handled in the block")
            except LookupError:
                raise BaseExceptionGroup("both", [cancelled, KeyError("rest")])  # noqa: B904
    except BaseExceptionGroup as exc:
        assert scope.cancelled_caught
        assert chain(exc) == {
            "is": "ExceptionGroup: both (1 sub-exception)",
            "context": {"is": "LookupError: handled in the block"},
            "suppresses": True,
            "members": [{"is": "KeyError: 'rest'"}],
        }
        assert my_frames(exc)[-1] == "test_an_exit_that_splits_a_group"


@trio_test
async def test_an_exit_that_makes_a_fresh_error() -> None:
    outer, inner = CancelScope(), CancelScope()
    try:
        with outer:
            inner.__enter__()
            raise KeyError("in the block")
    except RuntimeError as exc:
        assert chain(exc) == {
            "is": "RuntimeError: Cancel scope stack corrupted: attempted to exit",
            "context": {"is": "KeyError: 'in the block'"},
        }
    try:
        try:
            raise LookupError("handled meanwhile")
        except LookupError:
            outer.__exit__(KeyError, KeyError("given"), None)
    except RuntimeError as exc:
        assert chain(exc) == {
            "is": "RuntimeError: Cancel scope stack corrupted: attempted to exit",
            "context": {"is": "KeyError: 'given'"},
        }


@pytest.mark.filterwarnings("ignore:.*strict_exception_groups=False:Warning")
@trio_test
async def test_an_exit_that_unwraps_an_exception() -> None:
    async def fails() -> None:
        try:
            raise LookupError("handled in the child")
        except LookupError:
            raise KeyError("child")  # noqa: B904

    try:
        try:
            raise OSError("around it")
        except OSError:
            async with ctrio.open_nursery(strict_exception_groups=False) as nursery:
                nursery.start_soon(fails)
                nursery.start_soon(ctrio.sleep_forever)
    except KeyError as exc:
        assert chain(exc) == {
            "is": "KeyError: 'child'",
            "context": {"is": "LookupError: handled in the child"},
        }
        assert my_frames(exc)[-1] == "fails"


@pytest.mark.filterwarnings("ignore:.*strict_exception_groups=False:Warning")
@trio_test
async def test_an_exit_whose_exception_is_in_the_chain_already() -> None:
    first = KeyError("first")

    async def fails() -> None:
        raise first

    try:
        try:
            raise first
        except KeyError:
            try:
                raise LookupError("second")
            except LookupError:
                manager = ctrio.open_nursery(strict_exception_groups=False)
                async with manager as nursery:
                    nursery.start_soon(fails)
    except KeyError as exc:
        assert exc is first
        assert chain(exc) == {"is": "KeyError: 'first'"}


@trio_test
async def test_an_exit_that_replaces_nothing_leaves_everything_alone() -> None:
    error = KeyError("same")
    error.__context__ = LookupError("its own")
    scope = CancelScope()
    scope.__enter__()
    try:
        raise OSError("being handled")
    except OSError as handled:
        assert scope.__exit__(KeyError, error, None) is False
        assert sys.exc_info()[1] is handled
    assert chain(error) == {
        "is": "KeyError: 'same'",
        "context": {"is": "LookupError: its own"},
    }
    assert error.__traceback__ is None


@trio_test
async def test_an_exit_that_swallows_says_so() -> None:
    scope = CancelScope()
    scope.__enter__()
    scope.cancel()
    error = Cancelled._create()
    assert scope.__exit__(Cancelled, error, None) is True
    assert scope.cancelled_caught
    other = CancelScope()
    other.__enter__()
    assert other.__exit__(None, None, None) is True
    assert not other.cancelled_caught


@trio_test
async def test_no_reference_to_a_replaced_exception_is_left() -> None:
    for _ in range(2):
        cancelled = Cancelled._create()
        group = BaseExceptionGroup("both", [cancelled, KeyError()])
        with pytest.raises(ExceptionGroup), CancelScope() as scope:
            scope.cancel()
            raise group
        gc.collect()
        for error in (cancelled, group):
            error.__traceback__ = None
        mine = [sys._getframe(), group, group.exceptions, *group.args]
        mine.append(current_task().coro)  # which has the frame in it, from 3.14 on
        assert [h for h in gc.get_referrers(cancelled) if h not in mine] == []
    await checkpoint()


def test_a_cancelled_can_be_referred_to_weakly() -> None:
    exc = Cancelled._create(source="explicit")
    reference = weakref.ref(exc)
    assert reference() is exc
    del exc
    gc.collect()
    assert reference() is None
