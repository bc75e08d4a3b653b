"""`trio.testing`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import ctrio
from ctrio.testing import (
    MockClock,
    Sequencer,
    assert_checkpoints,
    assert_no_checkpoints,
    trio_test,
    wait_all_tasks_blocked,
)

checkpoint = ctrio.lowlevel.checkpoint


class Instrument(ctrio.abc.Instrument):
    def __init__(self) -> None:
        self.steps = 0

    def before_task_step(self, task: object) -> None:
        self.steps += 1


def test_a_test_is_run_with_its_clock_and_its_instruments() -> None:
    @trio_test
    async def run(x: int, *, clock: object, instrument: Instrument) -> int:
        """Of the test."""
        assert ctrio.lowlevel.current_clock() is clock
        await checkpoint()
        assert instrument.steps > 0
        return x + 1

    assert run.__doc__ == "Of the test."
    assert run(1, clock=MockClock(), instrument=Instrument()) == 2
    with pytest.raises(ValueError, match="too many clocks spoil the broth!"):
        run(1, clock=MockClock(), instrument=MockClock())  # type: ignore[arg-type]


@trio_test
async def test_checkpoints_are_told_from_what_is_none() -> None:
    with assert_checkpoints():
        await checkpoint()
    with assert_no_checkpoints():
        pass
    for half in (
        ctrio.lowlevel.checkpoint_if_cancelled,
        ctrio.lowlevel.cancel_shielded_checkpoint,
    ):
        with pytest.raises(AssertionError, match="block did not yield!"):
            with assert_checkpoints():
                await half()
        with pytest.raises(AssertionError, match="block yielded!"):
            with assert_no_checkpoints():
                await half()
    with assert_checkpoints():
        await ctrio.lowlevel.checkpoint_if_cancelled()
        await ctrio.lowlevel.cancel_shielded_checkpoint()


@trio_test
async def test_an_error_is_as_good_as_a_checkpoint_but_no_excuse_for_one() -> None:
    with pytest.raises(KeyError):
        with assert_checkpoints():
            raise KeyError
    with pytest.raises(AssertionError) as caught:
        with assert_no_checkpoints():
            await checkpoint()
            raise KeyError
    assert isinstance(caught.value.__context__, KeyError)


@trio_test
async def test_a_sequencer_makes_tasks_take_turns() -> None:
    order: list[int] = []
    sequencer = Sequencer()

    async def take(*turns: int) -> None:
        for turn in turns:
            async with sequencer(turn):
                order.append(turn)

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(take, 0, 3, 5)
        nursery.start_soon(take, 1, 4)
        nursery.start_soon(take, 2)
    assert order == [0, 1, 2, 3, 4, 5]
    with pytest.raises(RuntimeError, match="Attempted to reuse sequence point 3"):
        async with sequencer(3):
            raise AssertionError


@trio_test
async def test_a_sequence_with_a_gap_is_broken() -> None:
    sequencer = Sequencer()
    results: list[str] = []

    async def take(turn: int, scope: ctrio.CancelScope) -> None:
        try:
            with scope:
                async with sequencer(turn):
                    raise AssertionError
        except RuntimeError as exc:
            results.append(str(exc))

    cancelled = ctrio.CancelScope()
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(take, 1, cancelled)
        nursery.start_soon(take, 2, ctrio.CancelScope())
        await wait_all_tasks_blocked()
        cancelled.cancel()
    assert results == [
        "Sequencer wait cancelled -- sequence broken",
        "sequence broken!",
    ]
    with pytest.raises(RuntimeError, match="sequence broken!"):
        async with sequencer(0):
            raise AssertionError


@trio_test
async def test_await_frames_lead_down_to_what_is_awaited() -> None:
    async def inner() -> None:
        await ctrio.sleep_forever()

    async def agen() -> Any:
        await inner()
        yield 1

    async def outer() -> None:
        async for _ in agen():
            pass

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(outer)
        await wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        names = [frame.f_code.co_name for frame, _ in task.iter_await_frames()]
        assert names[:3] == ["outer", "agen", "inner"]
        for frame, line in task.iter_await_frames():
            assert frame.f_lineno == line
        nursery.cancel_scope.cancel()


def test_the_repr_of_a_sequencer_tells_how_far_it_is() -> None:
    async def main() -> str:
        sequencer = Sequencer()
        async with sequencer(0):
            pass
        return repr(sequencer)

    text = ctrio.run(main)
    assert text.startswith("Sequencer(_sequence_points=defaultdict(<class 'trio.Event")
    assert text.endswith("_claimed={0}, _broken=False)")


@pytest.mark.parametrize(
    "function", [ctrio.testing.memory_stream_pair, ctrio.testing.lockstep_stream_pair]
)
def test_helpers_say_that_they_are_trio_s(function: Callable[[], object]) -> None:
    assert function.__module__ == "trio.testing"
