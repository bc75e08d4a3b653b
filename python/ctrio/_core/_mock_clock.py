"""A clock for tests, which goes as fast as the test wants."""

from __future__ import annotations

import time
from math import inf

from .._abc import Clock
from .._ctrio import GLOBAL_RUN_CONTEXT, current_statistics
from .._util import final


@final
class MockClock(Clock):
    """A clock that stands still, goes at any speed, or jumps.

    It begins at 0.

    Args:
        rate: Its seconds for each real second; see `rate`.
        autojump_threshold: When it is to jump; see `autojump_threshold`.
    """

    def __init__(self, rate: float = 0.0, autojump_threshold: float = inf) -> None:
        # At the real time _real_base it was _virtual_base; _rate is valid since.
        self._real_base = 0.0
        self._virtual_base = 0.0
        self._rate = 0.0
        self._real_clock = time.perf_counter  # an attribute: tests replace it
        self.rate = rate
        self.autojump_threshold = autojump_threshold

    def __repr__(self) -> str:
        return (
            f"<MockClock, time={self.current_time():.7f}, "
            f"rate={self._rate} @ {id(self):#x}>"
        )

    @property
    def rate(self) -> float:
        """How fast it goes, 0 being still. May be changed at any time."""
        return self._rate

    @rate.setter
    def rate(self, new_rate: float) -> None:
        if new_rate < 0:
            raise ValueError("rate must be >= 0")
        real = self._real_clock()
        self._virtual_base = self._at(real)
        self._real_base = real
        self._rate = float(new_rate)

    @property
    def autojump_threshold(self) -> float:
        """After how many real seconds in which every task waits it jumps.

        It jumps to the next deadline, unless somebody is in `wait_all_tasks_blocked`.
        0 jumps at once, inf never. A task that waits for a thread or for the outside
        world counts as waiting: make the threshold longer than that takes. May be
        changed at any time.
        """
        return self._autojump_threshold

    @autojump_threshold.setter
    def autojump_threshold(self, new_autojump_threshold: float) -> None:
        self._autojump_threshold = float(new_autojump_threshold)
        self._tell_runner()

    def _tell_runner(self) -> None:
        """Hand the threshold to the run that goes by this clock, if there is one."""
        runner = getattr(GLOBAL_RUN_CONTEXT, "runner", None)
        if runner is None:
            return
        if runner.is_guest:
            runner.force_guest_tick_asap()
        if runner.clock is self:
            runner.clock_autojump_threshold = self._autojump_threshold

    def _autojump(self) -> None:
        """Jump to the next deadline; the run loop calls this."""
        seconds = current_statistics().seconds_to_next_deadline
        if 0 < seconds < inf:
            self.jump(seconds)

    def _at(self, real: float) -> float:
        return self._virtual_base + self._rate * (real - self._real_base)

    def start_clock(self) -> None:
        """Begin a run."""
        self._tell_runner()

    def current_time(self) -> float:
        """Return the time by this clock, in seconds."""
        return self._at(self._real_clock())

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Tell how many real seconds it is until a deadline.

        Args:
            deadline: A time by this clock.
        """
        left = deadline - self.current_time()
        if left <= 0:
            return 0
        if self._rate > 0:
            return left / self._rate
        return 999999999  # somebody else has to move the clock

    def jump(self, seconds: float) -> None:
        """Put the clock forward.

        Args:
            seconds: By how much. What is due then runs a little later.

        Raises:
            ValueError: It is negative.
        """
        if seconds < 0:
            raise ValueError("time can't go backwards")
        self._virtual_base += seconds
