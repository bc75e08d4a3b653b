"""Rule 1 of simulation: only the native files call the machine; tables in symbols.toml.

Also that the extension exports its entry point and nothing else, the library ctrio_*.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import bootstrap
from c_build import compile_commands, strict_build
from sources import expand, matches, relative, table

COUNTER = re.compile(r"\b(rdtscp?|cntvct_el0|cntvctss_el0|rdtime)\b")


def longest(name: str, folders: dict[str, list[str]]) -> list[str] | None:
    """The entry of the longest folder or file that fits, or None."""
    holds = [key for key in folders if name == key or name.startswith(key + "/")]
    return folders[max(holds, key=len)] if holds else None


def nm(path: Path, *options: str) -> list[str]:
    """The names that nm prints of an object or a library.

    Raises:
        SetupError: there is no nm.
    """
    program = shutil.which("nm") or shutil.which("llvm-nm")
    if program is None:
        raise bootstrap.SetupError(bootstrap.missing("nm", "binutils"))
    command = [program, *options, "--format=posix", str(path)]
    printed = subprocess.check_output(command, text=True)
    return [line.split()[0].split("@")[0] for line in printed.splitlines() if line]


def undefined_symbols(build: Path) -> Iterator[str]:
    """Every symbol that an object of ours needs and may not use."""
    rules = table("symbols.toml")
    for source, target, _ in compile_commands(build):
        name = relative(source)
        allowed = longest(name, rules["allow"])
        if not name.startswith("src/") or matches(name, rules["native"]):
            continue
        if allowed is None:
            yield f"{name}: its folder is not in symbols.toml"
            continue
        patterns = expand(allowed, rules)
        denied = longest(name, rules["deny"]) or []
        for symbol in sorted(set(nm(target, "--undefined-only"))):
            if matches(symbol, denied) or not matches(symbol, patterns):
                yield f"{name}: may not use {symbol}"


def counters(build: Path) -> Iterator[str]:
    """Every object that reads the processor's clock outside the native files."""
    rules = table("symbols.toml")
    objdump = shutil.which("objdump")
    for source, target, _ in compile_commands(build):
        name = relative(source)
        if not name.startswith("src/") or matches(name, rules["native"]):
            continue
        if objdump is not None:
            command = [objdump, "-d", "--no-show-raw-insn", str(target)]
            code = subprocess.check_output(command, text=True)
        else:
            code = source.read_text(encoding="utf-8")
        if found := COUNTER.search(code):
            yield f"{name}: reads the processor's clock ({found[1]})"


def symbol_rule() -> Iterator[str]:
    """Whatever calls the machine and is not native."""
    build = strict_build()
    yield from undefined_symbols(build)
    yield from counters(build)


def exported(libraries: Iterable[Path]) -> Iterator[str]:
    """What each of these extensions exports too much or too little."""
    allowed = table("symbols.toml")["exports"]["extension"]
    for path in libraries:
        names = set(nm(path, "--dynamic", "--defined-only"))
        for name in sorted(names.symmetric_difference(allowed)):
            what = "exports" if name in names else "does not export"
            yield f"{relative(path)}: {what} {name}"


def export_rule() -> Iterator[str]:
    """What libraries and extensions built here export besides what they are for."""
    installed = bootstrap.BUILD / "venv/lib"
    yield from exported(
        [
            *strict_build().glob("src/pyext/_ctrio*.so"),
            *installed.glob("python*/site-packages/ctrio/_ctrio*.so"),
        ]
    )
    public = table("symbols.toml")["exports"]["library"]
    for path in bootstrap.BUILD.glob("*/libctrio.so"):
        for name in sorted(set(nm(path, "--dynamic", "--defined-only"))):
            if not matches(name, public):
                yield f"{relative(path)}: exports {name}"
