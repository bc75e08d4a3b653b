"""The questions that are asked from outside: of an idle process, of a file."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from children import Child, ChildError
from setting import Impl, Result, Sample, Setting
from slices import Limit, Row

TASKS = 10_000
READY_SECONDS = 60.0
#: Runtimes may do a little more before they rest; that is not counted.
REST_SECONDS = 1.0
QUICK_SECONDS = 2.0
IDLE = "idle"


def wake_ups(pid: int) -> int:
    """How often the threads of a process have been switched to."""
    count = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if "voluntary_ctxt_switches:" in line:
                count += int(line.split()[1])
    return count


def ticks(pid: int) -> int:
    """The CPU time of a process, in the ticks that the system counts it in."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def start_parked(setting: Setting, stack: ExitStack, impl: Impl) -> Child:
    command = impl.worker(IDLE)
    assert command is not None
    child = setting.child(command, setting.all_cpus, f"{IDLE}-{impl.label}.log")
    stack.callback(child.kill)
    child.answer(READY_SECONDS)
    child.ask(f"slice {TASKS}", READY_SECONDS)
    return child


def look(children: dict[str, Child]) -> dict[str, tuple[int, int]]:
    return {
        label: (wake_ups(child.process.pid), ticks(child.process.pid))
        for label, child in children.items()
        if child.process.poll() is None
    }


def measure_idle(seconds: float, setting: Setting) -> Iterator[Result]:
    """All processes rest at the same time: each is counted on its own."""
    lasting = f"{TASKS // 1000}k parked tasks, {seconds:g} s"
    limits = (Limit(0, "times"),)
    found = [
        Result("idle", Row(f"wake-ups of {lasting}", "times", limits, rounds=1)),
        Result("idle_ticks", Row(f"CPU ticks of {lasting}", "times", limits, rounds=1)),
    ]
    children: dict[str, Child] = {}
    with ExitStack() as stack:
        for impl in setting.impls:
            if impl.worker(IDLE) is None:
                continue
            try:
                children[impl.label] = start_parked(setting, stack, impl)
            except ChildError as error:
                for result in found:
                    result.failures[impl.label] = str(error)
        time.sleep(REST_SECONDS)
        before = look(children)
        time.sleep(seconds)
        after = look(children)
        for label, child in children.items():
            if label not in after:
                for result in found:
                    result.failures[label] = child.story()
                continue
            for index, result in enumerate(found):
                value = after[label][index] - before[label][index]
                result.samples.append(Sample(0, label, value, {}))
    yield from found


def shared_library(folder: Path) -> Path | None:
    """The shared library that was built in this folder: a file, not a link to it."""
    found = (path for path in folder.rglob("libctrio.so*") if path.is_file())
    return next((path for path in found if not path.is_symlink()), None)


def measure_library(folder: Path | None, setting: Setting) -> Iterator[Result]:
    """How large is the shared library in the folder of the release, stripped?"""
    row = Row("libctrio.so, stripped", "kB", (Limit(200, "kB"),), rounds=1)
    result = Result("library", row)
    library = shared_library(folder) if folder else None
    if folder and library is None:
        result.failures[setting.ours.label] = "no libctrio.so was built"
    if library:
        stripped = setting.build / "libctrio-stripped.so"
        command = ["strip", "--strip-unneeded", "-o", str(stripped), str(library)]
        subprocess.run(command, check=True)
        size = os.path.getsize(stripped)
        details = {"size_bytes": size}
        result.samples.append(Sample(0, setting.ours.label, size / 1e3, details))
    yield result
