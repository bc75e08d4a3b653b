"""Runs in a world where time passes when everybody sleeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import ctrio
from ctrio.testing import MockClock


def run_on_mock_clock(
    async_fn: Callable[..., Awaitable[object]], *args: object
) -> None:
    """Run it; the clock jumps to the next deadline."""
    ctrio.run(async_fn, *args, clock=MockClock(autojump_threshold=0))


def on_mock_clock(async_fn: Callable[[], Awaitable[object]]) -> Callable[[], None]:
    """A test that is such a run."""

    def test() -> None:
        run_on_mock_clock(async_fn)

    test.__name__ = async_fn.__name__
    return test
