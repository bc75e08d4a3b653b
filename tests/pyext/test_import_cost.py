"""What `import ctrio` does not import."""

from __future__ import annotations

import functools
import subprocess
import sys

import pytest

HEAVY = ["outcome", "attr", "attrs", "sniffio", "idna", "ssl"]
if sys.version_info >= (3, 11):  # before, exceptiongroup imports them
    HEAVY += ["inspect", "typing"]

SCRIPT = """
import sys
sys.path[:] = {path!r}
before = set(sys.modules)
import ctrio
print("\\n".join(sorted(set(sys.modules) - before)))
"""


@functools.cache
def imported_by_import() -> set[str]:
    """The modules that come with it, in a Python without site."""
    completed = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SCRIPT.format(path=sys.path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return set(completed.stdout.split())


@pytest.mark.parametrize("heavy", HEAVY)
def test_what_takes_long_is_imported_when_it_is_used(heavy: str) -> None:
    modules = imported_by_import()
    assert "ctrio._ctrio" in modules
    assert heavy not in modules


def test_neither_the_twins_nor_the_statistics_are_imported() -> None:
    modules = imported_by_import()
    for name in ("ctrio._stubs", "ctrio._statistics", "ctrio.testing", "trio"):
        assert name not in modules
