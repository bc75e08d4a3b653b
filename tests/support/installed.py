"""An installed copy of libctrio, made by `make install` as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PREFIX = ROOT / "build/installed"


class Installed:
    """Where it is, and how to build against it."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.library = prefix / "lib/libctrio.so"

    def pkg_config(self, *options: str) -> list[str]:
        """What pkg-config says of ctrio."""
        env = {**os.environ, "PKG_CONFIG_PATH": str(self.prefix / "lib/pkgconfig")}
        command = ["pkg-config", *options, "ctrio"]
        return subprocess.check_output(command, env=env, text=True).split()

    def build(self, compiler: str, source: Path, output: Path, *flags: str) -> None:
        """Compile and link one program; `-static` means the archive."""
        static = ["--static"] if "-static" in flags else []
        found = self.pkg_config("--cflags", "--libs", *static)
        command = [*compiler.split(), *flags, str(source), "-o", str(output), *found]
        command += ["-lm"]  # the program's own
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def run(self, program: Path) -> subprocess.CompletedProcess[str]:
        """Run a program with the installed library in its way."""
        env = {**os.environ, "LD_LIBRARY_PATH": str(self.prefix / "lib")}
        command = [str(program)]
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=60, check=False
        )


def make_install(*variables: str) -> None:
    """Run `make install` with the Python that made the environment we are in."""
    python = f"PYTHON={os.path.realpath(sys.executable)}"
    command = ["make", "-s", "-C", str(ROOT), "install", python, *variables]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
