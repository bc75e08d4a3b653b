"""The clock that a run goes by: the system's, or an object of the user's."""

from __future__ import annotations

import gc
import weakref
from math import inf, nan
from time import perf_counter
from typing import Any

import pytest

import ctrio
from ctrio import TrioInternalError, lowlevel
from ctrio.lowlevel import checkpoint, current_clock
from ctrio.testing import wait_all_tasks_blocked

# --- the system's ---------------------------------------------------------------------


async def get_clock() -> Any:
    return current_clock()


def test_the_clock_object_tells_the_run_s_time() -> None:
    async def main() -> None:
        clock = current_clock()
        assert clock is current_clock()
        assert clock is lowlevel.current_task()._runner.clock
        assert isinstance(clock, ctrio.abc.Clock)
        before = ctrio.current_time()
        between = clock.current_time()
        assert before <= between <= ctrio.current_time()

    ctrio.run(main)


def test_its_time_is_the_system_s_with_an_offset_of_its_own_for_each_run() -> None:
    clocks = [ctrio.run(get_clock) for _ in range(10)]
    assert len({clock.offset for clock in clocks}) == 10
    for clock in clocks:
        assert 10000 <= clock.offset <= 200000
        assert repr(clock) == f"SystemClock(offset={clock.offset!r})"
        before = perf_counter()
        seconds = clock.current_time() - clock.offset
        assert before - 1e-6 <= seconds <= perf_counter() + 1e-6


def test_it_tells_how_long_to_sleep() -> None:
    clock = ctrio.run(get_clock)
    assert clock.start_clock() is None
    assert clock.deadline_to_sleep_time(inf) == inf
    assert clock.deadline_to_sleep_time(-inf) == -inf
    at = clock.current_time()
    assert clock.deadline_to_sleep_time(at) <= 0
    assert clock.deadline_to_sleep_time(deadline=at + 100) <= 100
    with pytest.raises(TypeError):
        clock.deadline_to_sleep_time("soon")
    with pytest.raises(TypeError):
        clock.deadline_to_sleep_time()


def test_nobody_can_make_or_change_one() -> None:
    clock = ctrio.run(get_clock)
    with pytest.raises(TypeError):
        type(clock)()
    with pytest.raises(AttributeError):
        clock.offset = 0


def test_a_clock_does_not_keep_its_run_alive_and_goes_on_without_it() -> None:
    async def main() -> tuple[Any, weakref.ref[object]]:
        return current_clock(), weakref.ref(lowlevel.current_task()._runner)

    clock, runner = ctrio.run(main)
    first = clock.current_time()
    gc.collect()
    assert runner() is None
    assert first <= clock.current_time()


def test_a_clock_can_be_referred_to_weakly() -> None:
    clock = ctrio.run(get_clock)
    reference = weakref.ref(clock)
    assert reference() is clock
    del clock
    gc.collect()
    assert reference() is None


# --- one of the user's ----------------------------------------------------------------


class Still:
    """Stands still, unless somebody moves it; not even an abc.Clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.deadlines: list[float] = []
        self.starts = 0
        self.broken: dict[str, Any] = {}

    def answer(self, method: str, otherwise: Any) -> Any:
        what = self.broken.get(method, otherwise)
        if isinstance(what, BaseException):
            raise what
        return what

    def start_clock(self) -> None:
        self.starts += 1
        assert lowlevel.in_trio_run()
        assert not lowlevel.in_trio_task()
        self.answer("start_clock", None)

    def current_time(self) -> Any:
        return self.answer("current_time", self.now)

    def deadline_to_sleep_time(self, deadline: float) -> Any:
        self.deadlines.append(deadline)
        if deadline != inf:
            self.now = max(deadline, self.now)  # as if we had slept
            return self.answer("deadline_to_sleep_time", 0)
        return self.answer("deadline_to_sleep_time", 1000)

    def _autojump(self) -> None:
        self.answer("_autojump", None)


def test_the_run_goes_by_it() -> None:
    async def main() -> None:
        assert clock.starts == 1
        assert current_clock() is clock
        assert ctrio.current_time() == 100
        await ctrio.sleep(5)
        assert ctrio.current_time() == 105
        with ctrio.move_on_after(7) as scope:
            assert scope.deadline == 112
            await ctrio.sleep_forever()
        assert scope.cancelled_caught
        assert ctrio.current_time() == 112
        await ctrio.sleep_until(200)
        assert ctrio.current_time() == 200

    clock: Any = Still()
    ctrio.run(main, clock=clock)
    assert clock.starts == 1
    assert [deadline for deadline in clock.deadlines if deadline != inf] == [
        105,
        112,
        200,
    ]


def test_it_is_not_kept_alive_by_a_run_that_is_over() -> None:
    clock: Any = Still()
    gone = weakref.ref(clock)
    ctrio.run(checkpoint, clock=clock)
    del clock
    gc.collect()
    assert gone() is None


def test_the_threshold_of_its_runner_makes_it_jump() -> None:
    class Jumps(Still):
        def deadline_to_sleep_time(self, deadline: float) -> float:
            return 1000

        def _autojump(self) -> None:
            jumps.append(lowlevel.in_trio_task())
            self.now += lowlevel.current_statistics().seconds_to_next_deadline

    async def main() -> None:
        runner = lowlevel.current_task()._runner
        assert runner.clock_autojump_threshold == inf
        runner.clock_autojump_threshold = 0
        await ctrio.sleep(50)
        assert ctrio.current_time() == 150
        await wait_all_tasks_blocked()

    jumps: list[bool] = []
    ctrio.run(main, clock=Jumps())  # type: ignore[arg-type]
    assert jumps == [False]


@pytest.mark.parametrize("answer", [LookupError("no"), "text", None, nan])
@pytest.mark.parametrize("method", ["current_time", "deadline_to_sleep_time"])
def test_a_loop_that_gets_no_number_out_of_it_breaks_down(
    method: str, answer: object
) -> None:
    async def main() -> None:
        lowlevel.spawn_system_task(ctrio.sleep, 5)
        await wait_all_tasks_blocked()
        clock.broken[method] = answer
        await ctrio.sleep_forever()

    clock: Any = Still()
    clock.deadline_to_sleep_time = lambda deadline: Still.answer(
        clock, "deadline_to_sleep_time", 0.001
    )
    with pytest.raises(TrioInternalError) as caught:
        ctrio.run(main, clock=clock)
    cause = caught.value.__cause__
    if isinstance(answer, LookupError):
        assert cause is answer
    else:
        assert isinstance(cause, ValueError if answer is nan else TypeError)
    assert not lowlevel.in_trio_run()


@pytest.mark.parametrize("error", [LookupError(), KeyboardInterrupt()])
def test_a_clock_that_does_not_start_or_jump_breaks_the_run(
    error: BaseException,
) -> None:
    clock: Any = Still()
    clock.broken["start_clock"] = error
    with pytest.raises(TrioInternalError) as caught:
        ctrio.run(checkpoint, clock=clock)
    assert caught.value.__cause__ is error

    async def main() -> None:
        lowlevel.current_task()._runner.clock_autojump_threshold = 0
        await ctrio.sleep_forever()

    clock = Still()
    clock.broken["_autojump"] = error
    with pytest.raises(TrioInternalError) as caught:
        ctrio.run(main, clock=clock)
    assert caught.value.__cause__ is error
    assert not lowlevel.in_trio_run()


def test_what_is_no_clock_at_all_breaks_the_run() -> None:
    with pytest.raises(TrioInternalError) as caught:
        ctrio.run(checkpoint, clock=5)  # type: ignore[arg-type]
    assert isinstance(caught.value.__cause__, AttributeError)


def test_who_asks_for_the_time_gets_its_error_and_the_run_goes_on() -> None:
    async def main() -> None:
        error = clock.broken["current_time"] = LookupError("no")
        for ask in [
            ctrio.current_time,
            lowlevel.current_task()._runner.current_time,
            lambda: scope.cancel_called,
            lambda: scope.relative_deadline,
            lambda: repr(scope),
            lowlevel.current_statistics,
        ]:
            with pytest.raises(LookupError) as caught:
                ask()
            assert caught.value is error
        with pytest.raises(LookupError):
            await ctrio.sleep(1)
        clock.broken.clear()
        assert ctrio.current_time() == 100

    async def outer() -> None:
        nonlocal scope
        with ctrio.CancelScope(deadline=1000) as scope:
            await main()
        await checkpoint()

    scope = ctrio.CancelScope()
    clock: Any = Still()
    ctrio.run(outer, clock=clock)


def test_a_run_inside_the_clock_is_refused_and_its_error_is_the_asker_s() -> None:
    class Nests(Still):
        def current_time(self) -> float:
            if self.broken:
                ctrio.run(checkpoint)
            return self.now

    async def main() -> None:
        clock.broken["yes"] = True
        try:
            with pytest.raises(RuntimeError, match="inside a run"):
                ctrio.current_time()
        finally:
            clock.broken.clear()

    clock: Any = Nests()
    ctrio.run(main, clock=clock)
