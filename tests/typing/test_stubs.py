"""Whether the types that ctrio ships are those of what is there at run time."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import pytest
from checkers import PACKAGE, errors_of, run, run_pyright, why_no_pyright

ALLOWED = Path(__file__).with_name("stubtest_allowlist.txt")


def stubtest(folder: Path, *options: str, **env: str) -> list[str]:
    """What stubtest has to say of the package as it is installed, a line each."""
    unknown = folder / "constants"
    unknown.write_text("\n".join(constants_of_other_machines()))
    allowed = [f"--allowlist={ALLOWED}", f"--allowlist={unknown}"]
    command = [sys.executable, "-m", "mypy.stubtest", "--concise", *options]
    printed = run(*command, *allowed, "ctrio", cwd=folder, **env)
    return printed.splitlines()


def constants_of_other_machines() -> list[str]:
    """Patterns for the constants in the stub that this Python was built without."""
    text = (PACKAGE / "socket.pyi").read_text()
    named = {word for word in text.replace(",", " ").split() if word.isupper()}
    assert len(named) > 300
    return [rf"ctrio\.socket\.{name}" for name in named if not hasattr(socket, name)]


def test_stubtest_agrees_and_nothing_is_allowed_in_vain(tmp_path: Path) -> None:
    # A constant that this version's stub does not name needs no leave to be missing.
    vain = "note: unused allowlist entry ctrio\\.socket\\."
    assert [line for line in stubtest(tmp_path) if not line.startswith(vain)] == []


LIES = {
    "a method that is not there": (
        "_ctrio.pyi",
        "    def is_set(self) -> bool: ...",
        "    def is_set(self) -> bool: ...\n    def clear(self) -> None: ...",
        "ctrio._ctrio.Event.clear is not present at runtime",
    ),
    "an argument that is not there": (
        "_ctrio.pyi",
        "def notify(self, n: int = 1)",
        "def notify(self, n: int = 1, m: int = 1)",
        "ctrio._ctrio.Condition.notify is inconsistent, runtime does not have",
    ),
    "another default": (
        "_ctrio.pyi",
        "async def wait_all_tasks_blocked(cushion: float = 0.0)",
        "async def wait_all_tasks_blocked(cushion: float = 1.0)",
        "ctrio._ctrio.wait_all_tasks_blocked is inconsistent, runtime parameter",
    ),
    "a name that is kept back": (
        "_ctrio.pyi",
        "    def redeemed(self) -> bool: ...",
        "    def reedemed(self) -> bool: ...",
        "ctrio._ctrio.RunVarToken.redeemed is not present in stub",
    ),
    "a constant that is kept back": (
        "socket.pyi",
        "    TCP_MAXSEG as TCP_MAXSEG,\n",
        "",
        "ctrio.socket.TCP_MAXSEG is not present in stub",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_stubtest_finds(lie: str, tmp_path: Path) -> None:
    file, old, new, message = LIES[lie]
    package = tmp_path / "stubs/ctrio"
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(PACKAGE, package, ignore=ignored)
    text = (package / file).read_text()
    assert text.count(old) == 1
    (package / file).write_text(text.replace(old, new))
    said = stubtest(tmp_path, "--ignore-unused-allowlist", MYPYPATH=str(package.parent))
    assert any(line.startswith(message) for line in said), said


def test_every_public_name_has_a_type(tmp_path: Path) -> None:
    if reason := why_no_pyright():
        pytest.skip(reason)
    arguments = ["--ignoreexternal", "--verifytypes", "ctrio"]
    report = run_pyright({}, *arguments, cwd=tmp_path)
    assert list(errors_of(report)) == []
    completeness = report["typeCompleteness"]
    assert completeness["completenessScore"] == 1
    assert completeness["exportedSymbolCounts"]["withKnownType"] > 500


def test_the_package_says_that_it_has_types() -> None:
    assert (PACKAGE / "py.typed").is_file()
