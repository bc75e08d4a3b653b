"""Runs one row: a worker for each implementation, all started before the first slice.

In every round each worker runs one slice while the others sleep, in an order that
moves on by one each round. A ratio is taken within a round, so what slows the
machine for seconds slows both its sides.
"""

from __future__ import annotations

import importlib
from contextlib import ExitStack

from children import Child, ChildError
from setting import HERE, Impl, Result, Sample, Setting
from slices import UNIT_SCALE, Row, Slice

READY_SECONDS = 60.0
SLICE_SECONDS = 120.0
QUICK_ROUNDS = 3
QUICK_PART = 2.5


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
        command = [impl.python, str(HERE / "worker.py")]
        command += [self.result.name, impl.kind, impl.module]
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
            request = f"calibrate {row.target_ms / part:g}"
            self.sizes[impl.label] = child.ask(request, SLICE_SECONDS)["n"]
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
        n = self.sizes.get(impl.label) or self.fixed_size()
        answer = child.ask(f"slice {n}", SLICE_SECONDS)
        if self.result.row.fresh:
            child.end()
        return Slice(**answer)


def count_rounds(row: Row, quick: bool) -> int:
    return min(row.rounds, QUICK_ROUNDS) if quick else row.rounds


def run_row(name: str, setting: Setting) -> Result:
    """Measure one row; what fails on one implementation leaves the others."""
    row: Row = importlib.import_module(f"rows.{name}").ROW
    result = Result(name, row)
    with ExitStack() as stack:
        fleet = Fleet(setting, result, stack)
        living = []
        for impl in setting.impls:
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
