"""The demo's part in C: all holds with the real server, and its checks see a fault."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from c_programs import ROOT, folder

sys.path.insert(0, str(ROOT / "tools"))

import demo_c

BROKEN = ROOT / "tests/support/broken_echo_server.py"
OK, FAILED = "  ok     ", "  FAILED "

RunDemo = Callable[[Path], int]
Printed = pytest.CaptureFixture[str]


@pytest.fixture
def run_demo(monkeypatch: pytest.MonkeyPatch) -> RunDemo:
    """Fewer clients, shorter times; the story stays as it is."""
    short = {"CONNECTIONS": 40, "STALLED": 4, "IDLE": 0.4, "LATE": 20.0, "BOUND": 20.0}
    for name, value in short.items():
        monkeypatch.setattr(demo_c, name, value)

    def run(server: Path) -> int:
        monkeypatch.setattr(sys, "argv", ["demo_c.py", "--server", str(server)])
        return demo_c.main()

    return run


def test_with_the_real_server_every_check_holds(
    run_demo: RunDemo, capsys: Printed
) -> None:
    assert run_demo(folder() / "echo_server") == 0
    printed = capsys.readouterr().out
    assert FAILED not in printed
    assert f"All {printed.count(OK)} checks held" in printed


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("other bytes", "got their own bytes back"),
        ("early", "silent clients were timed out in time"),
        ("leaks", "is left over"),
        ("miscounts", "which is what the clients compared"),
        ("talks", "its stderr"),
        ("ends well", "it ended by itself with status 0"),
    ],
)
def test_a_fault_of_the_server_is_found(
    run_demo: RunDemo, capsys: Printed, tmp_path: Path, fault: str, seen: str
) -> None:
    server = tmp_path / "echo_server"
    server.write_text(f'#!/bin/sh\nexec {sys.executable} {BROKEN} "{fault}" "$@"\n')
    server.chmod(0o755)
    assert run_demo(server) == 1
    printed = capsys.readouterr().out
    assert any(seen in line for line in printed.splitlines() if line.startswith(FAILED))
    assert "checks FAILED" in printed
