"""Exceptions that are groups: what they come to."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from types import TracebackType

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


def leaves(exc: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group, at every depth; of any other, itself."""
    if not isinstance(exc, BaseExceptionGroup):
        yield exc
        return
    for member in exc.exceptions:
        yield from leaves(member)


class Only:
    """Lets a block fail with nothing but these, bare or in groups.

    Attributes:
        found: How many there were.
    """

    def __init__(self, *kinds: type[BaseException]) -> None:
        self.kinds = kinds
        self.found = 0

    def __enter__(self) -> Only:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if exc is None or not all(isinstance(one, self.kinds) for one in leaves(exc)):
            return False
        self.found = len(list(leaves(exc)))
        return True


INSTEAD = re.compile(
    r"""SystemError\(.error return without exception set"""
    r"""|SystemError\(.<function .* returned NULL without setting an exception"""
    r"""|SystemError\(.<class 'ResourceWarning'> returned a result with an exception"""
    r"""|RuntimeError\(.can't (allocate lock|start new thread)|KeyError\(<Thread\("""
    r"""|AttributeError\(.*has no attribute '__traceback__'"""
)
"""What CPython says where its frames, attributes, threads or warnings had no memory.

A function of ours that forgets its exception is `<built-in ...> returned NULL`, or is
caught by an assertion.
"""


def has_memory_error(exc: BaseException | None) -> bool:
    """Whether one is in it, in its causes or in what it was raised in the middle of.

    Nothing makes up for a SystemError.
    """
    found = False
    todo, seen = [exc], set()
    while todo:
        at = todo.pop()
        if at is None or id(at) in seen:
            continue
        seen.add(id(at))
        found = found or isinstance(at, MemoryError)
        if INSTEAD.match(repr(at)):
            found = True
        elif isinstance(at, SystemError):
            return False
        todo += [at.__cause__, None if at.__suppress_context__ else at.__context__]
        if isinstance(at, BaseExceptionGroup):
            todo += at.exceptions
    return found
