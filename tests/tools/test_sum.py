"""The sum of a test run: it is there, it is last, and nothing is left out of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import c_build
import run_tests
from bootstrap import BuildError, SetupError
from c_build import Outcome

ROOT = Path(__file__).parents[2]

Suite = Callable[[], Outcome | None]


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep this run's own logs, which are being written, out of it."""
    monkeypatch.setattr(run_tests, "LOGS", tmp_path)
    monkeypatch.setattr(c_build, "LOGS", tmp_path)
    return tmp_path


def good() -> Outcome | None:
    return Outcome(passed=2, skipped=1)


def bad() -> Outcome | None:
    return Outcome(passed=1, failed=3, details=["what failed\n9 passed, 0 failed"])


def raising() -> Outcome | None:
    raise ZeroDivisionError("a mistake in a suite")


def unbuilt() -> Outcome | None:
    raise BuildError("what the compiler said")


def unable() -> Outcome | None:
    raise SetupError("no compiler")


def absent() -> Outcome | None:
    return None


@pytest.mark.parametrize(
    ("suites", "line", "status"),
    [
        ([good], "2 passed, 0 failed, 1 skipped", 0),
        ([good, absent], "2 passed, 0 failed, 1 skipped", 0),
        ([bad, good], "3 passed, 3 failed, 1 skipped", 1),
        ([raising, good], "2 passed, 1 failed, 1 skipped", 1),
        ([unable, good], "2 passed, 0 failed, 2 skipped", 0),
        ([good, unbuilt, good], "2 passed, 1 failed, 1 skipped", 1),
        ([unable], "0 passed, 1 failed, 1 skipped", 1),
        ([], "0 passed, 1 failed", 1),
    ],
)
def test_the_last_line_is_the_sum_and_the_status_agrees_with_it(
    capsys: pytest.CaptureFixture[str],
    logs: Path,
    suites: list[Suite],
    line: str,
    status: int,
) -> None:
    named = {f"{number}": suite for number, suite in enumerate(suites)}
    assert run_tests.run_suites(named) == status
    printed = capsys.readouterr().out.splitlines()
    assert [text for text in printed if run_tests.SUM.match(text)] == [line]
    assert printed[-1] == line
    assert (logs / "sum").read_text() == line + "\n"


def test_what_a_suite_raised_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    run_tests.run_suites({"odd": raising})
    printed = capsys.readouterr().out
    assert "--- odd: Traceback" in printed
    assert "ZeroDivisionError: a mistake in a suite" in printed


@pytest.mark.parametrize(
    ("code", "counts"),
    [
        ("print('noise'); print('3 passed, 0 failed, 2 skipped')", (3, 0, 2)),
        ("print('3 passed, 1 failed'); exit(1)", (3, 1, 0)),
        ("print('3 passed, 0 failed'); exit(1)", (3, 1, 0)),
        ("print('3 passed, 0 failed'); print('noise')", (0, 1, 0)),
        ("print('a script of 3 passed, 0 failed')", (0, 1, 0)),
        ("", (0, 1, 0)),
    ],
)
def test_a_script_counts_by_its_last_line_and_its_status(
    tmp_path: Path, code: str, counts: tuple[int, int, int]
) -> None:
    script = tmp_path / "script.py"
    script.write_text(code)
    total = run_tests.counted("script", script, 60)
    assert total is not None
    assert (total.passed, total.failed, total.skipped) == counts


@pytest.mark.parametrize(
    ("stdout", "result", "counts"),
    [
        ("ok 1 - a\nok 2 - b # SKIP why\nnot ok 3 - c\n", "FAIL", (1, 1, 1)),
        ("ok 1 - a\n", "FAIL", (1, 1, 0)),
        ("ok 1 - a\n", "OK", (1, 0, 0)),
        ("", "TIMEOUT", (0, 1, 0)),
        ("", "SKIP", (0, 0, 1)),
    ],
)
def test_a_c_program_counts_by_its_points_and_by_how_it_ended(
    stdout: str, result: str, counts: tuple[int, int, int]
) -> None:
    total = Outcome()
    record = {"name": "a", "stdout": stdout, "result": result}
    c_build.count_program(record, total)
    assert (total.passed, total.failed, total.skipped) == counts


FAILS = "2 passed, 1 failed, 1 skipped"
PASSES = "2 passed, 0 failed"
NONE = "0 passed, 1 failed"


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize(
    ("left", "status", "line"),
    [
        (PASSES, 0, PASSES),
        (FAILS, 1, FAILS),
        (PASSES, 2, NONE),
        (FAILS, 0, FAILS),
        ("", 1, NONE),
        ("", 0, NONE),
    ],
)
def test_ci_ends_with_the_sum_whatever_make_says_after_it(
    tmp_path: Path, left: str, status: int, line: str
) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    (tmp_path / "build/log").mkdir(parents=True)
    (tmp_path / "build/log/sum").write_text("7 passed, 7 failed\n")  # An older run's.
    leave = f"echo '{left}' | tee build/log/sum; " if left else ""
    (tmp_path / "Makefile").write_text(f"test:\n\t@{leave}exit {status}\n")
    done = subprocess.run(
        ["bash", ".ci/run"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == line
    assert (done.returncode == 0) == (line == PASSES)
