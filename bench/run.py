"""Measures ctrio against trio, asyncio, uvloop and the other loops that are there.

    build/venv/bin/python bench/run.py            everything, about three minutes
    … --rows switch_lone,echo                     some rows
    … --quick                                     few and short rounds
    … --impl-a trio --python-a build/venv-trio/bin/python
                                                  any module in ctrio's place

Ratios are taken between slices of the same round and their median is told; a
figure on its own moves with the machine. What the rows ask is in rows/, one
question a file, and in echo.py.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import session
from compiled import compile_c
from echo import echo_row, run_echo
from rounds import run_row
from session import ROOT
from setting import HERE, Module, Program, Result, Setting
from slices import Goal

ROWS = (
    "switch_1000",
    "switch_lone",
    "switch_strict",
    "spawn_10",
    "ping_pong",
    "cancel_10k",
    "timeout",
    "echo",
    "buffered",
    "lock",
    "event",
    "timers",
    "to_thread",
    "from_thread",
    "memory",
    "import_time",
)
PEERS = "trio,asyncio,uvloop,rloop,zloop,zuvloop"
PROBE = """
import json, platform, sys
sys.path.insert(0, sys.argv[1])
from surroundings import load
print(json.dumps([platform.python_version(), load(sys.argv[2])[1]]))
"""


def parse_arguments() -> argparse.Namespace:
    parser = session.make_parser(
        "Benchmarks of ctrio against named peers.", ROWS, "results.json"
    )
    parser.add_argument("--impl-a", default="ctrio", help="the module in question")
    parser.add_argument("--python-a", default=str(ROOT / "build/venv/bin/python"))
    parser.add_argument("--peers", default=PEERS, help="modules to compare with")
    parser.add_argument(
        "--python-peers", default=str(ROOT / "build/venv-trio/bin/python")
    )
    arguments: argparse.Namespace = parser.parse_args()
    return arguments


def probe(python: str, module: str) -> tuple[str, str] | None:
    """The versions of a Python and of a module in it; None if it has none."""
    try:
        done = subprocess.run(
            [python, "-c", PROBE, str(HERE), module], capture_output=True, text=True
        )
    except OSError as error:
        sys.exit(f"bench: cannot start {python}: {error.strerror}")
    if done.returncode:
        return None
    version, own = json.loads(done.stdout.splitlines()[-1])
    return version, own


def find_impls(arguments: argparse.Namespace) -> tuple[list[Module], dict[str, Any]]:
    """The implementations that can be imported, ours first, with their versions."""
    names = [name for name in arguments.peers.split(",") if name]
    ours = arguments.impl_a
    label = f"({ours})" if ours in names else ours
    candidates = [Module(label, "trio", ours, arguments.python_a)]
    for name in names:
        kind = "trio" if name == "trio" else "asyncio"
        candidates.append(Module(name, kind, name, arguments.python_peers))
    impls, versions = [], {}
    for impl in candidates:
        found = probe(impl.python, impl.module)
        if found:
            impls.append(impl)
            versions[impl.label] = {"python": found[0], "version": found[1]}
        elif impl is candidates[0]:
            sys.exit(f"bench: {impl.python} cannot import {impl.module}")
        else:
            print(f"{impl.label}: not installed here, left out")
    return impls, versions


def print_versions(versions: dict[str, Any]) -> None:
    for label, found in versions.items():
        own = "" if label == "asyncio" else f" {found['version']}"
        print(f"{label}{own} on CPython {found['python']}")
    pythons = {found["python"] for found in versions.values()}
    if len(pythons) > 1:
        print("the Pythons differ: so do the figures")


def measure_echo(setting: Setting) -> Iterator[Result]:
    """The echo row; its floor is in C."""
    raw = compile_c(HERE / "echo_server_raw.c", setting.build / "echo_server_raw")
    floor = Program("raw C", None, frozenset(), (str(raw),), "epoll")
    yield run_echo(echo_row(Goal("trio", 1 / 3), Goal("uvloop", 1.15)), setting, floor)


def measure_of(name: str) -> Callable[[Setting], Iterator[Result]]:
    def measure(setting: Setting) -> Iterator[Result]:
        row = importlib.import_module(f"rows.{name}").ROW
        yield run_row(name, row, setting)

    return measure_echo if name == "echo" else measure


def main() -> int:
    arguments = parse_arguments()
    impls, versions = find_impls(arguments)
    setting = session.make_setting(arguments, impls[0], impls)
    print_versions(versions)
    measures = {name: measure_of(name) for name in ROWS}
    return session.run(arguments, setting, versions, measures)


if __name__ == "__main__":
    sys.exit(main())
