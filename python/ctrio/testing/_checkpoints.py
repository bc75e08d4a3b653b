"""Assertions about checkpoints."""

from __future__ import annotations

from contextlib import contextmanager

from .._core import current_task
from .._util import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager


@contextmanager
def _assert_yields_or_not(expected: bool) -> Generator[None, None, None]:
    __tracebackhide__ = True
    task = current_task()
    cancel_points = task._cancel_points
    schedule_points = task._schedule_points
    try:
        yield
        if expected and (
            task._cancel_points == cancel_points
            or task._schedule_points == schedule_points
        ):
            raise AssertionError("assert_checkpoints block did not yield!")
    finally:
        # Also if the block raised something: that is no excuse.
        if not expected and (
            task._cancel_points != cancel_points
            or task._schedule_points != schedule_points
        ):
            raise AssertionError("assert_no_checkpoints block yielded!")


def assert_checkpoints() -> AbstractContextManager[None]:
    """Check that a block is a checkpoint: it yields and lets itself be cancelled.

    A block that raises an exception passes.

    Raises:
        AssertionError: It is none.
    """
    __tracebackhide__ = True
    return _assert_yields_or_not(True)


def assert_no_checkpoints() -> AbstractContextManager[None]:
    """Check that a block neither yields nor can be cancelled.

    Raises:
        AssertionError: It does, or can.
    """
    __tracebackhide__ = True
    return _assert_yields_or_not(False)
