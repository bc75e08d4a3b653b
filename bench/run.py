"""Measures ctrio against trio, asyncio, uvloop and the other loops that are there.

    build/venv/bin/python bench/run.py            everything, a few minutes
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
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import report
from echo import run_echo
from rounds import run_row
from setting import HERE, Impl, Result, Setting, describe_machine

ROWS = (
    "switch_1000",
    "switch_lone",
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
ROOT = HERE.parent
PEERS = "trio,asyncio,uvloop,rloop,zloop,zuvloop"
PROBE = """
import json, platform, sys
sys.path.insert(0, sys.argv[1])
from surroundings import load
print(json.dumps([platform.python_version(), load(sys.argv[2])[1]]))
"""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Benchmarks of ctrio against named peers.",
        epilog=f"Rows: {', '.join(ROWS)}.",
    )
    parser.add_argument("--rows", default=",".join(ROWS), help="which, by commas")
    parser.add_argument("--quick", action="store_true", help="few, short rounds")
    parser.add_argument("--impl-a", default="ctrio", help="the module in question")
    parser.add_argument("--python-a", default=str(ROOT / "build/venv/bin/python"))
    parser.add_argument("--peers", default=PEERS, help="modules to compare with")
    parser.add_argument(
        "--python-peers", default=str(ROOT / "build/venv-trio/bin/python")
    )
    parser.add_argument("--json", default=str(ROOT / "build/bench/results.json"))
    parser.add_argument(
        "--priority",
        action="store_true",
        help="measure at real-time priority, for a machine with other work (root)",
    )
    parser.add_argument(
        "--check", action="store_true", help="exit status 1 if a row is short"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.rows.split(",")) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
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


def find_impls(arguments: argparse.Namespace) -> tuple[list[Impl], dict[str, Any]]:
    """The implementations that can be imported, ours first, with their versions."""
    names = [name for name in arguments.peers.split(",") if name]
    ours = arguments.impl_a
    label = f"({ours})" if ours in names else ours
    candidates = [Impl(label, "trio", ours, arguments.python_a)]
    for name in names:
        kind = "trio" if name == "trio" else "asyncio"
        candidates.append(Impl(name, kind, name, arguments.python_peers))
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


def check_priority() -> None:
    """End with a clear line if real-time priority is not to be had."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except PermissionError:
        sys.exit("bench: --priority needs the right to real-time scheduling: be root")


def make_setting(arguments: argparse.Namespace, impls: list[Impl]) -> Setting:
    if arguments.priority:
        check_priority()
    cpus = sorted(os.sched_getaffinity(0))
    build = Path(arguments.json).resolve().parent
    build.mkdir(parents=True, exist_ok=True)
    # The orchestrator sleeps while a worker runs; what it does need, it takes
    # from the core of the load.
    os.sched_setaffinity(0, {cpus[0]})
    return Setting(
        impls=tuple(impls),
        build=build,
        work_cpu=cpus[-1],
        load_cpu=cpus[0],
        all_cpus=frozenset(cpus),
        quick=arguments.quick,
        real_time=arguments.priority,
    )


def print_head(facts: dict[str, Any], setting: Setting) -> None:
    for label, found in facts["versions"].items():
        own = "" if label == "asyncio" else f" {found['version']}"
        print(f"{label}{own} on CPython {found['python']}")
    pythons = {found["python"] for found in facts["versions"].values()}
    if len(pythons) > 1:
        print("the Pythons differ: so do the figures")
    machine = facts["machine"]
    print(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, "
        f"load {machine['load']:.1f}; work on core {setting.work_cpu}, "
        f"echo's load on core {setting.load_cpu}\n",
        flush=True,
    )


def run_rows(names: list[str], setting: Setting) -> list[Result]:
    results = []
    for name in names:
        begin = time.monotonic()
        result = run_echo(setting) if name == "echo" else run_row(name, setting)
        results.append(result)
        seconds = time.monotonic() - begin
        print(f"{name:16}{seconds:6.1f} s", flush=True)
    return results


def main() -> int:
    arguments = parse_arguments()
    begin = time.monotonic()
    impls, versions = find_impls(arguments)
    setting = make_setting(arguments, impls)
    facts: dict[str, Any] = {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat("T", "seconds"),
        "versions": versions,
        "machine": describe_machine(len(setting.all_cpus)),
    }
    print_head(facts, setting)
    wanted = arguments.rows.split(",")
    results = run_rows([name for name in ROWS if name in wanted], setting)
    facts["seconds"] = round(time.monotonic() - begin, 1)
    facts["load_at_end"] = os.getloadavg()[0]
    report.write_json(Path(arguments.json), results, setting, facts)
    print(f"\n{report.as_text(results, setting)}\n")
    short = report.count_short(results, setting)
    gated = sum(bool(result.row.goals) for result in results)
    print(f"{gated - short} of {gated} rows reach their goals; {facts['seconds']} s")
    failed = any(r.row.goals and setting.ours.label in r.failures for r in results)
    return 1 if failed or (arguments.check and short) else 0


if __name__ == "__main__":
    sys.exit(main())
