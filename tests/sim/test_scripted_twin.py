"""A Python program and its twin in C make the same calls, where scripted alike."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_it_makes_the_calls_that_its_twin_in_c_makes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(HERE))  # type: ignore[no-untyped-call]
    twin = importlib.import_module("scripted_twin")
    written = [int(line) for line in (HERE / "twin_calls.txt").read_text().split()]
    assert [twin.calls(seed) for seed in range(len(written))] == written
    assert len(written) == 100
