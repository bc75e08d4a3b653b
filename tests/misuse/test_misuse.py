"""Wrong programs, and what compilers say of them.

The comment a program begins with says which compilers see what is wrong, and by which
words: `gcc: nothing` means that it is silent, no line that nothing is promised.
"""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest
from installed import ROOT, Installed

HERE = Path(__file__).parent
PROGRAMS = sorted([*HERE.glob("*.c"), *HERE.glob("*.cpp")])
WORDS = re.compile(r"^(?: \*|//) ((?:gcc|clang|g\+\+|clang\+\+)[^:]*): (.*?)(?: \*/)?$")

C = "-std=c11 -Wall -Wextra -Wpedantic -Wframe-larger-than=16384"
CXX = "-std=c++17 -Wall -Wextra"
FLAGS = {
    "gcc": C,
    "clang": f"-Wthread-safety {C}",
    "g++": CXX,
    "clang++": f"-Wthread-safety {CXX}",
}
LEVELS = ("-O0", "-O1", "-O2", "-O3")


def cases() -> list[tuple[Path, str, str, str]]:
    """Program, compiler, level, and the words that are promised of them."""
    found = []
    for program in PROGRAMS:
        for line in program.read_text().split("#include")[0].splitlines():
            if match := WORDS.match(line):
                compiler, *only = match[1].split()
                first = LEVELS.index(only[0]) if only else 0
                found += [
                    (program, compiler, level, match[2]) for level in LEVELS[first:]
                ]
    return found


def diagnostics(program: Path, compiler: str, level: str) -> str:
    """All that a compiler says of a program."""
    command = [compiler, *FLAGS[compiler].split(), level, f"-I{ROOT / 'include'}"]
    command += ["-c", "-o", "/dev/null", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr


@pytest.mark.parametrize(
    ("program", "compiler", "level", "words"),
    [pytest.param(*case, id=f"{case[0].stem}-{case[1]}{case[2]}") for case in cases()],
)
def test_the_compiler_says_it(
    program: Path, compiler: str, level: str, words: str
) -> None:
    said = diagnostics(program, compiler, level)
    if words == "nothing":
        assert said == ""
    else:
        assert words in said


def test_every_program_is_seen_by_somebody() -> None:
    seen = {program for program, *_ in cases()}
    assert set(PROGRAMS) - seen == {HERE / "escaping_exception.cpp"}
    assert len(seen) > 15


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_each_copy_is_refused_in_cxx(compiler: str) -> None:
    text = (HERE / "copies.cpp").read_text()
    said = diagnostics(HERE / "copies.cpp", compiler, "-O0")
    for name in set(re.findall(r"<(ctrio_\w+)>", text)):
        assert re.search(rf"\b{name}\b", said), name


@pytest.mark.parametrize("link", ["shared", "static"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_an_exception_that_leaves_a_task_terminates(
    installed: Installed, tmp_path: Path, compiler: str, link: str
) -> None:
    program = tmp_path / "escaping"
    flags = ["-static"] if link == "static" else []
    installed.build(compiler, HERE / "escaping_exception.cpp", program, *flags)
    done = installed.run(program)
    assert done.returncode == -signal.SIGABRT
    assert "terminate called" in done.stderr
