"""The two lists of tests: those that do not apply, and those that fail as yet.

Both are tables of two columns, a tab between them; `#` begins a comment line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from outcomes import GOOD, FileRun, Result, is_complete

UNSORTED = "?"
"""Begins the `lacks` of a test that nobody has looked at yet."""

HEADER = """\
# Tests of Trio 0.35.0 that do not pass on ctrio yet, grouped by what ctrio lacks.
# The run fails when a test of this list passes, or when one that is not here fails.
# `run.py --write-expected` brings it up to date; what is known of `lacks` it keeps.
# test\tlacks
"""


def read_table(path: Path) -> dict[str, str]:
    """Read a list.

    Raises:
        SystemExit: A line has no second column, or a test is there twice.
    """
    table: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        test, tab, text = line.partition("\t")
        if not tab or not text.strip():
            raise SystemExit(f"{path}:{number}: the second column is missing")
        if test in table:
            raise SystemExit(f"{path}:{number}: {test} is there twice")
        table[test] = text.strip()
    return table


def write_table(path: Path, table: Mapping[str, str]) -> None:
    """Write the list of failing tests, grouped."""
    rows = sorted(table.items(), key=lambda row: (row[1], row[0]))
    lines = "".join(f"{test}\t{lacks}\n" for test, lacks in rows)
    path.write_text(HEADER + lines, "utf-8")


@dataclass
class Verdict:
    """A run, compared with the list."""

    passed: list[Result] = field(default_factory=list)
    neutral: list[Result] = field(default_factory=list)
    xfailed: list[Result] = field(default_factory=list)
    listed: list[Result] = field(default_factory=list)
    unexpected: list[tuple[str, str]] = field(default_factory=list)  # test, why


def judge(
    runs: Mapping[str, FileRun], listed: Mapping[str, str], *, all_tests: bool
) -> Verdict:
    """Compare what happened with what is listed.

    Args:
        runs: What came of the files.
        listed: Tests that fail as yet, and why.
        all_tests: Whether all tests of those files were asked for. A listed test that
            was asked for and is not there is unexpected too: the list is out of date.
    """
    verdict = Verdict()
    for run in runs.values():
        for test, result in run.results.items():
            if result.bad and test in listed:
                verdict.listed.append(result)
            elif result.bad:
                why = f"{result.outcome}: {result.last_line}"
                verdict.unexpected.append((test, why))
            elif result.outcome in GOOD and test in listed:
                verdict.unexpected.append((test, f"{result.outcome}, but is listed"))
            elif result.outcome == "passed":
                verdict.passed.append(result)
            elif result.outcome == "xfailed":
                verdict.xfailed.append(result)
            else:
                verdict.neutral.append(result)
    if all_tests:
        for test in _gone(runs, listed):
            verdict.unexpected.append((test, "is listed, but there is no such test"))
    verdict.unexpected.sort()
    return verdict


def _gone(runs: Mapping[str, FileRun], listed: Mapping[str, str]) -> list[str]:
    """Listed tests of which a complete run of their file knows nothing."""
    gone = []
    for test in listed:
        run = runs.get(test.partition("::")[0])
        if run is None or test in run.results:
            continue
        if is_complete(run.results, run.file):
            gone.append(test)
    return gone


def renew(
    runs: Mapping[str, FileRun], listed: Mapping[str, str], *, all_tests: bool
) -> dict[str, str]:
    """Return the list as it should be after a run.

    Tests that were not run, or were skipped, stay as they are; a test that fails
    and was not listed gets its error in place of what it lacks.
    """
    gone = _gone(runs, listed) if all_tests else []
    table = {test: lacks for test, lacks in listed.items() if test not in gone}
    for run in runs.values():
        for test, result in run.results.items():
            if result.outcome in GOOD:
                table.pop(test, None)
            elif result.bad and test not in table:
                error = f"{result.outcome}: {result.last_line}"
                table[test] = f"{UNSORTED} {error[:120].strip()}"
    return table
