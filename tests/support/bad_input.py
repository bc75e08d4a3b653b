"""Tables of what goes in wrong, and the exception and the text that come of it.

The texts were recorded from Trio. Where ours differ on purpose, the case says so.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import pytest

import ctrio
from ctrio.lowlevel import checkpoint

Case = Any

FRAMEWORK = (
    " – are you trying to use a library written for asyncio/twisted/tornado or "  # noqa: RUF001
    "similar? That won't work without some sort of compatibility shim."
)
COROUTINE = (
    "Trio was expecting an async function, but instead it got a coroutine object "
    "<coroutine object {0} at ...>\n\nProbably you did something like:\n\n"
    "  trio.run({0}(...))            # incorrect!\n"
    "  nursery.start_soon({0}(...))  # incorrect!\n\n"
    "Instead, you want (notice the parentheses!):\n\n"
    "  trio.run({0}, ...)            # correct!\n"
    "  nursery.start_soon({0}, ...)  # correct!"
)
SYNCHRONOUS = "Trio expected an async function, but {} appears to be synchronous"
YIELDED = (
    "trio.run received unrecognized yield message {}. Are you trying to use a library "
    "written for some other framework like asyncio? That won't work without some kind "
    "of compatibility shim."
)
ASYNC_CONTEXT = "must be called from async context"
INTERNAL = "internal error in Trio - please file a bug!"


def text_of(exc: BaseException) -> str:
    """Its text, without what differs from run to run."""
    text = re.sub(r"0x[0-9a-f]+", "...", str(exc))
    text = text.split("\n\nThis is probably a bug in your code")[0]
    # From 3.14 on CPython says more.
    text = re.sub(r"^cannot use '\w+' as a .+ \((unhashable .+)\)$", r"\1", text)
    text = text.removesuffix(" and no __dict__ for setting new attributes")
    return re.sub(r"\b[\w.]*bad_\w+\.", "", text).strip()


class Table:
    """Cases, each a function and what must come of calling it."""

    def __init__(self) -> None:
        self.cases: list[Case] = []

    def __call__(self, error: type[BaseException], text: str) -> Callable[[Case], Case]:
        """Put the decorated function in; if `text` is empty, any will do."""

        def decorate(function: Case) -> Case:
            self.cases.append(pytest.param(function, error, text, id=function.__name__))
            return function

        return decorate


def check_outside(case: Case, error: type[BaseException], text: str) -> None:
    """Call it outside of a run; the next run is none the worse for it."""
    with pytest.raises(error) as caught:
        case()
    assert type(caught.value) is error
    if text:
        assert text_of(caught.value) == text
    assert not low.in_trio_run()
    assert ctrio.run(sleeper) is None


def check_inside(case: Case, error: type[BaseException], text: str) -> None:
    """Call it, or await it, in the main task of a run."""

    async def main() -> None:
        result = case()
        if result is not None:
            await result

    main.__name__ = main.__qualname__ = case.__name__
    with pytest.raises(error) as caught:
        ctrio.run(case if inspect.iscoroutinefunction(case) else main)
    assert type(caught.value) is error
    if text:
        assert text_of(caught.value) == text


async def sleeper() -> None:
    await checkpoint()


def sync() -> int:
    return 1


async def agen() -> AsyncGenerator[int, None]:
    yield 1


@types.coroutine
def foreign(value: object) -> Generator[object, Any, Any]:
    return (yield value)


untyped: Any = ctrio
low: Any = ctrio.lowlevel
