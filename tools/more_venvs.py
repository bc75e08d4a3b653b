"""Environments that single suites need, apart from tools/bootstrap.py for everybody."""

from __future__ import annotations

from pathlib import Path

import bootstrap
from bootstrap import Python, SetupError

SINCE_3_12 = ("3.12", "3.13", "3.14")


def ensure_trio_also(python: Python) -> Path:
    """build/venv-trio-also: real trio on the second CPython."""
    bootstrap.ensure_venv()
    return bootstrap.make_venv("venv-trio-also", python, "trio")


def ensure_ecosystem(name: str, python: Python, ctrio: Path) -> tuple[Path, Path]:
    """build/venv-NAME: real trio and packages on it, and a folder that has only ctrio.

    Args:
        name: of the environment.
        python: the interpreter to make it from.
        ctrio: an environment that has ctrio for this interpreter.
    """
    venv = bootstrap.make_venv(f"venv-{name}", python, "ecosystem")
    folder = bootstrap.BUILD / f"{name}-path"
    folder.mkdir(exist_ok=True)
    link = folder / "ctrio"
    link.unlink(missing_ok=True)
    link.symlink_to(bootstrap.site_packages(ctrio) / "ctrio")
    return venv, folder


def pythons_with_interpreters() -> list[Python]:
    """One CPython of each version whose interpreters can have GILs of their own.

    Raises:
        SetupError: there is none.
    """
    found = {python.name: python for python in bootstrap.find_pythons(*SINCE_3_12)}
    if "3.14" not in found and (python := bootstrap.maven_python()) is not None:
        found[python.name] = python
    if not found:
        raise SetupError(bootstrap.missing("a CPython from 3.12 on", "python3-dev"))
    return list(found.values())
