"""The rules of `make style`, over violations planted in a small tree."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
COMPILER = next(filter(None, map(shutil.which, ("gcc", "clang", "cc"))), "")
needs_compiler = pytest.mark.skipif(not COMPILER, reason="there is no C compiler")


class Tree:
    """A folder that the rules take for the project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: list[dict[str, str]] = []
        for pattern in ("*.py", "*.toml"):
            for path in TOOLS.glob(pattern):
                self.plant(f"tools/{path.name}", path.read_text(encoding="utf-8"))

    def plant(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def compile(self, name: str, text: str) -> None:
        """Plant a source and its object, as a Meson build has them."""
        source, build = self.plant(name, text), self.root / "build/gcc"
        build.mkdir(parents=True, exist_ok=True)
        output = f"{len(self.commands)}.o"
        command = [COMPILER, "-w", "-c", str(source), "-o", output]
        subprocess.run(command, cwd=build, check=True)
        entry = {"file": str(source), "output": output, "command": " ".join(command)}
        self.commands.append(entry)
        (build / "compile_commands.json").write_text(json.dumps(self.commands))

    def broken(self, rule: str, *arguments: str) -> list[str]:
        """What breaks a rule of tools/, named as `module.function`."""
        module = rule.partition(".")[0]
        code = f"import {module}; print(*{rule}({', '.join(arguments)}), sep='\\n')"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(self.root / "tools")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    # The tree is no repository, nor part of one: the rules have to find its files.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return Tree(tmp_path)


# --- who includes whom ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("src/base/a.c", "kernel/b.h"),
        ("src/kernel/a.c", "os/b.h"),
        ("src/kernel/a.h", "io/b.h"),
        ("src/os/a_native.c", "io/b.h"),
        ("src/coro/a.c", "kernel/b.h"),
        ("src/api/a.c", "pyext/b.h"),
        ("src/pyext/a.c", "api/b.h"),
        ("src/pyext/a.c", "coro/b.h"),
        ("src/pyext/a.inc", "api/b.h"),
    ],
)
def test_a_folder_may_not_include_what_lies_above_it_or_beside_it(
    tree: Tree, name: str, target: str
) -> None:
    tree.plant(f"src/{target}")
    tree.plant(name, f'\n#include "{target}"\n')
    folder = name.rpartition("/")[0]
    assert tree.broken("check_deps.include_rule") == [
        f"{name}:2: {folder} may not include src/{target}"
    ]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("src/kernel/a.c", "base/b.h"),
        ("src/coro/a.c", "base/b.h"),
        ("src/api/a.c", "coro/b.h"),
        ("src/api/a.c", "io/b.h"),
        ("src/pyext/a.c", "kernel/b.h"),
        ("tests/kernel/a.c", "kernel/b.h"),
    ],
)
def test_a_folder_may_include_what_lies_below_it(
    tree: Tree, name: str, target: str
) -> None:
    tree.plant(f"src/{target}")
    tree.plant(name, f'#include "{target}"\n')
    assert tree.broken("check_deps.include_rule") == []


@pytest.mark.parametrize(
    "text",
    [
        "#include <unistd.h>",
        '#include "unistd.h"',
        "  #  include <unistd.h>",
        "%:include <unistd.h>",
        "#include_next <unistd.h>",
        "#import <unistd.h>",
        "/* why */ #include <unistd.h>",
    ],
)
@pytest.mark.parametrize(
    "name", ["src/pyext/a.c", "src/io/a.h", "src/os/a.inc", "src/api/a.c"]
)
def test_a_system_header_that_a_folder_does_not_list_is_refused(
    tree: Tree, name: str, text: str
) -> None:
    tree.plant(name, text)
    folder = name.rpartition("/")[0]
    assert tree.broken("check_deps.include_rule") == [
        f"{name}:1: <unistd.h> is not among the headers {folder} may include"
    ]


@pytest.mark.parametrize("text", ["#include HEADER", "#include/**/<unistd.h>"])
def test_an_include_that_does_not_name_its_file_is_refused(
    tree: Tree, text: str
) -> None:
    tree.plant("src/pyext/a.c", f"#define HEADER <unistd.h>\n{text}\n")
    (found,) = tree.broken("check_deps.include_rule")
    assert found.startswith("src/pyext/a.c:2: an include has to name its file: ")


def test_a_native_file_includes_what_it_needs_where_that_is_at_home(tree: Tree) -> None:
    tree.plant("src/os/a_native.c", "#include <fcntl.h>\n#include <x86intrin.h>\n")
    assert tree.broken("check_deps.include_rule") == []
    tree.plant("src/io/b_native.c", "#include <fcntl.h>\n#include <x86intrin.h>\n")
    assert tree.broken("check_deps.include_rule") == [
        "src/io/b_native.c:2: <x86intrin.h> belongs in src/os"
    ]


@pytest.mark.parametrize("header", ["fcntl.h", "linux/futex.h", "Python.h"])
def test_a_header_with_a_home_is_refused_elsewhere(tree: Tree, header: str) -> None:
    tree.plant("tests/kernel/test_a.c", f"#include <{header}>\n")
    (found,) = tree.broken("check_deps.include_rule")
    assert f"<{header}> belongs in " in found


def test_a_folder_of_src_that_no_table_knows_is_refused(tree: Tree) -> None:
    tree.plant("src/new/a.c")
    assert tree.broken("check_deps.include_rule") == [
        "src/new/a.c: its folder is not in deps.toml"
    ]


def test_a_folder_of_src_without_a_list_of_headers_is_refused(tree: Tree) -> None:
    tables = tree.root / "tools/deps.toml"
    text = tables.read_text().replace("[may_include]", '[may_include]\n"src/new" = []')
    tables.write_text(text)
    tree.plant("src/new/a.c", "#include <stdio.h>\n")
    assert tree.broken("check_deps.include_rule") == [
        "src/new/a.c:1: src/new is not among the system_headers of deps.toml"
    ]


def test_files_that_include_each_other_are_a_circle(tree: Tree) -> None:
    tree.plant("src/base/a.h", '#include "base/b.h"\n')
    tree.plant("src/base/b.h", '#include "base/a.h"\n')
    circle = "src/base/a.h -> src/base/b.h -> src/base/a.h"
    assert tree.broken("check_deps.include_rule") == [
        f"files include each other in a circle: {circle}"
    ]


# --- tests, lists, sizes --------------------------------------------------------------


def test_a_kernel_source_without_a_test_is_found(tree: Tree) -> None:
    tree.plant("src/kernel/a.c")
    tree.plant("src/kernel/b.c")
    tree.plant("tests/kernel/test_b.c")
    assert tree.broken("check_deps.mirror_rule") == [
        "src/kernel/a.c: there is no tests/kernel/test_a.c"
    ]


def test_a_source_that_meson_does_not_build_is_found(tree: Tree) -> None:
    tree.plant("src/base/a.c")
    tree.plant("src/base/b.c")
    tree.plant("src/base/meson.build", "sources = files(\n  'b.c',\n)\n")
    assert tree.broken("check_deps.listed_rule") == [
        "src/base/a.c: not in src/base/meson.build"
    ]


def c_function(lines: int) -> str:
    body = "    ;\n" * (lines - 4)
    return f"\n/* Why. */\nstatic void\nlong_one(int a)\n{{\n{body}}}\n"


def python_function(lines: int, head: str = "def long_one():") -> str:
    return f"{head}\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("src/base/a.c", c_function(71), 3),
        ("src/base/a.h", c_function(71), 3),
        ("tools/a.py", python_function(71), 1),
        ("tests/a.py", python_function(71, "async def long_one():"), 1),
    ],
)
def test_a_function_of_71_lines_is_too_long(
    tree: Tree, name: str, text: str, line: int
) -> None:
    tree.plant(name, text)
    assert tree.broken("check_size.size_rule") == [
        f"{name}:{line}: long_one has 71 lines, 70 at most"
    ]


def test_a_function_of_70_lines_is_not(tree: Tree) -> None:
    tree.plant("src/base/a.c", c_function(70))
    tree.plant("tests/a.py", python_function(70))
    assert tree.broken("check_size.size_rule") == []


@pytest.mark.parametrize("name", ["src/base/a.c", "src/base/a.h", "bench/a.py"])
def test_a_file_of_601_lines_is_too_long(tree: Tree, name: str) -> None:
    tree.plant(name, "\n" * 600)
    assert tree.broken("check_size.size_rule") == []
    tree.plant(name, "\n" * 601)
    assert tree.broken("check_size.size_rule") == [f"{name}: 601 lines, 600 at most"]


# --- symbols --------------------------------------------------------------------------

CALLS = "void {0}(void);\nvoid ctrio__x(void)\n{{\n    {0}();\n}}\n"
UNDEFINED = ("check_symbols.undefined_symbols", "check_symbols.bootstrap.BUILD / 'gcc'")
COUNTERS = ("check_symbols.counters", "check_symbols.bootstrap.BUILD / 'gcc'")


@needs_compiler
@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("src/base/heap.c", "malloc"),
        ("src/kernel/a.c", "clock_gettime"),
        ("src/io/a.c", "read"),
        ("src/pyext/a.c", "getenv"),
        ("src/pyext/a.c", "PyThread_start_new_thread"),
    ],
)
def test_a_source_that_calls_the_machine_is_found(
    tree: Tree, name: str, symbol: str
) -> None:
    tree.compile(name, CALLS.format(symbol))
    assert tree.broken(*UNDEFINED) == [f"{name}: may not use {symbol}"]


@needs_compiler
@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("src/base/alloc.c", "malloc"),
        ("src/os/a_native.c", "clock_gettime"),
        ("src/kernel/a.c", "ctrio__other"),
        ("src/pyext/a.c", "PyErr_Clear"),
        ("tests/kernel/a.c", "system"),
    ],
)
def test_a_source_that_calls_what_it_may_is_not(
    tree: Tree, name: str, symbol: str
) -> None:
    tree.compile(name, CALLS.format(symbol))
    assert tree.broken(*UNDEFINED) == []


@needs_compiler
def test_an_object_of_a_folder_that_no_table_knows_is_found(tree: Tree) -> None:
    tree.compile("src/new/a.c", CALLS.format("memcpy"))
    assert tree.broken(*UNDEFINED) == ["src/new/a.c: its folder is not in symbols.toml"]


@needs_compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="another machine's words")
def test_only_a_native_file_reads_the_processors_clock(tree: Tree) -> None:
    text = "unsigned long long x(void)\n{\n    return __builtin_ia32_rdtsc();\n}\n"
    tree.compile("src/os/a_native.c", text)
    tree.compile("src/os/a.c", text)
    assert tree.broken(*COUNTERS) == ["src/os/a.c: reads the processor's clock (rdtsc)"]


@needs_compiler
def test_an_extension_that_exports_more_or_less_is_found(tree: Tree) -> None:
    tree.plant("a.c", "void PyInit__ctrio(void) {}\nvoid ctrio__x(void) {}\n")
    tree.plant("b.c", "static int x;\n")
    tree.plant("c.c", "void PyInit__ctrio(void) {}\nstatic int x;\n")
    for name in "abc":
        command = [COMPILER, "-w", "-shared", "-fPIC", f"{name}.c", "-o", f"{name}.so"]
        subprocess.run(command, cwd=tree.root, check=True)
    libraries = "sorted(check_symbols.bootstrap.ROOT.glob('*.so'))"
    assert tree.broken("check_symbols.exported", libraries) == [
        "a.so: exports ctrio__x",
        "b.so: does not export PyInit__ctrio",
    ]
