#!/usr/bin/env python3
"""Runs the tests of Trio 0.35.0 on ctrio, or on another implementation of its API.

With no option it runs the files that ctrio is held to as yet, see README.md. The
exit status is 0 if every test did what is expected of it.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import NoReturn

import expectations
import layout
import report
from runner import Job, run_files

HERE = Path(__file__).resolve().parent

DEFAULT_FILES = (
    "test_abc",
    "test_asyncgen",
    "test_cancelled",
    "test_channel",
    "test_contextvars",
    "test_deprecate",
    "test_deprecate_strict_exception_groups_false",
    "test_exceptiongroup_gc",
    "test_guest_mode",
    "test_instrumentation",
    "test_io",
    "test_ki",
    "test_local",
    "test_mock_clock",
    "test_parking_lot",
    "test_run",
    "test_scheduler_determinism",
    "test_sync",
    "test_testing",
    "test_testing_raisesgroup",
    "test_thread_cache",
    "test_threads",
    "test_timeouts",
    "test_tracing",
    "test_trio",
    "test_tutil",
    "test_unbounded_queue",
    "test_util",
)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--select", nargs="+", metavar="FILE", help="these test files")
    which.add_argument("--all", action="store_true", help="all test files")
    add("-k", dest="keyword", default="", metavar="EXPR", help="as pytest's -k")
    add("--jobs", type=int, default=2, help="test files at the same time")
    add("--impl", default="ctrio", help="importable name of what is tested")
    add(
        "--provider",
        default="",
        help="module with its private names; if not given, IMPL._conformance if there "
        "is one; what that lacks is looked up in modules named as Trio's",
    )
    add("--pythonpath", action="append", default=[], help="where it can be imported")
    add("--direct", action="store_true", help="run them in Trio itself, unbridged")
    add("--run-na", action="store_true", help="also run those that do not apply")
    add("--wheel", type=Path, help=f"the trio {layout.VERSION} wheel, not downloaded")
    add(
        "--expected",
        type=Path,
        help="list of tests that fail as yet; the one beside this file if the "
        "implementation is ctrio, else none",
    )
    add("--write-expected", action="store_true", help="bring that list up to date")
    add("--timeout", type=float, default=60, help="s without progress before a kill")
    add("--listed-timeout", type=float, default=10, help="the same, for a listed test")
    add("--json", type=Path, help="write all outcomes to this file")
    add("--compare", type=Path, help="tell what differs from such a file")
    add("--keep", action="store_true", help="keep the layout and the output")
    parsed = parser.parse_args(arguments)
    if parsed.expected is None and parsed.impl == "ctrio":
        parsed.expected = HERE / "expected_failures.tsv"
    if parsed.write_expected and parsed.expected is None:
        parser.error("--write-expected needs --expected")
    return parsed


def select_files(files: list[Path], arguments: argparse.Namespace) -> list[Path]:
    """Pick the test files that are to be run, by name.

    Raises:
        SystemExit: A name that was asked for does not exist.
    """
    if arguments.all:
        return files
    wanted = {name.removesuffix(".py") for name in arguments.select or DEFAULT_FILES}
    chosen = [file for file in files if file.stem in wanted]
    unknown = wanted - {file.stem for file in chosen}
    if unknown:
        raise SystemExit(f"no such test file: {', '.join(sorted(unknown))}")
    return chosen


def check_environment() -> None:
    """Refuse to run where the results would mean little.

    Raises:
        SystemExit: Something is missing, or there that should not be.
    """
    if importlib.util.find_spec("pytest") is None:
        raise SystemExit("pytest is missing: see README.md for what is needed")
    if importlib.util.find_spec("hypothesis") is not None:
        raise SystemExit("hypothesis changes what three tests see: run without it")


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def set_signals() -> None:
    """See to it that test processes are stopped with the run and start clean.

    A signal that is ignored stays so in a new process, one that is caught goes back
    to its default. SIGINT is ignored in a background job: catch it and do nothing.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, frame: None)


def run(arguments: argparse.Namespace, folder: Path) -> int:
    """Run the tests in a folder for this run; return the exit status."""
    wheel = arguments.wheel or layout.obtain_wheel()
    files = layout.lay_out(
        wheel, folder / "layout", tools=arguments.run_na, direct=arguments.direct
    )
    chosen = select_files(files, arguments)
    listed = expectations.read_table(arguments.expected) if arguments.expected else {}
    patterns = expectations.read_table(HERE / "not_applicable.tsv")
    if arguments.run_na:
        patterns = {}
    job = Job(
        layout=folder / "layout",
        scratch=folder / "scratch",
        implementation=arguments.impl,
        provider=arguments.provider,
        python_path=tuple(str(Path(path).resolve()) for path in arguments.pythonpath),
        not_applicable=list(patterns.items()),
        keyword=arguments.keyword,
        timeout=arguments.timeout,
        listed_timeout=arguments.listed_timeout,
        listed=frozenset(listed),
    )
    runs = run_files(job, chosen, arguments.jobs, report.print_file)
    all_tests = not arguments.keyword
    if arguments.write_expected:
        listed = expectations.renew(runs, listed, all_tests=all_tests)
        expectations.write_table(arguments.expected, listed)
        print(f"wrote {arguments.expected}")
    if arguments.json:
        report.write_json(arguments.json, arguments.impl, runs)
    if arguments.compare:
        report.print_comparison(arguments.compare, runs)
    verdict = expectations.judge(runs, listed, all_tests=all_tests)
    report.print_verdict(verdict, listed)
    return 0 if verdict.passed and not verdict.unexpected else 1


def main() -> int:
    """Run the command line."""
    arguments = parse_arguments()
    check_environment()
    set_signals()
    layout.BUILD.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=layout.BUILD))
    try:
        return run(arguments, folder)
    finally:
        if arguments.keep:
            print(f"kept {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
