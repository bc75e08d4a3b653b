"""Type checkers on programs: the good pass, and the bad fail where they say so.

A line of a bad program ends with `# error:` and the codes by which mypy finds what is
wrong there; pyright, whose rules have other names, has to find something there too.
Every program is checked twice: with `import ctrio as trio`, as it is written, and with
`import trio` and the stubs that ctrio writes for that.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from checkers import Findings, mypy, pyright, why_no_pyright

import ctrio

PROGRAMS = sorted(Path(__file__).with_name("programs").glob("*.py"))
NAMES = [path.name for path in PROGRAMS]
GOOD = [path for path in PROGRAMS if path.name.startswith("good_")]
MARK = re.compile(r"# error: ([\w, -]+)$")
SPELLINGS = ["ctrio", "trio"]
KEPT = tempfile.TemporaryDirectory()  # as long as the tests run


def spelled(source: str, spelling: str) -> str:
    """A program as it is for ctrio, or for trio."""
    if spelling == "ctrio":
        return source
    source = source.replace("import ctrio as trio", "import trio")
    return source.replace("from ctrio", "from trio").replace("ctrio.", "trio.")


@functools.cache
def folder(spelling: str) -> Path:
    """The programs in a spelling."""
    made = Path(KEPT.name, spelling)
    made.mkdir()
    for path in PROGRAMS:
        (made / path.name).write_text(spelled(path.read_text(), spelling))
    return made


@functools.cache
def stubs_for(spelling: str) -> Path | None:
    """Where type checkers have to look before all else, if anywhere."""
    if spelling == "ctrio":
        return None
    stubs = Path(KEPT.name, "stubs")
    subprocess.run([sys.executable, "-m", "ctrio", "--stubs", stubs], check=True)
    return stubs


@functools.cache
def found_by_mypy(spelling: str) -> Findings:
    return mypy(folder(spelling), stubs_for(spelling))


@functools.cache
def found_by_pyright(spelling: str) -> Findings:
    if reason := why_no_pyright():
        pytest.skip(reason)
    return pyright(folder(spelling), stubs_for(spelling))


def expected(name: str) -> dict[int, set[str]]:
    """The lines of a program that say that they are wrong, and mypy's codes."""
    path = PROGRAMS[NAMES.index(name)]
    lines = enumerate(path.read_text().splitlines(), 1)
    marks = ((number, MARK.search(line)) for number, line in lines)
    return {number: set(mark[1].split(", ")) for number, mark in marks if mark}


def test_the_stubs_for_trio_have_every_public_module() -> None:
    stubs = stubs_for("trio")
    assert stubs is not None
    made = {path.stem for path in stubs.glob("trio/*.pyi")}
    package = Path(ctrio.__file__).parent
    public = {path.stem for path in package.iterdir() if path.name[0] != "_"}
    assert made - {"__init__"} == public - {"py"}


def test_bad_programs_say_where_and_good_ones_have_nothing_to_say() -> None:
    assert len(GOOD) > 5
    for name in NAMES:
        assert bool(expected(name)) == name.startswith("bad_"), name


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", NAMES)
def test_mypy_finds_what_is_wrong_and_nothing_else(name: str, spelling: str) -> None:
    assert dict(found_by_mypy(spelling).get(name, {})) == expected(name)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", NAMES)
def test_pyright_finds_what_is_wrong_and_nothing_else(name: str, spelling: str) -> None:
    found = found_by_pyright(spelling).get(name, {})
    assert sorted(found) == sorted(expected(name))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_what_type_checkers_accept_runs(path: Path, spelling: str) -> None:
    program = folder(spelling) / path.name
    under = ["-m", "ctrio"] if spelling == "trio" else []
    done = subprocess.run(
        [sys.executable, "-W", "error", *under, str(program)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
