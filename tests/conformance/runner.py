"""Runs test files, each in processes of its own.

A test that crashes or hangs takes its process with it; the next process goes on
with the tests after it. So it costs one test, and not the file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import outcomes
from conformance_bridge import settings
from conformance_bridge.applicability import why_not_applicable
from outcomes import FileRun, Result

PLUGINS = ("conformance_bridge.plugin", "trio._tests.pytest_plugin")
TRIO_OPTIONS = ("--run-slow", "--skip-optional-imports")
NORMAL_EXITS = (0, 1, 5)  # all passed, some failed, nothing to run
POLL_SECONDS = 0.05
DUMP_SECONDS = 5.0
DROPPED_VARIABLES = ("PYTHONPATH", "PYTHONWARNINGS", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")


@dataclass(frozen=True)
class Job:
    """What is common to all test processes of a run."""

    layout: Path
    scratch: Path
    implementation: str
    provider: str = ""
    python_path: tuple[str, ...] = ()
    not_applicable: list[tuple[str, str]] = field(default_factory=list)
    keyword: str = ""
    # Seconds without progress after which a process counts as hung; for a test that
    # is known to fail, and perhaps by hanging, there is a shorter one.
    timeout: float = 60.0
    listed_timeout: float = 10.0
    listed: frozenset[str] = frozenset()
    plugins: tuple[str, ...] = PLUGINS
    options: tuple[str, ...] = TRIO_OPTIONS
    stop: Event = field(default_factory=Event)

    def limit(self, test: str | None) -> float:
        """Return how long nothing may happen while that test runs."""
        return self.listed_timeout if test in self.listed else self.timeout


@dataclass(frozen=True)
class _Workplace:
    """The files that the processes of one test file use."""

    file: str
    folder: Path

    @property
    def records(self) -> Path:
        return self.folder / "records.jsonl"

    @property
    def output(self) -> Path:
        return self.folder / "output.txt"

    @property
    def settings(self) -> Path:
        return self.folder / "settings.json"


def run_files(
    job: Job, files: list[Path], jobs: int, tell: Callable[[FileRun], None]
) -> dict[str, FileRun]:
    """Run test files, `jobs` at a time, the longest first.

    Args:
        job: What is common to them.
        files: The files, in the layout.
        jobs: How many processes may run at the same time.
        tell: Called for each file when it is done.

    Returns:
        What came of each file, by its id.
    """
    files = sorted(files, key=lambda file: file.stat().st_size, reverse=True)
    runs: dict[str, FileRun] = {}
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(run_file, job, file) for file in files]
        try:
            for future in as_completed(futures):
                run = future.result()
                runs[run.file] = run
                tell(run)
        except BaseException:
            job.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return runs


def run_file(job: Job, path: Path) -> FileRun:
    """Run one test file, in as many processes as it takes."""
    file = path.relative_to(job.layout).as_posix()
    started = time.monotonic()
    reason = why_not_applicable(file, job.not_applicable)
    if reason is not None:
        return FileRun(file, {file: Result(file, "na", reason)}, 0.0)
    place = _Workplace(file, job.scratch / file.replace("/", "-"))
    (place.folder / "cwd").mkdir(parents=True)
    results: dict[str, Result] = {}
    while not job.stop.is_set():
        settled = set(results)
        trouble = _run_process(job, place, settled)
        if trouble is not None:
            outcomes.append_record(place.records, {"event": "died", "message": trouble})
        results = outcomes.fold(outcomes.read_records(place.records), file)
        progress = set(results) - settled - {f"{file}::(process)"}
        if trouble is None or not progress:
            break
    return FileRun(file, results, time.monotonic() - started)


def _run_process(job: Job, place: _Workplace, settled: set[str]) -> str | None:
    """Run the tests of a file that are not settled; return what went wrong."""
    settings.save(
        {
            "implementation": job.implementation,
            "provider": job.provider,
            "records": str(place.records),
            "not_applicable": job.not_applicable,
            "done": sorted(settled),
        },
        place.settings,
    )
    before = len(list(outcomes.read_records(place.records)))
    with place.output.open("wb") as output:
        process = subprocess.Popen(
            _command(job, place),
            cwd=place.folder / "cwd",
            env=_environment(job, place),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            trouble = _watch(job, place, process)
        finally:
            _end_group(process)
    records = list(outcomes.read_records(place.records))[before:]
    if trouble is None and process.returncode not in NORMAL_EXITS:
        trouble = f"the process ended with status {process.returncode}"
    if any(record.get("outcome") == "collect-error" for record in records):
        return None  # which says it all
    if trouble is None and not any(record["event"] == "end" for record in records):
        trouble = "the process ended before its tests did"
    if trouble is None:
        return None
    tail = place.output.read_text("utf-8", errors="replace")
    return f"{tail[-outcomes.LONGEST_MESSAGE :]}\n{trouble}"


def _command(job: Job, place: _Workplace) -> list[str]:
    command = [sys.executable, "-m", "pytest", "-q", f"--rootdir={job.layout}"]
    command += ["-c", str(job.layout / "pytest.ini"), *job.options]
    for plugin in job.plugins:
        command += ["-p", plugin]
    if job.keyword:
        command += ["-k", job.keyword]
    return [*command, str(job.layout / place.file)]


def _environment(job: Job, place: _Workplace) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in DROPPED_VARIABLES}
    return {
        **kept,
        settings.VARIABLE: str(place.settings),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(job.layout), *job.python_path]),
    }


def _watch(job: Job, place: _Workplace, process: subprocess.Popen[bytes]) -> str | None:
    """Wait until a process is over; return why it had to be ended, if so."""
    size, since, limit = -1, time.monotonic(), job.timeout
    while not _is_over(process):
        if job.stop.wait(POLL_SECONDS):
            return "the run was stopped"
        now_size = place.records.stat().st_size if place.records.exists() else 0
        if now_size != size:
            size, since = now_size, time.monotonic()
            limit = job.limit(_running_test(place.records))
        if time.monotonic() - since > limit:
            _dump_stacks(process)
            return f"nothing happened for {limit:g} s"
    return None


def _running_test(records: Path) -> str | None:
    last: dict[str, Any] = {}
    for record in outcomes.read_records(records):
        last = record
    return last["test"] if last.get("event") == "start" else None


def _is_over(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has ended; it is not reaped, so its id stays its own."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, flags) is not None


def _dump_stacks(process: subprocess.Popen[bytes]) -> None:
    """End a process in a way that makes faulthandler write all stacks first."""
    os.kill(process.pid, signal.SIGABRT)
    give_up = time.monotonic() + DUMP_SECONDS
    while not _is_over(process) and time.monotonic() < give_up:
        time.sleep(POLL_SECONDS)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process, if need be, and all that its tests have left behind."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
