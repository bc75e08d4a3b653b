"""Instruments, and the order in which the tasks of a batch run."""

from __future__ import annotations

import gc
import logging
import random
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ctrio
from ctrio import TrioInternalError, lowlevel
from ctrio._core import _run
from ctrio.abc import Instrument
from ctrio.lowlevel import Task, add_instrument, checkpoint, remove_instrument
from ctrio.testing import wait_all_tasks_blocked


async def nothing() -> None:
    pass


def installed() -> Any:
    return lowlevel.current_task()._runner.instruments


class Recorder(Instrument):
    """Writes everything down."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def about(self, task: Task) -> list[str]:
        return [event[0] for event in self.events if event[1:] == (task,)]


def _record(name: str) -> Callable[..., None]:
    def hook(self: Recorder, *args: object) -> None:
        self.events.append((name, *args))

    return hook


for _name in [name for name in vars(Instrument) if not name.startswith("_")]:
    setattr(Recorder, _name, _record(_name))


# --- what is called when --------------------------------------------------------------


def test_the_hooks_of_a_task_come_in_the_order_of_its_life() -> None:
    recorder = Recorder()

    async def child() -> None:
        await checkpoint()
        tasks.append(lowlevel.current_task())

    async def main() -> None:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(child)

    tasks: list[Task] = []
    ctrio.run(main, instruments=[recorder])
    assert recorder.about(tasks[0]) == [
        "task_spawned",
        "task_scheduled",
        "before_task_step",
        "task_scheduled",
        "after_task_step",
        "before_task_step",
        "task_exited",
        "after_task_step",
    ]


def test_the_run_begins_and_ends_with_its_own_hooks_even_if_it_fails() -> None:
    async def fail() -> None:
        raise LookupError

    recorder = Recorder()
    with pytest.raises(LookupError):
        ctrio.run(fail, instruments=[recorder])
    assert recorder.events[0] == ("before_run",)
    assert recorder.events[1][0] == "task_spawned"
    assert recorder.events[-1] == ("after_run",)


def test_each_wait_has_the_same_timeout_before_and_after() -> None:
    async def main() -> None:
        await wait_all_tasks_blocked(0.001)

    recorder = Recorder()
    ctrio.run(main, instruments=[recorder])
    waits = [event for event in recorder.events if event[0].endswith("io_wait")]
    assert [name for name, _ in waits[::2]] == ["before_io_wait"] * (len(waits) // 2)
    assert [name for name, _ in waits[1::2]] == ["after_io_wait"] * (len(waits) // 2)
    assert [seconds for _, seconds in waits[::2]] == [s for _, s in waits[1::2]]
    assert {0.0, 0.001} <= {seconds for _, seconds in waits}


def test_a_call_from_outside_wakes_its_task_before_the_wait_is_told_to_be_over() -> (
    None
):
    async def main() -> None:
        await checkpoint()
        lowlevel.current_trio_token().run_sync_soon(nothing_at_all)
        recorder.events.clear()
        await wait_all_tasks_blocked(0.001)

    def nothing_at_all() -> None:
        pass

    recorder = Recorder()
    ctrio.run(main, instruments=[recorder])
    _, before, woken, after, *_ = recorder.events
    assert before == ("before_io_wait", 0.001)  # The call changes nothing in that.
    assert woken[0] == "task_scheduled"
    assert woken[1].name == "<TrioToken.run_sync_soon task>"
    assert after == ("after_io_wait", 0.001)


def test_nobody_is_told_of_the_last_step_of_a_run_that_breaks() -> None:
    async def fails() -> None:
        raise ValueError("on purpose")

    async def main() -> None:
        init.append(lowlevel.current_root_task())
        lowlevel.spawn_system_task(fails)
        await ctrio.sleep_forever()

    recorder, init = Recorder(), list[Task | None]()
    with pytest.raises(TrioInternalError):
        ctrio.run(main, instruments=[recorder])
    assert "task_exited" not in recorder.about(init[0])  # type: ignore[arg-type]
    assert recorder.about(init[0])[-1] == "before_task_step"  # type: ignore[arg-type]


def test_a_step_s_hooks_see_its_task_as_the_current_one() -> None:
    class Asks(Instrument):
        def before_task_step(self, task: Task) -> None:
            assert lowlevel.current_task() is task
            seen.add("before")

        def after_task_step(self, task: Task) -> None:
            assert lowlevel.current_task() is task
            seen.add("after")

        def task_exited(self, task: Task) -> None:
            assert lowlevel.current_task() is task
            seen.add("exited")

        def before_io_wait(self, timeout: float) -> None:
            assert lowlevel.in_trio_run()
            assert not lowlevel.in_trio_task()
            seen.add("io")

    async def main() -> None:
        add_instrument(asks)
        await checkpoint()
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(checkpoint)
        assert asks in installed()["before_task_step"]  # it has not failed

    asks, seen = Asks(), set[str]()
    ctrio.run(main)
    assert seen == {"before", "after", "exited", "io"}


def test_an_event_while_an_exception_is_on_its_way_leaves_it_alone() -> None:
    class Wakes:
        def __init__(self, event: ctrio.Event) -> None:
            self.event = event

        def __exit__(self, *args: object) -> None:
            self.event.set()

        def __enter__(self) -> None: ...

    async def main() -> None:
        event = ctrio.Event()
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(event.wait)
            await wait_all_tasks_blocked()
            with pytest.raises(LookupError) as caught:
                with Wakes(event):
                    raise LookupError("theirs")
            assert caught.value.args == ("theirs",)

    recorder = Recorder()
    ctrio.run(main, instruments=[recorder])
    assert "task_scheduled" in {event[0] for event in recorder.events}


# --- adding and removing --------------------------------------------------------------


def test_an_instrument_needs_no_base_class_and_no_hook() -> None:
    class Plain:
        def task_exited(self, task: Task) -> None:
            exited.append(task)

        def close(self) -> None:
            raise AssertionError("not a hook")

    async def main() -> None:
        assert "close" not in installed()
        assert list(installed()) == ["_all", "task_exited"]

    exited: list[Task] = []
    ctrio.run(main, instruments=[Plain(), object()])
    assert len(exited) == 3


def test_inherited_hooks_are_not_called() -> None:
    class Half(Instrument):
        def task_exited(self, task: Task) -> None: ...

    async def main() -> None:
        assert installed().keys() == ["_all", "task_exited"]
        add_instrument(Instrument())
        assert installed().keys() == ["_all", "task_exited"]
        assert len(installed()) == 2

    ctrio.run(main, instruments=[Half()])


def test_hooks_are_looked_up_when_the_instrument_is_added() -> None:
    class Empty(Instrument):
        before_task_step: Any

    async def main() -> None:
        empty = Empty()
        add_instrument(empty)
        empty.before_task_step = steps.append
        await checkpoint()
        assert steps == []
        remove_instrument(empty)
        add_instrument(empty)
        await checkpoint()
        assert steps == [lowlevel.current_task()]
        remove_instrument(empty)
        await checkpoint()
        assert len(steps) == 1

    steps: list[Task] = []
    ctrio.run(main)


def test_adding_twice_is_adding_once_and_removing_twice_is_an_error() -> None:
    async def main() -> None:
        recorder = Recorder()
        add_instrument(recorder)
        add_instrument(instrument=recorder)
        await checkpoint()
        steps = recorder.about(lowlevel.current_task()).count("before_task_step")
        assert steps == 1
        remove_instrument(recorder)
        assert installed().keys() == ["_all"]
        with pytest.raises(KeyError) as caught:
            remove_instrument(instrument=recorder)
        assert caught.value.args == (recorder,)

    ctrio.run(main)


def test_an_instrument_whose_hooks_cannot_be_looked_up_is_not_half_added() -> None:
    class Evil(Instrument):
        def after_task_step(self, task: Task) -> None: ...

        @property
        def before_run(self) -> Any:
            raise ValueError("no")

    async def main() -> None:
        with pytest.raises(ValueError, match="no"):
            add_instrument(Evil())
        assert installed().keys() == ["_all"]
        assert len(installed()["_all"]) == 0
        with pytest.raises(TypeError, match="unhashable"):
            add_instrument([])  # type: ignore[arg-type]
        assert len(installed()["_all"]) == 0

    ctrio.run(main)
    with pytest.raises(ValueError, match="no"):
        ctrio.run(main, instruments=[Evil()])
    assert not lowlevel.in_trio_run()


def test_instruments_may_add_and_remove_each_other_in_the_middle_of_an_event() -> None:
    class Swaps(Instrument):
        def task_exited(self, task: Task) -> None:
            remove_instrument(second)
            add_instrument(third)
            remove_instrument(self)

    async def main() -> None:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(nothing)
        # The event was for those who were there when it came.
        assert [event[0] for event in second.events].count("task_exited") == 1
        assert [event[0] for event in third.events].count("task_exited") == 0

    second, third = Recorder(), Recorder()
    ctrio.run(main, instruments=[Swaps(), second])
    assert third.events[-1] == ("after_run",)


def test_outside_of_a_run_there_is_nothing_to_instrument() -> None:
    with pytest.raises(RuntimeError, match="must be called from async context"):
        add_instrument(Recorder())
    with pytest.raises(RuntimeError, match="must be called from async context"):
        remove_instrument(Recorder())
    with pytest.raises(TypeError, match="missing 1 required"):
        add_instrument()  # type: ignore[call-arg]


def test_what_is_given_to_run_must_be_iterable() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        ctrio.run(nothing, instruments=None)  # type: ignore[arg-type]
    ctrio.run(nothing, instruments=iter([Recorder()]))  # type: ignore[arg-type]


def test_the_mapping_can_be_read_but_not_changed() -> None:
    async def main() -> None:
        assert dict(installed())["task_exited"] == {recorder: None}
        assert "nonsense" not in installed()
        with pytest.raises(KeyError):
            installed()["nonsense"]
        with pytest.raises(TypeError):
            installed()["task_exited"][recorder] = 1

    recorder = Recorder()
    ctrio.run(main, instruments=[recorder])


def test_an_instrument_is_not_kept_alive_by_a_run_that_is_over() -> None:
    recorder = Recorder()
    gone = weakref.ref(recorder)
    ctrio.run(nothing, instruments=[recorder])
    del recorder
    gc.collect()
    assert gone() is None


# --- hooks that raise -----------------------------------------------------------------


class Broken(Instrument):
    """Raises in its first hook, and would be noticed in any later one."""

    def __init__(self, exception: BaseException) -> None:
        self.exception = exception
        self.calls = 0

    def task_scheduled(self, task: Task) -> None:
        self.calls += 1
        raise self.exception

    def task_exited(self, task: Task) -> None:
        self.calls += 1


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_hook_that_raises_costs_its_instrument_the_place_and_nobody_else(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    broken, recorder = Broken(kind("oops")), Recorder()
    ctrio.run(nothing, instruments=[broken, recorder])
    assert broken.calls == 1
    assert recorder.events[-1] == ("after_run",)
    (record,) = caplog.records
    assert record.name == "trio.abc.Instrument"
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        f"Exception raised when calling 'task_scheduled' on instrument {broken!r}. "
        "Instrument has been disabled."
    )
    assert record.exc_info is not None
    assert record.exc_info[1] is broken.exception


def test_an_instrument_that_removes_itself_and_then_raises_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Leaves(Instrument):
        def task_exited(self, task: Task) -> None:
            remove_instrument(self)
            raise ValueError

    ctrio.run(nothing, instruments=[Leaves()])
    assert len(caplog.records) == 1


def test_a_log_that_fails_breaks_the_run() -> None:
    def fail(record: logging.LogRecord) -> bool:
        raise LookupError

    class BreaksLater(Instrument):
        def task_exited(self, task: Task) -> None:
            raise ValueError

    logger = logging.getLogger("trio.abc.Instrument")
    logger.addFilter(fail)
    try:
        with pytest.raises(TrioInternalError) as caught:
            ctrio.run(checkpoint, instruments=[BreaksLater()])
        assert isinstance(caught.value.__cause__, LookupError)
    finally:
        logger.removeFilter(fail)
    assert not lowlevel.in_trio_run()


# --- the order of a batch -------------------------------------------------------------


async def trace() -> tuple[str, ...]:
    steps: list[str] = []

    async def child(name: str) -> None:
        for _ in range(20):
            steps.append(name)
            await checkpoint()

    async with ctrio.open_nursery() as nursery:
        for name in "abcde":
            nursery.start_soon(child, name)
    return tuple(steps)


@pytest.fixture
def untouched() -> Iterator[None]:
    """Leaves the scheduler's random numbers as if nobody had seeded them."""
    state = _run._r.getstate()
    yield
    _run._r.setstate(state)
    ctrio._ctrio.batch_order_touched(False)


class Constant(random.Random):
    """Always draws the same number, and counts how often."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value, self.drawn = value, 0

    def random(self) -> float:
        self.drawn += 1
        return self.value


def rounds(steps: tuple[str, ...]) -> set[str]:
    return {"".join(steps[at : at + 5]) for at in range(0, len(steps), 5)}


def test_nobody_knows_the_order() -> None:
    traces = {ctrio.run(trace) for _ in range(10)}
    assert len(traces) == 10
    assert all(rounds(steps) <= {"abcde", "edcba"} for steps in traces)


def test_seeded_it_is_the_same_each_time(untouched: None) -> None:
    traces = set()
    for _ in range(5):
        _run._r.seed(7)
        traces.add(ctrio.run(trace))
    assert len(traces) == 1


def test_each_batch_is_reversed_if_the_number_is_below_a_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    low, high = Constant(0.25), Constant(0.75)
    monkeypatch.setattr(_run, "_r", low)
    assert rounds(ctrio.run(trace)) == {"abcde"}
    monkeypatch.setattr(_run, "_r", high)
    # A batch is used up from its end: each round turns the last one's order round.
    assert rounds(ctrio.run(trace)) == {"abcde", "edcba"}
    assert low.drawn == high.drawn >= 20


def test_seeding_in_the_middle_of_a_run_counts_from_the_next_batch(
    untouched: None,
) -> None:
    async def main() -> tuple[str, ...]:
        _run._r.seed(7)
        return await trace()

    assert len({ctrio.run(main) for _ in range(5)}) == 1


def test_in_deterministic_mode_tasks_are_shuffled_from_the_order_of_their_birth(
    monkeypatch: pytest.MonkeyPatch, untouched: None
) -> None:
    class Sees(random.Random):
        def shuffle(self, x: Any) -> None:  # type: ignore[override]
            batches.append([task._counter for task in x])
            assert all(type(task) is Task for task in x)
            super().shuffle(x)

    batches: list[list[int]] = []
    monkeypatch.setattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    monkeypatch.setattr(_run, "_r", Sees(3))
    steps = ctrio.run(trace)
    assert len(rounds(steps)) > 2
    assert max(map(len, batches)) == 5
    assert all(batch == sorted(batch) for batch in batches)
    monkeypatch.setattr(_run, "_r", Sees(3))
    assert ctrio.run(trace) == steps


class Fails(random.Random):
    """Goes wrong in one way or another, once it has been told to."""

    way: Callable[[list[Task]], object] | None = None

    def shuffle(self, x: Any) -> None:  # type: ignore[override]
        if self.way is not None:
            self.way(x)

    def random(self) -> float:
        return 0.0 if self.way is None else "number"  # type: ignore[return-value]


async def break_order(way: Callable[[list[Task]], object]) -> None:
    async def child() -> None:
        while True:
            await checkpoint()

    for _ in range(3):
        lowlevel.spawn_system_task(child)
    await checkpoint()
    await checkpoint()
    _run._r.way = way  # type: ignore[attr-defined]
    await ctrio.sleep_forever()


def lose(tasks: list[Task]) -> None:
    tasks[0] = tasks[1]


def fail(tasks: list[Task]) -> None:
    raise LookupError


@pytest.mark.parametrize(
    ("way", "cause"),
    [
        (lose, RuntimeError),
        (list.clear, RuntimeError),
        (lambda tasks: tasks.append(5), RuntimeError),
        (lambda tasks: tasks.__setitem__(0, 5), RuntimeError),
        (lambda tasks: tasks.__setitem__(0, []), TypeError),
        (fail, LookupError),
    ],
)
def test_a_shuffle_that_does_more_than_shuffle_breaks_the_run(
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[list[Task]], object],
    cause: type[Exception],
) -> None:
    monkeypatch.setattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    monkeypatch.setattr(_run, "_r", Fails())
    with pytest.raises(TrioInternalError) as caught:
        ctrio.run(break_order, way)
    assert isinstance(caught.value.__cause__, cause)
    assert not lowlevel.in_trio_run()


def test_numbers_that_are_none_break_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run, "_r", Fails())
    with pytest.raises(TrioInternalError) as caught:
        ctrio.run(break_order, list.clear)
    assert isinstance(caught.value.__cause__, TypeError)
