"""Compiles the bench's C programs, as whoever deploys them would."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

FLAGS = ("-O2", "-std=c11", "-Wall", "-Wextra")


def compiler() -> list[str]:
    return os.environ.get("CC", "cc").split()


def compile_c(
    source: Path,
    program: Path,
    more: Iterable[str] = (),
    depends: Iterable[Path] = (),
) -> Path:
    """Compile a program of one source, if that or what it depends on has changed."""
    inputs = [source, *depends]
    if program.exists():
        made = program.stat().st_mtime
        if all(path.stat().st_mtime <= made for path in inputs):
            return program
    command = [*compiler(), *FLAGS, str(source), *more, "-o", str(program)]
    subprocess.run(command, check=True, text=True)
    return program
