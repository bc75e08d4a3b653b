"""Runs one row: a worker for each implementation, all started before the first slice.

In every round each worker runs one slice while the others sleep, in an order that
moves on by one each round. A ratio is taken within a round, so what slows the
machine for seconds slows both its sides.
"""

from __future__ import annotations

from contextlib import ExitStack

from children import Child, ChildError
from setting import Impl, Result, Sample, Setting
from slices import UNIT_SCALE, Row, Slice

READY_SECONDS = 60.0
SLICE_SECONDS = 120.0
QUICK_ROUNDS = 3
QUICK_PART = 2.5
MAX_N = 20_000_000

#: The first estimate comes from cold code and few operations.
CORRECTIONS = 2


def rotated(impls: list[Impl], by: int) -> list[Impl]:
    turn = by % len(impls) if impls else 0
    return impls[turn:] + impls[:turn]


class Fleet:
    """The workers of one row."""

    def __init__(self, setting: Setting, result: Result, stack: ExitStack) -> None:
        self.setting = setting
        self.result = result
        self.stack = stack
        self.workers: dict[str, Child] = {}
        self.sizes: dict[str, int] = {}

    def start(self, impl: Impl) -> Child:
        row, setting = self.result.row, self.setting
        command = impl.worker(self.result.name)
        assert command is not None
        cpus = {setting.work_cpu} if row.pinned else setting.all_cpus
        log = f"{self.result.name}-{impl.label}.log"
        return self.stack.enter_context(setting.child(command, cpus, log))

    def prepare(self, impl: Impl) -> None:
        """Start a worker for good and settle how long its slices are."""
        row = self.result.row
        child = self.start(impl)
        child.answer(READY_SECONDS)
        if row.size is None:
            part = QUICK_PART if self.setting.quick else 1
            target_ns = row.target_ms * 1e6 / part
            self.sizes[impl.label] = calibrate(child, row.clock, target_ns)
        self.workers[impl.label] = child

    def fixed_size(self) -> int:
        row = self.result.row
        assert row.size is not None
        return row.quick_size or row.size if self.setting.quick else row.size

    def slice(self, impl: Impl) -> Slice:
        if self.result.row.fresh:
            child = self.start(impl)
            child.answer(READY_SECONDS)
        else:
            child = self.workers[impl.label]
        one = ask_slice(child, self.sizes.get(impl.label) or self.fixed_size())
        if self.result.row.fresh:
            child.end()
        return one


def ask_slice(child: Child, n: int) -> Slice:
    return Slice(**child.ask(f"slice {n}", SLICE_SECONDS))


def calibrate(child: Child, clock: str, target_ns: float) -> int:
    """Find the n whose slice takes about `target_ns`; this also warms up."""
    n, spent = 1, 1.0
    while n < MAX_N:
        spent = max(1.0, ask_slice(child, n).amount(clock))
        if spent >= target_ns / 4:
            break
        n *= 4
    for _ in range(CORRECTIONS):
        n = max(1, min(MAX_N, round(n * target_ns / spent)))
        spent = max(1.0, ask_slice(child, n).amount(clock))
    return n


def count_rounds(row: Row, quick: bool) -> int:
    return min(row.rounds, QUICK_ROUNDS) if quick else row.rounds


def run_row(name: str, row: Row, setting: Setting) -> Result:
    """Measure one row; what fails on one implementation leaves the others."""
    result = Result(name, row)
    with ExitStack() as stack:
        fleet = Fleet(setting, result, stack)
        living = []
        for impl in setting.impls:
            if impl.worker(name) is None:
                continue
            try:
                if not row.fresh:
                    fleet.prepare(impl)
                living.append(impl)
            except ChildError as error:
                result.failures[impl.label] = str(error)
        for index in range(count_rounds(row, setting.quick)):
            for impl in rotated(living, index):
                try:
                    keep(result, index, impl, fleet.slice(impl))
                except ChildError as error:
                    result.failures[impl.label] = str(error)
                    living = [other for other in living if other != impl]
    return result


def keep(result: Result, index: int, impl: Impl, one: Slice) -> None:
    scale = UNIT_SCALE[result.row.unit]
    value = one.amount(result.row.clock) / one.ops / scale
    details = {
        "ops": one.ops,
        "cpu_ns": one.cpu_ns,
        "wall_ns": one.wall_ns,
        "size_bytes": one.size_bytes,
    }
    result.samples.append(Sample(index, impl.label, value, details))
