"""Who breaks the rules is told so as by Trio, and the run ends in order.

Real Trio comes out of the wheel. Every program has a process of its own and another
run after the broken one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import layout

BREAKERS = Path(__file__).with_name("rule_breakers.py")
NAMES = re.findall(r"@breaker\nasync def (\w+)", BREAKERS.read_text(encoding="utf-8"))

TRIO_HANGS = {
    "a_task_whose_coroutine_is_taken_away": {
        "came to": "'went on'",
        "seen": ["AttributeError: can't delete attribute 'coro'"],
        "unraisable": [],
    },
    "a_task_whose_coroutine_is_replaced_by_nonsense": {
        "came to": "ExceptionGroup: Exceptions from Trio nursery (1 sub-exception) "
        "[AttributeError: 'NoneType' object has no attribute 'send']",
        "seen": [],
        "unraisable": [],
    },
}
"""Trio's loop dies of these and waits for ever for its tasks; what comes of ours."""

OTHERWISE = {
    ("a_task_woken_twice", "seen"): "ours says what was wrong",
    ("an_abort_function_that_answers_nonsense", "unraisable"): "Trio's own frames",
    ("an_abort_function_that_raises", "unraisable"): "Trio's own frames",
}
"""What differs, and how."""


def run(package: str, *names: str) -> dict[str, Any]:
    """What the programs come to in a package."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if package == "trio":
        environment["PYTHONPATH"] = str(layout.obtain_wheel())
    done = subprocess.run(
        [sys.executable, BREAKERS, package, *names],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    return dict(map(json.loads, done.stdout.splitlines()))


@cache
def theirs() -> dict[str, Any]:
    return run("trio", *(name for name in NAMES if name not in TRIO_HANGS))


@pytest.mark.parametrize("name", NAMES)
def test_it_comes_to_what_it_comes_to_in_trio(name: str) -> None:
    ours = run("ctrio", name)[name]
    expected = TRIO_HANGS.get(name) or theirs()[name]
    differing = {fact for fact in expected if ours[fact] != expected[fact]}
    listed = {fact for listed, fact in OTHERWISE if listed == name}
    assert {fact: ours[fact] for fact in differing - listed} == {
        fact: expected[fact] for fact in differing - listed
    }
    assert differing == listed
