"""Measures ctrio's C front end against Go, tokio, libuv and a raw epoll server.

    build/venv/bin/python bench/c/run.py          everything, about one minute
    … --rows yield,echo                           some rows
    … --quick                                     few and short rounds
    … --idle-seconds 3                            how long the idle rows rest
    … --impl-a go                                 any peer in ctrio's place

The second half of `make bench`. What holds for the first, ../README.md, holds here:
slices of all implementations interleave, ratios are taken within a round, and their
median is told. What a row measures is written in worker_ctrio.c, go/rows.go and
tokio/src/rows.rs, a function each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import programs
import session
from echo import echo_row, run_echo
from outside import QUICK_SECONDS, measure_idle, measure_library
from programs import OURS, RAW
from rounds import run_row
from setting import Program, Result, Setting
from slices import Goal, Limit, Row

WORKER_ROWS = {
    "yield": Row("switch, 2 tasks", "ns", (Goal("go", 0.25),)),
    "spawn_1000": Row("spawn and join, 1000 a nursery", "ns", (Goal("go", 0.15),)),
    "cancel_10k": Row(
        "cancel 10k tasks, a task", "ns", (Goal("tokio", 0.25),), rounds=13, size=20
    ),
    "channel": Row("channel of 128, an item", "ns", (Goal("go", 0.6),)),
    "channel_strict": Row("the same, ctrio's strict", "ns", (Goal("go", 1.7),)),
    "timeout": Row("unexpired timeout around a yield", "ns", (Goal("go", 0.2),)),
    "timeout_ready": Row("timeout around what is ready", "ns"),
    "memory": Row(
        "memory of a parked task",
        "bytes",
        (Limit(4500, "bytes"),),
        clock="bytes",
        fresh=True,
        rounds=3,
        size=100_000,
        quick_size=20_000,
    ),
}
ECHO_ROW = echo_row(Goal(RAW, 1.15))
ROWS = (*WORKER_ROWS, "echo", "idle", "library")
IDLE_SECONDS = 10.0


def parse_arguments() -> argparse.Namespace:
    parser = session.make_parser(
        "Benchmarks of ctrio's C front end.", ROWS, "results-c.json"
    )
    parser.add_argument("--impl-a", default=OURS, help="what is in question")
    parser.add_argument(
        "--idle-seconds", type=float, help="how long the idle rows rest"
    )
    arguments: argparse.Namespace = parser.parse_args()
    if arguments.idle_seconds is None:
        arguments.idle_seconds = QUICK_SECONDS if arguments.quick else IDLE_SECONDS
    return arguments


def measure_worker(name: str, row: Row, setting: Setting) -> Iterator[Result]:
    yield run_row(name, row, setting)


def measure_echo(setting: Setting) -> Iterator[Result]:
    yield run_echo(ECHO_ROW, setting)


def make_measures(
    idle_seconds: float, has_ours: bool
) -> dict[str, Callable[[Setting], Iterator[Result]]]:
    folder = programs.release() if has_ours else None
    return {
        **{
            name: partial(measure_worker, name, row)
            for name, row in WORKER_ROWS.items()
        },
        "echo": measure_echo,
        "idle": partial(measure_idle, idle_seconds),
        "library": partial(measure_library, folder),
    }


def main() -> int:
    arguments = parse_arguments()
    built = list(programs.build_all([*WORKER_ROWS, "idle"]))
    versions = {program.label: {"version": version} for program, version in built}
    found = {program.label: program for program, _ in built}
    label = arguments.impl_a
    if label not in programs.BUILDERS:
        sys.exit(f"bench: no {label} among {', '.join(programs.BUILDERS)}")
    ours = found.pop(label, None)
    impls = [ours, *found.values()] if ours else list(found.values())
    absent = Program(label, None, frozenset(), (), "")
    measures = make_measures(arguments.idle_seconds, label == OURS and ours is not None)
    setting = session.make_setting(arguments, ours or absent, impls)
    for name, version in versions.items():
        print(f"{name}: {version['version']}")
    return session.run(arguments, setting, versions, measures)


if __name__ == "__main__":
    sys.exit(main())
