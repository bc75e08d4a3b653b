"""Says what came of a run: on the terminal, and in a JSON file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from expectations import Verdict
from outcomes import FileRun, Result

WIDTH = 170


def print_file(run: FileRun) -> None:
    """Print a line for a test file that is done."""
    counts = Counter(result.outcome for result in run.results.values())
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    print(f"{run.file:55} {run.seconds:6.1f} s  {told or 'no test'}", flush=True)


def print_verdict(verdict: Verdict, listed: Mapping[str, str]) -> None:
    """Print what was unexpected, what is listed, and last the line with the sums."""
    for test, why in verdict.unexpected:
        print(f"unexpected: {test}\n    {why[:WIDTH]}")
    groups = Counter(listed[result.test] for result in verdict.listed)
    for lacks, count in sorted(groups.items(), key=lambda group: (-group[1], group)):
        print(f"{count:4} for want of: {lacks}")
    skipped = Counter(result.outcome for result in verdict.neutral)
    not_applicable = skipped.pop("na", 0)
    print(
        f"{len(verdict.listed)} listed failures, "
        f"{len(verdict.xfailed)} failed as Trio expects, "
        f"{skipped.total()} skipped, {not_applicable} not applicable"
    )
    print(f"{len(verdict.passed)} passed, {len(verdict.unexpected)} failed", flush=True)


def _all_results(runs: Mapping[str, FileRun]) -> Iterable[Result]:
    for file in sorted(runs):
        yield from runs[file].results.values()


def write_json(path: Path, implementation: str, runs: Mapping[str, FileRun]) -> None:
    """Write every result to a file."""
    tests = {
        result.test: {
            "outcome": result.outcome,
            "message": result.message,
            "seconds": result.seconds,
        }
        for result in _all_results(runs)
    }
    content = {"implementation": implementation, "tests": tests}
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def print_comparison(path: Path, runs: Mapping[str, FileRun]) -> None:
    """Print what differs from a file of `write_json`, of the test files now run."""
    content = json.loads(path.read_text("utf-8"))["tests"]
    old = {
        test: result["outcome"]
        for test, result in content.items()
        if test.partition("::")[0] in runs
    }
    new = {result.test: result.outcome for result in _all_results(runs)}
    differing = [
        test for test in sorted({*old, *new}) if old.get(test) != new.get(test)
    ]
    for test in differing:
        print(f"differs: {test}: {old.get(test, '-')} -> {new.get(test, '-')}")
    print(f"{len(differing)} outcomes differ from {path}")
