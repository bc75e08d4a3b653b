"""What the command lines of both halves share: options, setting, rows, results."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import report
from setting import HERE, Impl, Result, Setting, describe_machine

ROOT = HERE.parent
#: So many rows may miss their goals, by at most a quarter each.
MAY_BE_SHORT = 2
#: What measures a row. One measurement may answer two questions.
Measures = Mapping[str, Callable[[Setting], Iterable[Result]]]


def make_parser(description: str, rows: Iterable[str], json: str) -> Any:
    names = list(rows)
    parser = argparse.ArgumentParser(
        description=description, epilog=f"Rows: {', '.join(names)}."
    )

    def some_rows(text: str) -> list[str]:
        wanted = text.split(",")
        if unknown := set(wanted) - set(names):
            raise argparse.ArgumentTypeError(f"no row {', '.join(sorted(unknown))}")
        return [name for name in names if name in wanted]

    parser.add_argument(
        "--rows", type=some_rows, default=names, help="which, by commas"
    )
    parser.add_argument("--quick", action="store_true", help="few, short rounds")
    parser.add_argument("--json", default=str(ROOT / "build/bench" / json))
    parser.add_argument(
        "--priority",
        action="store_true",
        help="measure at real-time priority, for a machine with other work (root)",
    )
    parser.add_argument(
        "--check", action="store_true", help="exit status 1 if a row is short"
    )
    return parser


def check_priority() -> None:
    """End with a clear line if real-time priority is not to be had."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except PermissionError:
        sys.exit("bench: --priority needs the right to real-time scheduling: be root")


def make_setting(
    arguments: argparse.Namespace, ours: Impl, impls: Iterable[Impl]
) -> Setting:
    if arguments.priority:
        check_priority()
    cpus = sorted(os.sched_getaffinity(0))
    build = Path(arguments.json).resolve().parent
    build.mkdir(parents=True, exist_ok=True)
    # The orchestrator sleeps while a worker runs; what it does need, it takes
    # from the core of the load.
    os.sched_setaffinity(0, {cpus[0]})
    return Setting(
        ours=ours,
        impls=tuple(impls),
        build=build,
        work_cpu=cpus[-1],
        load_cpu=cpus[0],
        all_cpus=frozenset(cpus),
        quick=arguments.quick,
        real_time=arguments.priority,
    )


def print_machine(machine: dict[str, Any], setting: Setting) -> None:
    print(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, "
        f"load {machine['load']:.1f}; work on core {setting.work_cpu}, "
        f"echo's load on core {setting.load_cpu}\n",
        flush=True,
    )


def run_rows(
    names: Iterable[str], measures: Measures, setting: Setting
) -> list[Result]:
    results: list[Result] = []
    for name in names:
        begin = time.monotonic()
        results += measures[name](setting)
        seconds = time.monotonic() - begin
        print(f"{name:16}{seconds:6.1f} s", flush=True)
    return results


def run(
    arguments: argparse.Namespace,
    setting: Setting,
    versions: dict[str, Any],
    measures: Measures,
) -> int:
    """Measure the rows that were asked for, tell, and give the exit status."""
    begin = time.monotonic()
    facts: dict[str, Any] = {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat("T", "seconds"),
        "versions": versions,
        "machine": describe_machine(len(setting.all_cpus)),
    }
    print_machine(facts["machine"], setting)
    results = run_rows(arguments.rows, measures, setting)
    facts["seconds"] = round(time.monotonic() - begin, 1)
    facts["load_at_end"] = os.getloadavg()[0]
    report.write_json(Path(arguments.json), results, setting, facts)
    print(f"\n{report.as_text(results, setting)}\n")
    short = report.count_short(results, setting)
    gated = sum(bool(result.row.goals) for result in results)
    print(f"{gated - short} of {gated} rows reach their goals; {facts['seconds']} s")
    far = any(report.is_far_short(result, setting.ours.label) for result in results)
    return int(bool(short) if arguments.check else far or short > MAY_BE_SHORT)
