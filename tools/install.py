"""Build libctrio for release and install it, its headers and ctrio.pc.

DESTDIR in the environment is put in front of every path, as packagers want it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bootstrap import BUILD, BuildError, SetupError, find_compiler, meson_build, run

RELEASE = ("-Dbuildtype=release", "-Dpython=disabled", "-Dtests=false")


def install(prefix: Path, libdir: str) -> None:
    """Bring build/install up to date and install it.

    Raises:
        BuildError: it does not build, or the place cannot be written to.
    """
    where = (f"--prefix={prefix}", f"-Dlibdir={libdir}")
    compiler = os.environ.get("CC") or find_compiler("gcc")
    folder = meson_build("install", *where, *RELEASE, compiler=compiler)
    run([BUILD / "venv/bin/meson", "install", "-C", folder, "--no-rebuild"], "install")


def main() -> int:
    """Install to where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prefix", type=Path, required=True)
    parser.add_argument("--libdir", default="lib", help="below the prefix, or absolute")
    wanted = parser.parse_args()
    try:
        install(wanted.prefix.absolute(), wanted.libdir)
    except (SetupError, BuildError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"libctrio is in {os.environ.get('DESTDIR', '')}{wanted.prefix.absolute()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
