"""Every rule on the sources, a line for each, with what breaks it below."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

from bootstrap import BUILD, ROOT, BuildError, SetupError
from check_deps import include_rule, listed_rule, mirror_rule
from check_size import size_rule
from check_sleep import sleep_rule
from check_symbols import export_rule, symbol_rule
from sources import project_files, relative

BIN = BUILD / "venv/bin"


def tool(*command: str) -> Iterator[str]:
    """What a tool prints when it is not content."""
    env = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        printed = (done.stdout + done.stderr).strip()
        yield from printed.splitlines() or [f"exit status {done.returncode}"]


def clang_format() -> Iterator[str]:
    """C as .clang-format lays it out."""
    if files := [relative(path) for path in project_files(".c", ".h")]:
        yield from tool("clang-format", "--dry-run", "-Werror", *files)


def ruff_check() -> Iterator[str]:
    """Ruff's lints."""
    yield from tool("ruff", "check", "--output-format=concise", "--no-fix", ".")


def ruff_format() -> Iterator[str]:
    """Python as ruff lays it out."""
    yield from tool("ruff", "format", "--check", ".")


def mypy() -> Iterator[str]:
    """mypy --strict on the package."""
    if any((ROOT / "python/ctrio").glob("*.py")):
        yield from tool("mypy", "--strict")


RULES: dict[str, Callable[[], Iterator[str]]] = {
    "who includes whom": include_rule,
    "a test beside each kernel source": mirror_rule,
    "every source in its Meson list": listed_rule,
    "600 lines a file, 70 a function": size_rule,
    "clang-format": clang_format,
    "ruff check": ruff_check,
    "ruff format": ruff_format,
    "mypy --strict": mypy,
    "only native files call the machine": symbol_rule,
    "Python sleeps in a cell and asks no clock": sleep_rule,
    "no export but PyInit__ctrio and ctrio_*": export_rule,
}


def broken(rule: Callable[[], Iterator[str]]) -> list[str]:
    """What breaks a rule; a rule that cannot be checked counts as broken."""
    try:
        return list(rule())
    except (BuildError, SetupError) as problem:
        return str(problem).splitlines()


def main() -> int:
    """Check every rule, or those whose name holds a word of the command line."""
    words = sys.argv[1:]
    failed = passed = 0
    for name, rule in RULES.items():
        if words and not any(word in name for word in words):
            continue
        found = broken(rule)
        failed += bool(found)
        passed += not found
        print(f"{'FAIL' if found else 'ok':5}{name}", flush=True)
        for line in found:
            print(f"       {line}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
