"""What looks for faults without a test of ours: Valgrind and three static analysers.

Each is a suite of tools/run_tests.py, and together they are `make analyze`. A tool that
is not here, and that we may not install, is skipped with a line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bootstrap
from bootstrap import ROOT, SetupError, apt_install, missing
from c_build import Outcome, compile_commands, run_programs, strict_build

# What is only "possibly lost" is of threads and children that end amid a run.
VALGRIND = (
    "valgrind -q --error-exitcode=99 --leak-check=full"
    " --show-leak-kinds=definite --errors-for-leak-kinds=definite"
)
# Findings that are none: the source, what is said of it, and why it is not so.
KNOWN = {
    ("src/api/stream.c", "use of uninitialized value"): "the loop above fills as many "
    "pieces as msg_iovlen says; two counts that are equal are beyond the analyser",
}
OURS = ("base", "kernel", "os", "io", "coro", "api")


def find_tool(name: str) -> str:
    """A tool's path, installed if need be.

    Raises:
        SetupError: it is not here and we may not install it.
    """
    if shutil.which(name) is None:
        apt_install(name)
    path = shutil.which(name)
    if path is None:
        raise SetupError(missing(name, name))
    return path


def only_known(source: Path, printed: str) -> bool:
    """Whether every finding on a source is one of KNOWN."""
    name = source.relative_to(ROOT).as_posix()
    errors = [line for line in printed.splitlines() if "error:" in line]
    texts = [text for (where, text) in KNOWN if where == name]
    return bool(errors) and all(any(text in line for text in texts) for line in errors)


def check_each(
    sources: Iterable[Path], command: Callable[[Path], tuple[list[str], Path]]
) -> Outcome:
    """Run a command on each source; what it prints when it fails is a finding."""
    total = Outcome()

    def check(source: Path) -> tuple[Path, int, str]:
        words, folder = command(source)
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, check=False
        )
        return source, done.returncode, done.stdout + done.stderr

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for source, code, printed in pool.map(check, sources):
            if code == 0 or only_known(source, printed):
                total.passed += 1
            else:
                lines = "\n".join(printed.splitlines()[:40])
                total.fail(f"{source.relative_to(ROOT)}:\n{lines}")
    return total


def our_commands(folder: Path) -> dict[Path, list[str]]:
    """The sources of the library and how each is compiled."""
    return {
        source: command
        for source, _, command in compile_commands(folder)
        if source.suffix == ".c"
        and source.parent.name in OURS
        and "src" in source.parts
    }


def valgrind() -> Outcome | None:
    """The C tests under memcheck; tasks' stacks are registered."""
    find_tool("valgrind")
    build = strict_build(bootstrap.find_compiler("gcc"))
    return run_programs(build, most=2000, wrapper=VALGRIND)


def fanalyzer() -> Outcome:
    """gcc's walk along every path of each function."""
    build = strict_build(bootstrap.find_compiler("gcc"))
    commands = our_commands(build)

    def command(source: Path) -> tuple[list[str], Path]:
        words = commands[source]
        kept = words[: words.index("-MD")] + ["-fanalyzer", "-Werror"]
        kept += ["-fdiagnostics-color=never", "-c", str(source), "-o", os.devnull]
        return kept, build

    return check_each(commands, command)


def tidy() -> Outcome:
    """clang-tidy with the checks of .clang-tidy."""
    path = find_tool("clang-tidy")
    build = strict_build(bootstrap.find_compiler("clang"))
    return check_each(
        our_commands(build),
        lambda source: ([path, "-quiet", "-p", str(build), str(source)], ROOT),
    )


def thread_safety() -> Outcome:
    """Scopes and nurseries as capabilities: what a function opens, it closes."""
    clang = bootstrap.find_compiler("clang")
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Iinclude", "-Isrc", "-Itests/support"]
    flags += ["-Wthread-safety", "-Werror", "-fsyntax-only"]
    sources = sorted([*ROOT.glob("examples/c/*.c"), *ROOT.glob("tests/api/*.c")])
    return check_each(sources, lambda source: ([clang, *flags, str(source)], ROOT))
