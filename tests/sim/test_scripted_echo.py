"""The seams of simulation hold for Python programs (docs/design/simulation.md)."""

from __future__ import annotations

import platform
import random
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import scripted_echo

import ctrio
from ctrio._core import _run


def run_sealed(how: str) -> int:
    code = subprocess.run(
        [sys.executable, scripted_echo.__file__, how], timeout=60, check=False
    ).returncode
    if code == 77:
        pytest.skip("this system does not let a process shut itself in")
    return code


def test_every_client_is_answered_and_no_socket_is_left() -> None:
    finished, _, events, left = scripted_echo.run(1)
    assert sorted(finished) == list(range(scripted_echo.CLIENTS))
    assert left == 0
    assert events > 100


def test_the_same_seed_takes_the_same_way_and_others_take_others() -> None:
    hashes = [scripted_echo.run(seed) for seed in range(100)]
    assert [scripted_echo.run(seed) for seed in range(100)] == hashes
    assert len({trace for _, trace, _, _ in hashes}) >= 90


linux_only = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="filters of system calls are Linux's",
)


@linux_only
def test_between_the_first_and_the_last_step_nobody_calls_the_system() -> None:
    assert run_sealed("sealed") == 0


@linux_only
@pytest.mark.parametrize("how", ["leave", "ask"])
def test_a_call_that_leaves_is_caught(how: str) -> None:
    """Else the test above could not fail."""
    assert run_sealed(how) == -signal.SIGSYS


def test_without_the_seal_the_same_program_ends_well_too() -> None:
    assert run_sealed("free") == 0


@pytest.fixture
def seeded_r() -> Iterator[None]:
    """Leave `_r` as a plugin does that seeds it before each test."""
    state = _run._r.getstate()
    _run._r.seed(3)
    yield
    _run._r.setstate(state)
    ctrio._ctrio.batch_order_touched(False)


@pytest.mark.usefixtures("seeded_r")
def test_the_random_numbers_of_a_seeded_scheduler_decide_nothing() -> None:
    assert [scripted_echo.run(1) for _ in range(3)] == [scripted_echo.run(1)] * 3
    assert _run._r.random() == random.Random(3).random()
