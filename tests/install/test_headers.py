"""The headers under strict compilers, alone and together, in C and in C++."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from installed import ROOT, Installed

HERE = Path(__file__).parent
INCLUDE = ROOT / "include"
HEADERS = [path.relative_to(INCLUDE).as_posix() for path in INCLUDE.rglob("*.h")]

C = "-std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Werror"
CXX = "-std=c++17 -Wall -Wextra -Wshadow -Werror"
COMPILERS = {
    "gcc": f"gcc -x c {C}",
    "gcc-O2": f"gcc -O2 -x c {C}",
    "clang": f"clang -x c -Wthread-safety {C}",
    "g++": f"g++ -x c++ {CXX}",
    "clang++": f"clang++ -x c++ -Wthread-safety {CXX}",
}
CROWD = ["sys/sysmacros.h", "tgmath.h", "resolv.h", "signal.h", "unistd.h"]


def compiles(command: str, text: str) -> str:
    """What a compiler says of a text."""
    done = subprocess.run(
        [*command.split(), f"-I{INCLUDE}", "-fsyntax-only", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or done.stderr
    return done.stderr


@pytest.mark.parametrize("header", sorted(HEADERS))
@pytest.mark.parametrize("compiler", COMPILERS)
def test_each_header_stands_alone(compiler: str, header: str) -> None:
    text = f"#include <{header}>\n#include <{header}>\nint main(void) {{ return 0; }}\n"
    if compiler.endswith("++"):
        text = text.replace("(void)", "()")
    assert compiles(COMPILERS[compiler], text) == ""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_they_go_together_in_any_order(compiler: str) -> None:
    names = [f"#include <{header}>\n" for header in sorted(HEADERS, reverse=True)]
    assert compiles(COMPILERS[compiler], "".join(names)) == ""


@pytest.mark.parametrize("standard", ["gnu99", "gnu17", "gnu2x"])
def test_they_get_on_with_the_systems_headers(standard: str) -> None:
    includes = "".join(f"#include <{name}>\n" for name in CROWD)
    text = f"{includes}#include <ctrio.h>\n#include <ctrio/lowlevel.h>\n"
    assert compiles(f"gcc -x c -std={standard} -Wall -Wextra -Werror", text) == ""


def test_the_umbrella_holds_what_most_programs_need() -> None:
    text = (INCLUDE / "ctrio.h").read_text()
    left_out = {name for name in HEADERS if f"#include <{name}>" not in text} - {
        "ctrio.h"
    }
    assert left_out == {"ctrio/lowlevel.h", "ctrio/testing.h"}


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_a_cxx_program_runs(
    installed: Installed, tmp_path: Path, compiler: str, level: str
) -> None:
    program = tmp_path / "program"
    flags = [*CXX.split(), level]
    installed.build(compiler, HERE / "program.cpp", program, *flags)
    done = installed.run(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "10\n", "")
