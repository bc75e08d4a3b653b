"""The clock for tests."""

from __future__ import annotations

import subprocess
import sys
from math import inf

import pytest

import ctrio
from ctrio.testing import MockClock, trio_test, wait_all_tasks_blocked


class Real:
    """Stands for the real clock."""

    def __init__(self) -> None:
        self.now = 123.0

    def __call__(self) -> float:
        return self.now


def make(**kwargs: float) -> tuple[MockClock, Real]:
    clock, real = MockClock(), Real()
    clock._real_clock = real
    clock.rate = kwargs.get("rate", 0)
    return clock, real


def test_it_stands_still_or_runs_at_its_rate() -> None:
    clock, real = make()
    real.now += 1
    assert clock.current_time() == 0
    assert clock.deadline_to_sleep_time(10) > 10**8
    clock.rate = 2
    real.now += 1
    assert clock.current_time() == 2
    assert clock.deadline_to_sleep_time(10) == 4
    assert clock.deadline_to_sleep_time(1) == 0
    clock.rate = 0
    real.now += 1
    assert clock.current_time() == 2
    assert clock.rate == 0


def test_it_jumps() -> None:
    clock, _ = make()
    clock.jump(3)
    clock.jump(0.5)
    assert clock.current_time() == 3.5
    assert repr(clock).startswith("<MockClock, time=3.5000000, rate=0.0 @ 0x")


def test_time_does_not_go_backwards() -> None:
    clock, _ = make()
    with pytest.raises(ValueError, match="rate must be >= 0"):
        clock.rate = -1
    with pytest.raises(ValueError, match="time can't go backwards"):
        clock.jump(-1)


def test_a_run_goes_by_it() -> None:
    clock = MockClock(autojump_threshold=0)

    async def main() -> float:
        assert ctrio.lowlevel.current_clock() is clock
        await ctrio.sleep(1000)
        return ctrio.current_time()

    assert ctrio.run(main, clock=clock) == 1000
    assert ctrio.run(main, clock=clock) == 2000


def test_without_a_deadline_it_does_not_jump() -> None:
    clock = MockClock(autojump_threshold=0)

    async def main() -> None:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            await wait_all_tasks_blocked()
            clock._autojump()
            assert clock.current_time() == 0
            nursery.cancel_scope.cancel()

    ctrio.run(main, clock=clock)


@pytest.fixture
def clock() -> MockClock:
    return MockClock()


@trio_test
async def test_the_threshold_may_be_set_while_it_runs(clock: MockClock) -> None:
    assert clock.autojump_threshold == inf
    clock.autojump_threshold = 0
    await ctrio.sleep(5)
    assert ctrio.current_time() == 5


@trio_test
async def test_another_clock_s_threshold_does_not_concern_the_run(
    clock: MockClock,
) -> None:
    MockClock(autojump_threshold=0)
    runner = ctrio._core._run.GLOBAL_RUN_CONTEXT.runner
    assert runner.clock_autojump_threshold == inf


@trio_test
async def test_who_waits_for_all_tasks_is_woken_before_it_jumps(
    clock: MockClock,
) -> None:
    order: list[str] = []

    async def sleep() -> None:
        await ctrio.sleep(1)
        order.append("slept")

    async def wait() -> None:
        await wait_all_tasks_blocked()
        order.append("waited")

    clock.autojump_threshold = 0
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(sleep)
        nursery.start_soon(wait)
    assert order == ["waited", "slept"]


THREADS = """
import sys
import ctrio
from ctrio.testing import MockClock

async def main():
    return await ctrio.to_thread.run_sync(ctrio.from_thread.run, ctrio.sleep, 5)

sys.setswitchinterval(1000)  # nobody is asked to give up the GIL
ctrio.run(main, clock=MockClock(autojump_threshold=0))
print("end")
"""


def test_a_clock_that_waits_to_jump_lets_threads_run() -> None:
    """A task that waits for a thread keeps the loop looking, with a timeout of 0."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("end\n", "")
