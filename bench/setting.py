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
from slices import Row

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Impl:
    """One implementation: a module, how to speak to it, and its Python."""

    label: str
    kind: str
    module: str
    python: str


@dataclass(frozen=True)
class Setting:
    """What holds for all rows of a run; `impls` begins with the one in question."""

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
    def ours(self) -> Impl:
        return self.impls[0]

    @property
    def peers(self) -> tuple[Impl, ...]:
        return self.impls[1:]


@dataclass
class Sample:
    """One slice of one implementation, its value in the row's unit."""

    round: int
    label: str
    value: float
    details: dict[str, Any]


@dataclass
class Ratio:
    """Ours over a peer's: the middle of the rounds, and the middle half."""

    middle: float
    low: float
    high: float
    rounds: int


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

    def ratio(self, ours: str, peer: str) -> Ratio | None:
        """The median over rounds in which both have a slice that counts."""
        mine, theirs = self.values(ours), self.values(peer)
        ratios = [mine[r] / theirs[r] for r in mine if theirs.get(r, 0) > 0]
        if not ratios:
            return None
        if len(ratios) < 2:
            return Ratio(ratios[0], ratios[0], ratios[0], 1)
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return Ratio(middle, low, high, len(ratios))


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
