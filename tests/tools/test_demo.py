"""The demo's own judgement: its exit status is 0 only if every check held.

Servers broken on purpose show that the checks see what they are for.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import demo
import demo_server

BROKEN = [sys.executable, str(Path(__file__).with_name("broken_server.py"))]
GOOD = shlex.join([*BROKEN, ""])
OK, FAILED = "  ok     ", "  FAILED "

RunDemo = Callable[..., int]
Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer clients, shorter times, no haste; the story stays as it is."""
    times = {"TIMEOUT": 0.3, "GRACE": 0.8, "LATE": 60.0}
    sizes = {"CLIENTS": 40, "STALLED": 4, "BIG": 5 << 20}
    speed = {"SLICE": 0.01, "ENOUGH": 1, "BUSY": 0.0, "MOST": 2, "LOADED": 4}
    for name, value in {**times, **sizes, **speed}.items():
        monkeypatch.setattr(demo, name, value)
    monkeypatch.setattr(demo.os, "sched_getaffinity", lambda pid: {0, 1})


@pytest.fixture
def run_demo(monkeypatch: pytest.MonkeyPatch) -> RunDemo:
    def run(runner: str = GOOD) -> int:
        options = ["--runner", runner, "--peer", GOOD, "--slices", "1"]
        monkeypatch.setattr(sys, "argv", ["demo.py", *options])
        return demo.main()

    return run


def test_with_good_servers_every_check_holds(
    run_demo: RunDemo, capsys: Printed
) -> None:
    assert run_demo() == 0
    printed = capsys.readouterr().out
    assert FAILED not in printed
    assert f"All {printed.count(OK)} checks held" in printed


@pytest.mark.parametrize(
    ("faults", "seen"),
    [
        (
            "times out early,forgets a crash,talks on stderr,ends with status 3",
            ["stalled clients were", "status 3", "the clients counted", "its stderr"],
        ),
        (
            "times out late,gives more grace,leaks a task",
            ["stalled clients were", "was cut off in time", "is left over"],
        ),
        (
            "gives no grace,leaks a descriptor",
            ["clients still got", "was cut off", "the clients counted", "is left over"],
        ),
    ],
)
def test_a_broken_server_is_found_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Printed,
    faults: str,
    seen: list[str],
) -> None:
    if "late" in faults:
        monkeypatch.setattr(demo, "LATE", 0.5)
    column = demo.Column("ctrio", [*BROKEN, faults])
    checks = demo.Checks()
    demo.Story(column, demo.Site(tmp_path), checks).tell()
    printed = capsys.readouterr().out.splitlines()
    failed = [line for line in printed if line.startswith(FAILED)]
    assert len(failed) == len(seen) == checks.failed
    for line, words in zip(failed, seen, strict=True):
        assert words in line


def test_wrong_bytes_are_found_out_by_whoever_reads_them(
    run_demo: RunDemo, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(demo, "measure", lambda *arguments: None)
    monkeypatch.setattr(demo.Story, "stop", lambda *arguments: None)
    assert run_demo(shlex.join([*BROKEN, "sends wrong bytes"])) == 1
    printed = capsys.readouterr().out
    for client in ("urllib in 8 threads", "40 connections at once", "it disturbed"):
        assert f"{FAILED}{client}" in printed
        assert f"{OK}{client}" in printed  # With the peer, whose server is a good one.


@pytest.mark.parametrize(
    ("taken", "good"),
    [(4.7, False), (4.8, True), (5.0, True), (7.9, True), (8.1, False)],
)
def test_a_time_has_two_bounds(taken: float, good: bool) -> None:
    assert demo_server.in_time(taken, 5.0, 3.0) is good
    assert not demo_server.in_time(float("nan"), 5.0, 3.0)


# --- without the stories --------------------------------------------------------------


@pytest.mark.parametrize("which", ["ctrio", "trio", "speed", "none"])
def test_one_check_that_fails_is_enough(
    run_demo: RunDemo, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    def tell(story: demo.Story) -> None:
        story.checks(True, "a claim that holds")
        story.checks(story.column.name != which, "a claim of a story")

    def measure(*arguments: object) -> None:
        checks = arguments[-1]
        assert isinstance(checks, demo.Checks)
        checks(which != "speed", "a claim of speed")

    monkeypatch.setattr(demo.Story, "tell", tell)
    monkeypatch.setattr(demo, "measure", measure)
    runner = f"{sys.executable} -m ctrio"
    assert run_demo(runner) == (which != "none")


def test_a_demo_that_has_to_stop_fails(
    run_demo: RunDemo, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    assert run_demo("false") == 1
    assert f"{FAILED}stopped by DemoError" in capsys.readouterr().out


def test_a_rate_that_there_is_not_is_a_check_that_fails(
    run_demo: RunDemo, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(demo.Story, "tell", lambda story: None)
    monkeypatch.setattr(demo, "BUSY", 100.0)
    assert run_demo() == 1
    printed = capsys.readouterr().out
    assert printed.count(": in 0 of 2 slices the server had") == 2
    assert "2 of 4 checks FAILED" in printed


def test_with_one_processor_the_demo_says_that_speed_is_left_out(
    run_demo: RunDemo, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(demo.Story, "tell", lambda story: None)
    monkeypatch.setattr(demo.os, "sched_getaffinity", lambda pid: {0})
    assert run_demo() == 0
    assert "speed is left out" in capsys.readouterr().out
