"""Build libctrio for release and install it, its headers and ctrio.pc.

DESTDIR in the environment is put in front of every path, as packagers want it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from bootstrap import BUILD, BuildError, SetupError, find_compiler, meson_build, run

RELEASE = ("-Dbuildtype=release", "-Doptimization=2", "-Dpython=disabled")
WHOLE = "-ffat-lto-objects"


def optimizes_whole(compiler: str) -> bool:
    """Whether objects can hold plain code beside what the linker optimizes as one."""
    flags = ["-flto", WHOLE, "-Werror", "-x", "c", "-c", os.devnull, "-o", os.devnull]
    quiet = {"stderr": subprocess.DEVNULL}
    return subprocess.call([*compiler.split(), *flags], **quiet) == 0  # type: ignore[call-overload]


def leave_plain_code(archive: Path) -> None:
    """Take out of an archive what only the compiler that made it can link."""
    sections = ["--remove-section=.gnu.lto_*", "--remove-section=.gnu.debuglto_*"]
    run(["objcopy", *sections, archive], "install", append=True)


def install(prefix: Path, libdir: str) -> None:
    """Bring build/install up to date and install it.

    The shared library is optimized as a whole, a tenth off what a task costs; the
    archive of the same objects is for any compiler.

    Raises:
        BuildError: it does not build, or the place cannot be written to.
    """
    where = (f"--prefix={prefix}", f"-Dlibdir={libdir}")
    compiler = os.environ.get("CC") or find_compiler("gcc")
    whole = ("-Db_lto=true", f"-Dc_args={WHOLE}") if optimizes_whole(compiler) else ()
    options = (*where, *RELEASE, "-Dtests=false", *whole)
    folder = meson_build("install", *options, compiler=compiler)
    run([BUILD / "venv/bin/meson", "install", "-C", folder, "--no-rebuild"], "install")
    if whole:
        destination = f"{os.environ.get('DESTDIR', '')}{prefix / libdir}"
        leave_plain_code(Path(destination, "libctrio.a"))


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
