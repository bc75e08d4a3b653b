"""Runs async test functions."""

from __future__ import annotations

from functools import partial, wraps

from .._abc import Clock, Instrument
from .._core import run
from .._util import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from typing_extensions import ParamSpec

    ArgsT = ParamSpec("ArgsT")
    RetT = TypeVar("RetT")


def trio_test(fn: Callable[ArgsT, Awaitable[RetT]]) -> Callable[ArgsT, RetT]:
    """Decorate an async test so that the test runner can call it.

    A keyword argument that is a clock, from a fixture say, is the clock of the run;
    those that are instruments are its instruments.

    Args:
        fn: An async function.

    Returns:
        A function that runs it by `trio.run` and takes the same arguments.
    """

    @wraps(fn)
    def wrapper(*args: ArgsT.args, **kwargs: ArgsT.kwargs) -> RetT:
        __tracebackhide__ = True
        clocks = [value for value in kwargs.values() if isinstance(value, Clock)]
        if len(clocks) > 1:
            raise ValueError("too many clocks spoil the broth!")
        return run(
            partial(fn, *args, **kwargs),
            clock=clocks[0] if clocks else None,
            instruments=[v for v in kwargs.values() if isinstance(v, Instrument)],
        )

    return wrapper
