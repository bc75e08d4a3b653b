"""From the records of a file's test processes to one outcome a test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GOOD = frozenset(["passed", "xfailed"])
NEUTRAL = frozenset(["skipped", "module-skip", "na"])
"""What is neither good nor bad; every other outcome is bad."""

LONGEST_MESSAGE = 4000


@dataclass(frozen=True)
class Result:
    """The last word on a test, or on a file that could not be run."""

    test: str
    outcome: str
    message: str = ""
    seconds: float = 0.0

    @property
    def bad(self) -> bool:
        """Whether an implementation should not have this outcome."""
        return self.outcome not in GOOD | NEUTRAL

    @property
    def last_line(self) -> str:
        """The line of the message that says most, on a failure."""
        lines = [line for line in self.message.splitlines() if line.strip()]
        errors = [line[2:] for line in lines if line.startswith("E ")]
        return " ".join((errors or lines or [""])[-1].split())


@dataclass(frozen=True)
class FileRun:
    """What came of one test file."""

    file: str
    results: dict[str, Result]
    seconds: float


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Give the records of a file; a line cut short by a crash is left out."""
    if not path.exists():
        return
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def append_record(path: Path, record: dict[str, Any]) -> None:
    """Add a record of the harness's own to those of the test processes."""
    with path.open("a", encoding="utf-8") as file:
        # The leading newline ends a line that a crash may have cut short.
        file.write("\n" + json.dumps(record) + "\n")


def fold(records: Iterable[dict[str, Any]], file: str) -> dict[str, Result]:
    """Reduce the records of one test file to a result for each test.

    Args:
        records: In the order in which they were written. Besides those of the plugin
            there is `died` after each process that did not end properly: the test
            that was running has crashed, or else the process on its own account.
        file: The id of the file.
    """
    results: dict[str, Result] = {}
    running: str | None = None
    for record in records:
        event, test = record["event"], record.get("test", "")
        if event == "start":
            running = test
        elif event == "finish":
            running = None
        elif event == "died":
            test = running or f"{file}::(process)"
            results[test] = Result(test, "crashed", record["message"])
            running = None
        elif event == "outcome":
            old = results.get(test)
            # A tear-down that fails overrules a call that passed, nothing else does.
            if old is None or old.outcome == "passed":
                message = record.get("message", "")[-LONGEST_MESSAGE:]
                results[test] = Result(
                    test, record["outcome"], message, record.get("seconds", 0.0)
                )
    return results


def is_complete(results: dict[str, Result], file: str) -> bool:
    """Whether a run of a file has told about every test in it."""
    return file not in results and f"{file}::(process)" not in results
