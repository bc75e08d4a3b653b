"""Runs a program with ctrio in place of trio.

python -m ctrio app.py [args]
python -m ctrio -m module [args]

With `--stubs FOLDER` it runs nothing, and writes what type checkers need to know.
"""

from __future__ import annotations

import os
import runpy
import sys
from importlib.util import find_spec
from pkgutil import get_importer

from ._install import install

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

USAGE = """\
usage: python -m ctrio [-m MODULE | FILE] [ARGUMENT ...]
       python -m ctrio --stubs FOLDER"""
HELP = f"""\
{USAGE}

Run a Trio program on ctrio; or write stubs into a folder, by which mypy and pyright
check a program that says `import trio` as one of ctrio's. Put the folder on mypy's
`mypy_path`, or name it as pyright's `stubPath`."""


def main(arguments: list[str]) -> None:
    """Run the program that a command line names.

    Args:
        arguments: Without the name of this one.
    """
    if arguments[:1] in (["-h"], ["--help"]):
        print(HELP)
    elif arguments[:1] == ["--stubs"]:
        if len(arguments) != 2:
            _give_up(f"{USAGE}\nctrio: --stubs needs the name of a folder")
        from ._type_stubs import write_stubs

        write_stubs(arguments[1])
    elif arguments[:1] == ["-m"]:
        if len(arguments) < 2:
            _give_up(f"{USAGE}\nctrio: -m needs the name of a module")
        run_module(*arguments[1:])
    elif not arguments or arguments[0].startswith("-"):
        _give_up(USAGE)
    else:
        run_file(*arguments)


def run_module(name: str, *arguments: str) -> None:
    """Run a module as `python -m` does."""
    try:
        found = find_spec(name) is not None
    except (ImportError, ValueError):  # a parent package is missing, or a bad name
        found = False
    if not found:
        _give_up(f"ctrio: no module named {name!r}")
    install()
    sys.argv = [name, *arguments]  # runpy puts the path of the module there
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def run_file(path: str, *arguments: str) -> None:
    """Run a file, or a folder or an archive with a `__main__.py`, as `python` does."""
    if not os.path.exists(path):
        _give_up(f"ctrio: can't open {path!r}: no such file")
    install()
    sys.argv = [path, *arguments]
    # `python -m` has put the current folder first, where `python` puts the folder of
    # the program; for a folder or an archive runpy does it. Unless told not to.
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):
        del sys.path[0]
        if get_importer(path) is None:
            sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    runpy.run_path(path, run_name="__main__")


def _give_up(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
