"""What a row of the bench is, and how one slice of it is timed.

Orchestrator and workers share this file, so it imports nothing but a few small
modules of the standard library: a worker must not load what it does not measure.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

#: Divide a figure in nanoseconds (or bytes, or times) by this to show it in the unit.
UNIT_SCALE = {"ns": 1.0, "us": 1e3, "ms": 1e6, "bytes": 1.0, "kB": 1e3, "times": 1.0}


@dataclass(frozen=True)
class Goal:
    """At most `ratio` times what `peer` needs."""

    peer: str
    ratio: float

    def __str__(self) -> str:
        if self.is_part:
            return f"<= 1/{1 / self.ratio:g} of {self.peer}"
        return f"<= {self.ratio:g} x {self.peer}"

    @property
    def is_part(self) -> bool:
        """Whether it is told as a part (1/23, 1/2.7) and not as a factor (0.15)."""
        tenths = 10 / self.ratio
        return self.ratio < 1 and abs(tenths - round(tenths)) < 0.01

    @property
    def most(self) -> float:
        return self.ratio


@dataclass(frozen=True)
class Limit:
    """At most so much in the row's unit, whatever the peers need."""

    most: float
    unit: str

    def __str__(self) -> str:
        return f"<= {self.most:g} {self.unit}"


@dataclass(frozen=True)
class Row:
    """One question, as the orchestrator needs to know it.

    Attributes:
        title: The question in a few words, with what one figure is for.
        unit: A key of UNIT_SCALE.
        goals: What is demanded; none makes the row an extra.
        clock: "cpu" (of the process), "wall", or "bytes".
        pinned: Whether the worker is bound to one core.
        fresh: Whether each slice gets a process of its own.
        rounds: How many slices each implementation gets.
        size: The n of a slice; None has each worker find an n that lasts
            `target_ms`.
        quick_size: The n of a slice in a quick run, for rows with a fixed size.
        target_ms: How long a calibrated slice should last.
    """

    title: str
    unit: str
    goals: tuple[Goal | Limit, ...] = ()
    clock: str = "cpu"
    pinned: bool = True
    fresh: bool = False
    rounds: int = 25
    size: int | None = None
    quick_size: int | None = None
    target_ms: int = 25


@dataclass(frozen=True)
class Slice:
    """What one slice took, for all its operations together."""

    ops: int
    cpu_ns: float = 0.0
    wall_ns: float = 0.0
    size_bytes: float = 0.0

    def amount(self, clock: str) -> float:
        """The total that the row's clock counts."""
        if clock == "bytes":
            return self.size_bytes
        return self.cpu_ns if clock == "cpu" else self.wall_ns


class Watch:
    """Measures the part of a slice that counts; may be started several times."""

    def __init__(self) -> None:
        self.cpu_ns = 0
        self.wall_ns = 0

    def start(self) -> None:
        self.wall_ns -= time.perf_counter_ns()
        self.cpu_ns -= time.process_time_ns()

    def stop(self) -> None:
        self.cpu_ns += time.process_time_ns()
        self.wall_ns += time.perf_counter_ns()

    def slice(self, ops: int) -> Slice:
        return Slice(ops, self.cpu_ns, self.wall_ns)

    def slice_less(self, other: Watch, ops: int) -> Slice:
        """The slice that is left when what `other` measured is taken off."""
        return Slice(ops, self.cpu_ns - other.cpu_ns, self.wall_ns - other.wall_ns)
