"""What stackscope is told of the core's coroutines, with a stackscope of our own.

The real one's tests are run by `make ecosystem`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, ModuleType
from typing import Any

import pytest

import ctrio
import ctrio.testing
from ctrio._stackscope import _stackscope_install_glue_ as install_glue
from ctrio.testing import trio_test, wait_all_tasks_blocked


@dataclass
class Frame:
    pyframe: FrameType
    lineno: int = -1
    clsname: str | None = "asked for a local variable"


@pytest.fixture
def unwrap(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], Any]:
    """What the glue registers for our coroutines."""
    registered: dict[type, Callable[[object], Any]] = {}

    class Unwrap:
        @staticmethod
        def register(kind: type, function: Callable[[object], Any]) -> None:
            registered[kind] = function

    module: Any = ModuleType("stackscope")
    module.Frame, module.unwrap_stackitem = Frame, Unwrap
    monkeypatch.setitem(sys.modules, "stackscope", module)
    install_glue()
    kinds = set()
    for coro in ctrio.sleep(1), ctrio.lowlevel.checkpoint():
        coro.close()
        kinds.add(type(coro))
    assert registered.keys() == kinds
    (function,) = set(registered.values())
    return function


def test_it_is_offered_by_the_package() -> None:
    assert ctrio._stackscope_install_glue_ is install_glue


@pytest.mark.parametrize(
    ("make", "function", "class_name"),
    [
        (lambda: ctrio.sleep(1), ctrio.sleep, None),
        (ctrio.Event().wait, ctrio.Event.wait, "Event"),
        (ctrio.Lock().acquire, ctrio.Lock.acquire, "Lock"),
        (
            lambda: ctrio.lowlevel.wait_task_rescheduled(lambda _: None),  # type: ignore
            ctrio.lowlevel.wait_task_rescheduled,
            None,
        ),
    ],
)
def test_its_frame_has_the_code_that_customizations_are_kept_by(
    unwrap: Callable[[object], Any], make: Any, function: Any, class_name: str | None
) -> None:
    coro = make()
    frame = unwrap(coro)
    assert frame.pyframe.f_code is function.__code__
    assert frame.clsname == class_name
    coro.close()
    assert unwrap(coro) == ()


def test_a_function_with_arguments_of_all_kinds_has_one(
    unwrap: Callable[[object], Any],
) -> None:
    function: Any = ctrio.testing.wait_all_tasks_blocked
    coro = function(cushion=0.0)
    assert unwrap(coro).pyframe.f_code is function.__code__
    coro.close()


def test_a_waiting_event_shows_where_it_waits(unwrap: Callable[[object], Any]) -> None:
    @trio_test
    async def check() -> None:
        event = ctrio.Event()
        coro: Any = event.wait()

        async def waits() -> None:
            await coro

        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(waits)
            await wait_all_tasks_blocked()
            frame = unwrap(coro)
            with open(frame.pyframe.f_code.co_filename) as file:
                line = file.read().splitlines()[frame.lineno - 1]
            assert line.strip() == "await _core.wait_task_rescheduled(abort_fn)"
            event.set()

    check()
