"""Every allocation of a program fails in turn: the program is run again and again.

A process of its own takes one program, and says on its standard output where it is; so
a crash or a hang costs that process and is reported with its number, and the next one
goes on behind it. What a run came to is judged here in full.

    python tests/faults/failing.py                     every program
    python tests/faults/failing.py locks --every 7     each 7th allocation
    python tests/faults/failing.py locks --only 123    one, with the C frames around it
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import gc
import importlib
import importlib.util
import logging
import os
import selectors
import shlex
import signal
import subprocess
import sys
import sysconfig
import traceback
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BOUND = 60
"""Seconds without a word after which a process counts as hanging."""
MOST = 50
"""Findings after which a program is given up."""
AGAIN = 8
"""How often an allocation fails again whose run has left something behind."""

ONLY_THE_CORE_S = hasattr(sys, "gettotalrefcount")
"""A debug build of CPython ends by assertions where its own code lacks memory.

What the core asks of CPython (a group of exceptions, say) can end so as well: there
these runs show where to look, and are no test.
"""

Finding = tuple[int, str]


@dataclass
class Result:
    """What the runs of a program came to.

    Attributes:
        calls: How many allocations it makes.
        runs: How many were made to fail.
        findings: What was wrong, by the number of the allocation.
    """

    calls: int = 0
    runs: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass
class Options:
    """Which programs, and which of their allocations.

    Attributes:
        start: The first that fails.
        every: How many further the next one is.
        span: How many fail in a row, each time.
        corpus: The module that has the programs.
    """

    start: int = 1
    every: int = 1
    span: int = 1
    corpus: str = "corpus_outside"


# --- the process that fails ---------------------------------------------------------


def build_allocator() -> Path:
    """The extension with the allocators, compiled for this Python.

    Raises:
        RuntimeError: it cannot be compiled.
    """
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    target = ROOT / "build/faults" / f"allocator{suffix}"
    source = HERE / "allocator.c"
    if target.is_file() and target.stat().st_mtime >= source.stat().st_mtime:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_suffix(f".{os.getpid()}")
    compiler = shlex.split(os.environ.get("CC", "cc"))
    include = f"-I{sysconfig.get_path('include')}"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-D_GNU_SOURCE", include]
    command = [*compiler, *flags, str(source), "-o", str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    made.replace(target)  # another process may do the same
    return target


def load_allocator(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("allocator", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def left_its_nursery(exc: BaseException) -> bool:
    """Whether a run broke because there was no memory for calling `__aexit__`.

    The nursery is then left behind. A child of it that had not begun lives on when the
    async generators are looked after, which is found out there, as in Trio.
    """
    import leaves

    cause = exc.__cause__
    if type(exc).__name__ != "TrioInternalError" or cause is None:
        return False
    places = [
        frame.name
        for leaf in leaves.leaves(cause)
        if isinstance(leaf, AssertionError)
        for frame in traceback.extract_tb(leaf.__traceback__)
    ]
    return "finalize_remaining" in places


class Worker:
    """One program, run with failing allocations in this process."""

    def __init__(
        self, program: Callable[[], object], allocator: ModuleType, span: int
    ) -> None:
        import leaves

        self.program = program
        self.allocator = allocator
        self.span = span
        self.has_memory_error = leaves.has_memory_error
        self.complaints: list[tuple[str, type[BaseException | None]]] = []
        self.told = False
        sys.unraisablehook = self.unraisable
        logging.getLogger().addHandler(logging.NullHandler())
        logging.setLogRecordFactory(self.logged)
        for _ in range(5):  # caches fill
            self.expected = self.program()
        self.collect()
        gc.freeze()
        self.complaints.clear()

    def note(self, exc: BaseException | None, where: str) -> None:
        """What is only reported, and not raised, is judged as well."""
        if self.has_memory_error(exc):
            self.told = True
        else:
            self.complaints.append((f"{where}: {exc!r}", type(exc)))

    def unraisable(self, found: Any) -> None:
        self.note(found.exc_value, f"unraisable in {found.object!r}")

    def logged(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        if record.exc_info and self.has_memory_error(record.exc_info[1]):
            self.told = True
        return record

    def collect(self) -> None:
        ctypes.pythonapi.PyType_ClearCache()
        for _ in range(2):
            gc.collect()

    def attempt(self, number: int, traced: bool = False) -> tuple[int, bool, str]:
        """Run it once; the calls made, whether one failed, and what was wrong."""
        value, wrong, calls, failed = None, "", 0, False
        self.by_core = False
        self.told = has_failed = False
        try:
            last = number + self.span - 1
            self.allocator.begin(number, last, ONLY_THE_CORE_S, traced)
            try:
                value = self.program()
            finally:
                calls, failed, self.by_core = self.allocator.end()
        except BaseException as exc:
            has_failed = self.has_memory_error(exc) or left_its_nursery(exc)
            if not has_failed:
                wrong = "".join(traceback.format_exception(exc))
        else:
            if value != self.expected and not self.told:
                wrong = f"{value!r} instead of {self.expected!r}"
        self.collect()
        # What a broken run leaves behind finds nothing to end in order.
        complaints = [
            text
            for text, kind in self.complaints
            if not (has_failed or self.told) or not issubclass(kind, RuntimeError)
        ]
        self.complaints.clear()
        wrong = "\n".join(filter(None, [wrong, *complaints]))
        return calls, failed, wrong

    def grows(self, number: int, times: int) -> int:
        """By how many blocks each further run of this failure grows, at the least.

        CPython 3.11 loses objects when its bytecode has no memory, and all that these
        refer to: what counts is what the core has asked for, each time.
        """
        marks = array("q", bytes(8 * times))  # and no number kept alive
        for i in range(times):
            self.attempt(number)
            marks[i] = self.allocator.live()
            if not self.by_core:
                return 0
        return min(marks[i + 1] - marks[i] for i in range(times - 1))

    def left_behind(self, number: int) -> str:
        """What each run of this failure leaves, if it does so each time."""
        known = self.objects()
        if (least := self.grows(number, AGAIN)) <= 0:
            return ""
        more = {name for name, n in (self.objects() - known).items() if n >= AGAIN}
        return f"leaves {least} blocks behind each time, of {sorted(more)}"

    def objects(self) -> Counter[str]:
        kinds = map(type, gc.get_objects())
        return Counter(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)

    def examine(self, number: int) -> tuple[int, bool, str]:
        calls, failed, wrong = self.attempt(number)
        if self.grows(number, 2) > 0:
            wrong = "\n".join(filter(None, [wrong, self.left_behind(number)]))
        return calls, failed, wrong


def say(line: str) -> None:
    os.write(1, (line.replace("\n", "\\n") + "\n").encode())


def work(options: argparse.Namespace) -> None:
    """Fail one allocation after the other until a run has none left to fail."""
    faulthandler.enable()
    program = importlib.import_module(options.corpus).PROGRAMS[options.programs[0]]
    worker = Worker(program, load_allocator(build_allocator()), options.span)
    worker.allocator.install()
    if options.only:
        print(worker.attempt(options.only, traced=True)[2])
        print(worker.examine(options.only))
        return
    number = options.start
    while True:
        say(f"at {number}")
        calls, failed, wrong = worker.examine(number)
        if wrong:
            say(f"wrong {number} {wrong}")
        if not failed:
            say(f"calls {calls}")
            return
        number += options.every


# --- the process that watches -------------------------------------------------------


def lines_of(process: subprocess.Popen[bytes]) -> Iterator[str | None]:
    """Its lines as they come; None when it has been silent for too long."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        pending = b""
        while selector.select(BOUND):
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                return
            *whole, pending = (pending + data).split(b"\n")
            yield from (line.decode() for line in whole)
        yield None


def watch(name: str, start: int, options: Options, result: Result) -> int:
    """Follow one process; the number to go on with, or 0 at the end."""
    command = [sys.executable, str(Path(__file__)), name, "--worker"]
    command += [f"--start={start}", f"--every={options.every}"]
    command += [f"--span={options.span}", f"--corpus={options.corpus}"]
    errors = ROOT / "build/faults" / f"{name}.{os.getpid()}.err"
    errors.parent.mkdir(parents=True, exist_ok=True)
    number, hangs = start, False
    with errors.open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    with process:
        for line in lines_of(process):
            if line is None:
                hangs = True
                process.send_signal(signal.SIGABRT)  # and it says where
                break
            word, _, rest = line.partition(" ")
            if word == "at":
                number = int(rest)
                result.runs += 1
            elif word == "wrong":
                at, _, text = rest.partition(" ")
                result.findings.append((int(at), text.replace("\\n", "\n")))
            elif word == "calls":
                result.calls = int(rest)
    said = errors.read_text(errors="replace")
    errors.unlink()
    if process.returncode == 0:
        return 0
    what = "hangs" if hangs else "dies"
    tail = "\n".join(said.splitlines()[-60:])
    result.findings.append((number, f"{what} ({process.returncode})\n{tail}"))
    return number + options.every


def examine(name: str, options: Options) -> Result:
    """Let each allocation of a program fail, or some."""
    build_allocator()
    result, start = Result(), options.start
    while start:
        start = watch(name, start, options, result)
        if len(result.findings) > MOST:
            break
    return result


def main() -> int:
    """Examine the programs named, or all; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("programs", nargs="*")
    for name, default in vars(Options()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--only", type=int, default=0)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    wanted = Options(options.start, options.every, options.span, options.corpus)
    sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
    if options.worker or options.only:
        work(options)
        return 0
    known = importlib.import_module(wanted.corpus).PROGRAMS
    passed = failed = calls = 0
    for name in options.programs or known:
        result = examine(name, wanted)
        calls += result.calls
        passed += result.runs - len({number for number, _ in result.findings})
        failed += len({number for number, _ in result.findings})
        print(f"{name}: {result.calls} allocations", flush=True)
        for number, text in result.findings:
            print(f"--- {name} {number}: {text}", flush=True)
    print(f"{calls} allocations")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
