"""The seams of simulation hold for Python programs (docs/design/simulation.md)."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).with_name("scripted_echo.py")


@pytest.fixture(scope="module")
def program() -> Iterator[ModuleType]:
    spec = spec_from_file_location("scripted_echo", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    module.TEMPLATE.close()


def run_sealed(*arguments: str) -> int:
    return subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], timeout=60, check=False
    ).returncode


def test_every_client_is_answered_and_no_socket_is_left(program: ModuleType) -> None:
    finished, _, events, left = program.run(1)
    assert sorted(finished) == list(range(program.CLIENTS))
    assert left == 0
    assert events > 100


def test_the_same_seed_takes_the_same_way_and_others_take_others(
    program: ModuleType,
) -> None:
    hashes = [program.run(seed) for seed in range(100)]
    assert [program.run(seed) for seed in range(100)] == hashes
    assert len({trace for _, trace, _, _ in hashes}) >= 90


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="filters of system calls are Linux's",
)
def test_between_the_first_and_the_last_step_nobody_calls_the_system() -> None:
    code = run_sealed("sealed")
    if code == 77:
        pytest.skip("this system does not let a process shut itself in")
    assert code == 0


def test_without_the_seal_the_same_program_ends_well_too() -> None:
    assert run_sealed() == 0
