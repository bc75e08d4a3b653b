"""Bad calls of scopes and nurseries: the same exception and text as Trio's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import nan
from typing import Any

import pytest
from bad_input import (
    COROUTINE,
    SYNCHRONOUS,
    Case,
    Table,
    check_inside,
    check_outside,
    sleeper,
    sync,
    untyped,
)

import ctrio
from ctrio import CancelScope, open_nursery
from ctrio.lowlevel import (
    Task,
    TrioToken,
)

inside, outside = Table(), Table()

# --- scopes ---------------------------------------------------------------------------

for error, text, kwargs in [
    (ValueError, "deadline must not be NaN", {"deadline": nan}),
    (ValueError, "relative deadline must not be NaN", {"relative_deadline": nan}),
    (ValueError, "timeout must be non-negative", {"relative_deadline": -1}),
    (
        ValueError,
        "Cannot specify both a deadline and a relative deadline",
        {"deadline": 1, "relative_deadline": 1},
    ),
    (TypeError, "must be real number, not str", {"deadline": "soon"}),
    (TypeError, "must be real number, not str", {"relative_deadline": "soon"}),
    (TypeError, "must be real number, not NoneType", {"deadline": None}),
    (TypeError, "must be real number, not NoneType", {"relative_deadline": None}),
    (
        TypeError,
        "CancelScope.__init__() got an unexpected keyword argument 'x'",
        {"x": 1},
    ),
]:
    outside(error, text)(lambda kwargs=kwargs: CancelScope(**kwargs))

outside(
    TypeError, "CancelScope.__init__() takes 1 positional argument but 2 were given"
)(lambda: CancelScope(5))  # type: ignore[misc, call-arg]

NOT_RELATIVE = "Unentered non-relative cancel scope does not have a relative deadline"
NOT_ABSOLUTE = "Unentered relative cancel scope does not have an absolute deadline."
for error, text, kwargs, name, value in [
    (ValueError, "deadline must not be NaN", {}, "deadline", nan),
    (TypeError, "must be real number, not str", {}, "deadline", "x"),
    (TypeError, "must be real number, not NoneType", {}, "deadline", None),
    (ValueError, "relative deadline must not be NaN", {}, "relative_deadline", nan),
    (
        ValueError,
        "relative deadline must be non-negative",
        {},
        "relative_deadline",
        -1,
    ),
    (TypeError, "must be real number, not str", {}, "relative_deadline", "x"),
    (TypeError, "shield must be a bool", {}, "shield", 1),
    (RuntimeError, NOT_RELATIVE, {"deadline": 4}, "relative_deadline", 3),
    (RuntimeError, NOT_ABSOLUTE, {"relative_deadline": 4}, "deadline", 3),
]:
    outside(error, text)(
        lambda kwargs=kwargs, name=name, value=value: setattr(
            CancelScope(**kwargs), name, value
        )
    )
outside(RuntimeError, NOT_RELATIVE)(lambda: CancelScope(deadline=4).relative_deadline)
outside(RuntimeError, NOT_ABSOLUTE)(lambda: CancelScope(relative_deadline=4).deadline)
outside(
    TypeError,
    "CancelScope.cancel() takes from 1 to 2 positional arguments but 3 were given",
)(lambda: CancelScope().cancel(1, 2))  # type: ignore[call-arg, arg-type]
outside(TypeError, "CancelScope.cancel() got an unexpected keyword argument 'why'")(
    lambda: CancelScope().cancel(why=2)  # type: ignore[call-arg]
)
outside(
    TypeError,
    "CancelScope.__exit__() missing 3 required positional arguments: 'etype', 'exc', "
    "and 'tb'",
)(lambda: CancelScope().__exit__())  # type: ignore[call-arg]

USED = "Each CancelScope may only be used for a single 'with' block"


@inside(RuntimeError, USED)
async def a_scope_used_twice() -> None:
    scope = CancelScope()
    with scope:
        pass
    with scope:
        pass


@inside(RuntimeError, USED)
async def a_scope_entered_again() -> None:
    with CancelScope() as scope, scope:
        pass


CORRUPTED = "Cancel scope stack corrupted: attempted to exit <trio.CancelScope at ..., "


@inside(RuntimeError, CORRUPTED + "unbound> which had already been exited")
async def a_scope_left_without_being_entered() -> None:
    CancelScope().__exit__(None, None, None)


@inside(
    RuntimeError,
    CORRUPTED + "active> in <Task 'a_scope_left_too_early' at ...> that's still within "
    "its child <trio.CancelScope at ..., active>",
)
async def a_scope_left_too_early() -> None:
    outer = CancelScope()
    outer.__enter__()
    CancelScope().__enter__()
    outer.__exit__(None, None, None)


for make in ("move_on_at", "move_on_after", "fail_at", "fail_after"):
    name = "deadline" if make.endswith("at") else "seconds"
    takes = f"{make}() takes 1 positional argument but 2 were given"
    lacks = f"{make}() missing 1 required positional argument: '{name}'"
    unknown = f"{make}() got an unexpected keyword argument 'x'"
    for text, args in [(takes, (1, 2)), (lacks, ())]:
        outside(TypeError, text)(
            lambda make=make, args=args: getattr(ctrio, make)(*args).__enter__()
        )
    outside(TypeError, unknown)(
        lambda make=make: getattr(ctrio, make)(1, x=2).__enter__()
    )
    compared = "'<' not supported between instances of 'str' and 'int'"
    outside(
        TypeError,
        "must be real number, not str" if name == "deadline" else compared,
    )(lambda make=make: getattr(ctrio, make)("x").__enter__())

# --- nurseries ------------------------------------------------------------------------


def nursery_case(error: type[BaseException], text: str) -> Callable[[Case], Case]:
    """A case for a task with an open nursery."""

    def decorate(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        async def case() -> None:
            raised: BaseException | None = None
            async with open_nursery() as nursery:
                try:
                    result = function(nursery)
                    if result is not None:
                        await result
                except BaseException as exc:
                    raised = exc
                nursery.cancel_scope.cancel()
            if raised is not None:
                raise raised

        case.__name__ = function.__name__
        return inside(error, text)(case)

    return decorate


for error, text, use in [
    (
        TypeError,
        "Nursery.start_soon() missing 1 required positional argument: 'async_fn'",
        lambda nursery: nursery.start_soon(),
    ),
    (
        TypeError,
        COROUTINE.format("sleeper"),
        lambda nursery: nursery.start_soon(sleeper()),
    ),
    (
        TypeError,
        COROUTINE.format("sleep"),
        lambda nursery: nursery.start_soon(ctrio.sleep(1)),
    ),
    (
        TypeError,
        SYNCHRONOUS.format("'sync'"),
        lambda nursery: nursery.start_soon(sync),
    ),
    (
        TypeError,
        "'NoneType' object is not callable",
        lambda nursery: nursery.start_soon(None),
    ),
    (
        TypeError,
        "Nursery.start_soon() got an unexpected keyword argument 'x'",
        lambda nursery: nursery.start_soon(sleeper, x=1),
    ),
    (
        TypeError,
        "sleep() missing 1 required positional argument: 'seconds'",
        lambda nursery: nursery.start_soon(ctrio.sleep),
    ),
    (
        TypeError,
        "Nursery.start() missing 1 required positional argument: 'async_fn'",
        lambda nursery: nursery.start(),
    ),
    (
        TypeError,
        "the first argument must be callable",
        lambda nursery: nursery.start(None),
    ),
    (
        TypeError,
        "sync() got an unexpected keyword argument 'task_status'",
        lambda nursery: nursery.start(sync),
    ),
    (
        TypeError,
        "sleeper() got an unexpected keyword argument 'task_status'",
        lambda nursery: nursery.start(sleeper),
    ),
]:
    nursery_case(error, text)(use)


@nursery_case(
    TypeError,
    "_TaskStatus.started() takes from 1 to 2 positional arguments but 3 were given",
)
def started_with_two_values(nursery: ctrio.Nursery) -> Awaitable[object]:
    async def child(task_status: Any) -> None:
        task_status.started(1, 2)

    return nursery.start(child)


@inside(RuntimeError, "Nursery is closed to new arrivals")
async def a_closed_nursery() -> None:
    async with open_nursery() as nursery:
        pass
    nursery.start_soon(sleeper)


@inside(
    RuntimeError, "use 'async with open_nursery(...)', not 'with open_nursery(...)'"
)
async def a_plain_with() -> None:
    with untyped.open_nursery():
        pass


@inside(TypeError, "open_nursery() got an unexpected keyword argument 'x'")
async def an_unknown_keyword_for_a_nursery() -> None:
    untyped.open_nursery(x=1)


@inside(
    TypeError, "open_nursery() takes from 0 to 1 positional arguments but 2 were given"
)
async def two_arguments_for_a_nursery() -> None:
    untyped.open_nursery(True, 2)


@inside(AttributeError, "'NurseryManager' object has no attribute '_nursery'")
async def leaving_a_nursery_that_was_not_entered() -> None:
    await open_nursery().__aexit__(None, None, None)


@inside(
    TypeError,
    "NurseryManager.__aexit__() missing 3 required positional arguments: 'etype', "
    "'exc', and 'tb'",
)
async def leaving_a_nursery_without_telling_why() -> None:
    manager: Any = open_nursery()
    await manager.__aexit__()


# --- classes that nobody makes --------------------------------------------------------

for name, made in [
    ("trio.Nursery", ctrio.Nursery),
    ("trio.lowlevel.Task", Task),
    ("trio.lowlevel.TrioToken", TrioToken),
]:
    outside(TypeError, f"{name} has no public constructor")(lambda made=made: made())
outside(TypeError, "trio.Cancelled has no public constructor")(ctrio.Cancelled)
outside(TypeError, "Cancelled.__init__() takes 1 positional argument but 2 were given")(
    lambda: untyped.Cancelled._create(1)
)
outside(TypeError, "Cancelled.__init__() got an unexpected keyword argument 'x'")(
    lambda: untyped.Cancelled._create(x=1)
)
for final in (CancelScope, ctrio.Nursery, Task, TrioToken, ctrio.Cancelled):
    # Trio: "... does not support subclassing"; C types have CPython's text.
    outside(TypeError, "")(lambda final=final: type("Mine", (final,), {}))


@pytest.mark.parametrize(("case", "error", "text"), outside.cases)
def test_outside_of_a_run(case: Case, error: type[BaseException], text: str) -> None:
    check_outside(case, error, text)


@pytest.mark.parametrize(("case", "error", "text"), inside.cases)
def test_in_a_task(case: Case, error: type[BaseException], text: str) -> None:
    check_inside(case, error, text)
