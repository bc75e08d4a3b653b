"""Writes stubs by which type checkers take ctrio for trio.

They cannot lie in the package ready to use: mypy wants nothing of `site-packages` on
its path, and a package `trio-stubs` beside ours would also speak for the real trio.
"""

from __future__ import annotations

from pathlib import Path

MODULES = ("abc", "from_thread", "lowlevel", "socket", "testing", "to_thread")


def write_stubs(folder: str) -> None:
    """Write the stubs of a package `trio` whose names are those of ctrio.

    Args:
        folder: Where it goes, on mypy's `mypy_path` or pyright's `stubPath`. What an
            earlier call has written there is replaced.
    """
    package = Path(folder, "trio")
    package.mkdir(parents=True, exist_ok=True)
    version = "from ctrio import __version__ as __version__\n"
    (package / "__init__.pyi").write_text(f"from ctrio import *\n{version}")
    for name in MODULES:
        (package / f"{name}.pyi").write_text(f"from ctrio.{name} import *\n")
