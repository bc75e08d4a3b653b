"""The loop's shortcuts: a lone task goes on at once, and who may turn that off."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from types import FrameType, ModuleType
from typing import Any

import pytest

import ctrio
from ctrio._core import _run
from ctrio.lowlevel import checkpoint

TURNS = 20


def resumed(**options: Any) -> int:
    """How often a task that takes some turns alone is let go and resumed."""
    count = 0

    async def take_turns() -> None:
        for _ in range(TURNS):
            await checkpoint()

    def profile(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        if event == "call" and frame.f_code is take_turns.__code__:
            count += 1

    async def main() -> None:
        await checkpoint()
        sys.setprofile(profile)
        try:
            await take_turns()
        finally:
            sys.setprofile(None)

    ctrio.run(main, **options)
    return count - 1  # the call itself


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CTRIO_STRICT_CHECKPOINTS", raising=False)
    monkeypatch.setenv("CTRIO_POLL_BUDGET", "60")  # the machine may be slow


def test_a_lone_task_goes_on_at_once() -> None:
    assert resumed() == 0
    assert resumed(strict_checkpoints=False) == 0


def test_with_strict_checkpoints_it_takes_each_turn() -> None:
    assert resumed(strict_checkpoints=True) == TURNS


@pytest.mark.parametrize(
    ("value", "expected"), [("1", TURNS), ("yes", TURNS), ("0", 0), ("", 0)]
)
def test_the_environment_asks_for_strict_checkpoints_as_well(
    value: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTRIO_STRICT_CHECKPOINTS", value)
    assert resumed() == expected
    assert resumed(strict_checkpoints=True) == TURNS


def test_without_a_budget_each_turn_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTRIO_POLL_BUDGET", "0")
    assert resumed() == TURNS


@pytest.mark.parametrize("value", ["", "soon", "-1", "nan", "1e9", "1 "])
def test_a_budget_that_is_none_is_named(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTRIO_POLL_BUDGET", value)
    with pytest.raises(ValueError, match="CTRIO_POLL_BUDGET must be a number of sec"):
        ctrio.run(checkpoint)
    monkeypatch.delenv("CTRIO_POLL_BUDGET")
    ctrio.run(checkpoint)


def test_deadlines_are_exact_whatever_the_budget() -> None:
    async def main() -> None:
        with ctrio.move_on_after(0.001) as scope:
            while True:
                await checkpoint()
        assert scope.cancelled_caught

    ctrio.run(main)


def test_hypothesis_finds_what_it_has_to_call() -> None:
    try:
        distribution("ctrio")
    except PackageNotFoundError:
        pytest.skip("this build was copied and not installed: it has no metadata")
    (point,) = entry_points(group="hypothesis").select(name="ctrio")
    assert point.load() is _run._hypothesis_plugin_setup


def test_hypothesis_is_told_of_the_batches_coin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered: list[object] = []
    fake: Any = ModuleType("hypothesis")
    fake.register_random = registered.append
    monkeypatch.setitem(sys.modules, "hypothesis", fake)
    monkeypatch.setattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", False)
    _run._hypothesis_plugin_setup()
    assert registered == [_run._r]
    assert _run._ALLOW_DETERMINISTIC_SCHEDULING
