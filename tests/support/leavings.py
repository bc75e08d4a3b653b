"""Ways to leave a coroutine that waits: close it, throw into it, drop it."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

Coro = Coroutine[Any, Any, Any]


def close(coro: Coro) -> None:
    coro.close()


def drop(coro: Coro) -> None:
    """Nothing: the caller drops it."""


def collect() -> None:
    """Collect what was made lately; on 3.14 that is only sure of all."""
    gc.collect(1 if sys.version_info < (3, 14) else 2)


def drop_in_a_cycle(coro: Coro) -> None:
    cycle: list[object] = [coro]
    cycle.append(cycle)


def throw(coro: Coro) -> None:
    with pytest.raises(KeyError):
        coro.throw(KeyError("thrown"))


def drop_in_the_middle_of_an_error(coro: Coro) -> None:
    async def awaits() -> None:
        await coro

    with pytest.raises(RuntimeError, match="being awaited already"):
        awaits().send(None)


LEAVINGS = [close, drop, drop_in_a_cycle, throw, drop_in_the_middle_of_an_error]


def in_thread(function: Callable[[], object]) -> None:
    """Call it in another thread, and wait for that."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            function()
        except BaseException as exc:
            failures.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []


# The only reference is in a list: the thread that empties it drops the coroutine.


def close_elsewhere(holder: list[Coro]) -> None:
    in_thread(lambda: holder[0].close())
    holder.clear()


def drop_elsewhere(holder: list[Coro]) -> None:
    in_thread(holder.clear)


def collect_elsewhere(holder: list[Coro]) -> None:
    drop_in_a_cycle(holder.pop())
    in_thread(gc.collect)


ELSEWHERE = [close_elsewhere, drop_elsewhere, collect_elsewhere]
