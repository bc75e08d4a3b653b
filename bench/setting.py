"""Who is measured, where, and what was found: the data of a bench run."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from children import Child
from slices import Goal, Limit, Row

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Impl:
    """One implementation: what it is called, and how its processes are started."""

    label: str

    def worker(self, row: str) -> list[str] | None:
        """The command of a worker for this row; None if it takes no part in it."""
        raise NotImplementedError

    def servers(self) -> dict[str, list[str]]:
        """The commands of its echo servers, by variant."""
        raise NotImplementedError


@dataclass(frozen=True)
class Module(Impl):
    """A module of a Python: its name, how to speak to it, and the interpreter."""

    kind: str
    module: str
    python: str

    def worker(self, row: str) -> list[str] | None:
        return [self.python, str(HERE / "worker.py"), row, self.kind, self.module]

    def servers(self) -> dict[str, list[str]]:
        variants = ["stream"] if self.kind == "trio" else ["protocol", "buffered"]
        script = str(HERE / "echo_server.py")
        command = [self.python, script, self.kind, self.module]
        return {variant: [*command, variant] for variant in variants}


@dataclass(frozen=True)
class Program(Impl):
    """Compiled programs: what is put before the name of a row, and an echo server."""

    command: tuple[str, ...] | None
    rows: frozenset[str]
    server: tuple[str, ...]
    variant: str

    def worker(self, row: str) -> list[str] | None:
        if self.command is None or row not in self.rows:
            return None
        return [*self.command, row]

    def servers(self) -> dict[str, list[str]]:
        return {self.variant: list(self.server)}


@dataclass(frozen=True)
class Setting:
    """What holds for all rows of a run.

    `ours` is the one in question. It is the first of `impls`, unless it is not to be
    had and only its peers are measured.
    """

    ours: Impl
    impls: tuple[Impl, ...]
    build: Path
    work_cpu: int
    load_cpu: int
    all_cpus: frozenset[int]
    quick: bool
    real_time: bool = False

    def child(self, command: list[str], cpus: Iterable[int], log_name: str) -> Child:
        """Start a process on these cores, with its log in the build folder."""
        return Child(command, cpus, self.build / log_name, self.real_time)

    @property
    def peers(self) -> tuple[Impl, ...]:
        return tuple(impl for impl in self.impls if impl != self.ours)


@dataclass
class Sample:
    """One slice of one implementation, its value in the row's unit."""

    round: int
    label: str
    value: float
    details: dict[str, Any]


@dataclass
class Spread:
    """The middle of the rounds, and the middle half."""

    middle: float
    low: float
    high: float
    rounds: int


def spread(values: list[float]) -> Spread | None:
    if len(values) < 2:
        return Spread(values[0], values[0], values[0], 1) if values else None
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high, len(values))


@dataclass
class Result:
    """All that a row has found."""

    name: str
    row: Row
    samples: list[Sample] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def values(self, label: str) -> dict[int, float]:
        return {s.round: s.value for s in self.samples if s.label == label}

    def middle(self, label: str) -> float | None:
        values = self.values(label)
        return statistics.median(values.values()) if values else None

    def ratio(self, ours: str, peer: str) -> Spread | None:
        """Ours over a peer's, in the rounds in which both have a slice that counts."""
        mine, theirs = self.values(ours), self.values(peer)
        return spread([mine[r] / theirs[r] for r in mine if theirs.get(r, 0) > 0])

    def measured(self, ours: str, goal: Goal | Limit) -> Spread | None:
        """What a goal is compared with."""
        if isinstance(goal, Goal):
            return self.ratio(ours, goal.peer)
        return spread(list(self.values(ours).values()))


def describe_machine(cores: int) -> dict[str, Any]:
    """The facts without which a figure says nothing."""
    model = "unknown"
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {
        "cpu": model,
        "cores": cores,
        "kernel": f"{platform.system()} {platform.release()}",
        "load": os.getloadavg()[0],
    }
