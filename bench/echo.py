"""How much CPU does a server need to echo one request?

All servers are alive at once, each with its own load process and its connections
open; slices of load go to one after the other. A slice in which the server was less
than 85 % busy does not count: then it is the load that was measured. Such slices
are made up for, within limits.
"""

from __future__ import annotations

import os
import statistics
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from children import Child, ChildError
from setting import HERE, Impl, Result, Sample, Setting
from slices import Goal, Row

ROW = Row(
    "TCP echo, 50 connections, 64 bytes",
    "us",
    goals=(Goal("trio", 1 / 3), Goal("uvloop", 1.15)),
    rounds=11,
)
CONNECTIONS = 50
SIZE_BYTES = 64
SLICE_MS = 350
QUICK_SLICE_MS = 200
TRIAL_SLICES = 2
QUICK_ROUNDS = 3
BUSY_MIN = 0.85
#: Rounds are repeated for slices that do not count, up to so many times the plan.
PATIENCE = 3
READY_SECONDS = 60.0
ANSWER_SECONDS = 30.0
RAW_LABEL = "raw C"
VARIANTS = ("protocol", "buffered")


@dataclass
class Pair:
    """A server and the load that talks to it."""

    label: str
    variant: str
    server: Child
    load: Child

    def slice(self, milliseconds: int) -> dict[str, float]:
        """One slice of load; what it took, with the server's share of the time."""
        before = self.server.ask("usage", ANSWER_SECONDS)["cpu_ns"]
        try:
            found = self.load.ask(str(milliseconds), ANSWER_SECONDS)
        except ChildError:
            # A dead server tells more than the load that lost it.
            self.server.ask("usage", ANSWER_SECONDS)
            raise
        cpu = self.server.ask("usage", ANSWER_SECONDS)["cpu_ns"] - before
        found["server_cpu_ns"] = cpu
        found["busy"] = cpu / found["wall_ns"]
        found["value"] = cpu / found["requests"] / 1e3
        return found


def compile_c(name: str, build: Path) -> Path:
    """Compile one of the C programs beside this file, if it has changed."""
    source, program = HERE / f"{name}.c", build / name
    if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
        return program
    compiler = os.environ.get("CC", "cc").split()
    flags = ["-O2", "-std=c11", "-Wall", "-Wextra"]
    subprocess.run(
        [*compiler, *flags, str(source), "-o", str(program)], check=True, text=True
    )
    return program


def start_pair(
    setting: Setting, stack: ExitStack, label: str, command: list[str], variant: str
) -> Pair:
    log = f"echo-{label.replace(' ', '-')}-{variant}"
    child = setting.child(command, {setting.work_cpu}, f"{log}.log")
    server = stack.enter_context(child)
    port = server.answer(READY_SECONDS)["port"]
    program = str(setting.build / "echo_load")
    load_command = [program, str(port), str(CONNECTIONS), str(SIZE_BYTES)]
    child = setting.child(load_command, {setting.load_cpu}, f"{log}-load.log")
    return Pair(label, variant, server, stack.enter_context(child))


def start_impl(setting: Setting, stack: ExitStack, impl: Impl) -> Pair:
    """Start a server; of asyncio's two interfaces, keep the one that costs less."""
    script = str(HERE / "echo_server.py")
    command = [impl.python, script, impl.kind, impl.module]
    if impl.kind == "trio":
        return start_pair(setting, stack, impl.label, command, "stream")
    trials: list[tuple[float, Pair]] = []
    problem = ChildError("no variant")
    for variant in VARIANTS:
        try:
            pair = start_pair(setting, stack, impl.label, [*command, variant], variant)
            costs = [pair.slice(QUICK_SLICE_MS)["value"] for _ in range(TRIAL_SLICES)]
            trials.append((min(costs), pair))
        except ChildError as error:
            problem = error
    if not trials:
        raise problem
    best = min(trials, key=lambda trial: trial[0])[1]
    for _, pair in trials:
        if pair is not best:
            pair.load.end()
            pair.server.end()
    return best


def start_all(setting: Setting, stack: ExitStack, result: Result) -> list[Pair]:
    compile_c("echo_load", setting.build)
    raw = compile_c("echo_server_raw", setting.build)
    # Ours has the peers of its goals for neighbours: a ratio is best between slices
    # that follow each other.
    before = [impl for impl in setting.peers if impl.label == ROW.goals[0].peer]
    after = [impl for impl in setting.peers if impl.label == ROW.goals[1].peer]
    rest = [impl for impl in setting.peers if impl not in before + after]
    pairs = []
    for impl in [*before, setting.ours, *after, *rest]:
        try:
            pairs.append(start_impl(setting, stack, impl))
        except ChildError as error:
            result.failures[impl.label] = str(error)
    pairs.append(start_pair(setting, stack, RAW_LABEL, [str(raw)], "epoll"))
    return pairs


def run_echo(setting: Setting) -> Result:
    """Measure the row; the floor in C takes part without a goal."""
    result = Result("echo", ROW)
    planned = QUICK_ROUNDS if setting.quick else ROW.rounds
    with ExitStack() as stack:
        pairs = start_all(setting, stack, result)
        idle = dict.fromkeys((pair.label for pair in pairs), 0)
        for index in range(planned * PATIENCE):
            turn = index % len(pairs)
            for pair in pairs[turn:] + pairs[:turn]:
                one_slice(pair, index, setting, result, idle)
            pairs = [pair for pair in pairs if pair.label not in result.failures]
            if not pairs or enough(result, setting, pairs, planned):
                break
    describe(result, pairs, idle)
    if any(count >= planned for count in idle.values()):
        result.notes.append(
            "many slices too idle: on a machine with other work, see --priority"
        )
    return result


def one_slice(
    pair: Pair, index: int, setting: Setting, result: Result, idle: dict[str, int]
) -> None:
    """Add a slice to the result, unless it does not count."""
    try:
        found = pair.slice(QUICK_SLICE_MS if setting.quick else SLICE_MS)
    except ChildError as error:
        result.failures[pair.label] = str(error)
        return
    if found["busy"] < BUSY_MIN:
        idle[pair.label] += 1
        return
    value = found.pop("value")
    result.samples.append(Sample(index, pair.label, value, found))


def enough(result: Result, setting: Setting, pairs: list[Pair], planned: int) -> bool:
    """Whether each ratio to our own server has its planned number of rounds."""
    labels = {pair.label for pair in pairs} - {RAW_LABEL}
    ours = setting.ours.label
    if ours not in labels:
        return len(result.values(RAW_LABEL)) >= planned
    ratios = [result.ratio(ours, label) for label in labels]
    return all(ratio is not None and ratio.rounds >= planned for ratio in ratios)


def describe(result: Result, pairs: list[Pair], idle: dict[str, int]) -> None:
    """One note a server: what does not fit a table of one figure a column."""
    head = f"{'':20}{'CPU us':>8}{'req/s':>9}{'p50':>7}{'p99':>7}{'p99.9':>8} us"
    result.notes.append(f"{head}{'busy':>6}{'counted':>9}{'not':>5}")
    for pair in pairs:
        found = [s for s in result.samples if s.label == pair.label]
        name = f"{pair.label}, {pair.variant}"
        missed = idle.get(pair.label, 0)
        if not found:
            result.notes.append(f"{name:20} no slice counts: {missed} too idle")
            continue

        def middle(key: str, samples: list[Sample] = found) -> float:
            return float(statistics.median(s.details[key] for s in samples))

        rate = statistics.median(
            s.details["requests"] / s.details["wall_ns"] * 1e9 for s in found
        )
        cost = statistics.median(s.value for s in found)
        result.notes.append(
            f"{name:20}{cost:8.2f}{rate:9.0f}{middle('p50_us'):7.0f}"
            f"{middle('p99_us'):7.0f}{middle('p999_us'):8.0f}   "
            f"{middle('busy'):6.0%}{len(found):9}{missed:5}"
        )
