"""How much CPU does a server need to echo one request?

All servers are alive at once, each with its own load process and its connections
open; slices of load go to one after the other. A slice in which the server was less
than 85 % busy does not count: then it is the load that was measured. Such slices
are made up for, within limits.

A server prints {"port": …} and serves until it is killed. Its CPU time is read from
outside.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from dataclasses import dataclass

from children import Child, ChildError
from compiled import compile_c
from setting import HERE, Impl, Result, Sample, Setting
from slices import Goal, Limit, Row

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
ROUNDS = 11


@dataclass
class Pair:
    """A server and the load that talks to it."""

    label: str
    variant: str
    server: Child
    load: Child

    def slice(self, milliseconds: int) -> dict[str, float]:
        """One slice of load; what it took, with the server's share of the time."""
        before = self.server.cpu_ns()
        try:
            found = self.load.ask(str(milliseconds), ANSWER_SECONDS)
        except ChildError:
            # A dead server tells more than the load that lost it.
            self.server.cpu_ns()
            raise
        cpu = self.server.cpu_ns() - before
        found["server_cpu_ns"] = cpu
        found["busy"] = cpu / found["wall_ns"]
        found["value"] = cpu / found["requests"] / 1e3
        return found

    def end(self) -> None:
        self.load.end()
        self.server.kill()


def echo_row(*goals: Goal | Limit) -> Row:
    return Row("TCP echo, 50 connections, 64 bytes", "us", goals, rounds=ROUNDS)


def start_pair(
    setting: Setting, stack: ExitStack, label: str, command: list[str], variant: str
) -> Pair:
    log = f"echo-{label.replace(' ', '-')}-{variant}"
    server = setting.child(command, {setting.work_cpu}, f"{log}.log")
    stack.callback(server.kill)
    port = server.answer(READY_SECONDS)["port"]
    program = str(setting.build / "echo_load")
    load_command = [program, str(port), str(CONNECTIONS), str(SIZE_BYTES)]
    child = setting.child(load_command, {setting.load_cpu}, f"{log}-load.log")
    return Pair(label, variant, server, stack.enter_context(child))


def start_impl(setting: Setting, stack: ExitStack, impl: Impl) -> Pair:
    """Start a server; of several variants, keep the one that costs less."""
    servers = impl.servers()
    if len(servers) == 1:
        [(variant, command)] = servers.items()
        return start_pair(setting, stack, impl.label, command, variant)
    trials: list[tuple[float, Pair]] = []
    problem = ChildError("no variant")
    for variant, command in servers.items():
        try:
            pair = start_pair(setting, stack, impl.label, command, variant)
            found = [pair.slice(QUICK_SLICE_MS) for _ in range(TRIAL_SLICES)]
            busy = [each for each in found if each["busy"] >= BUSY_MIN]
            trials.append((min(each["value"] for each in busy or found), pair))
        except ChildError as error:
            problem = error
    if not trials:
        raise problem
    best = min(trials, key=lambda trial: trial[0])[1]
    for _, pair in trials:
        if pair is not best:
            pair.end()
    return best


def in_order(setting: Setting, row: Row) -> list[Impl]:
    """Ours between the peers of its first goals, as a ratio is best between slices
    that follow each other; then all others.
    """
    named = [goal.peer for goal in row.goals if isinstance(goal, Goal)]
    near = [impl for name in named for impl in setting.peers if impl.label == name]
    ours = [impl for impl in setting.impls if impl == setting.ours]
    rest = [impl for impl in setting.peers if impl not in near]
    return [*near[:1], *ours, *near[1:], *rest]


def start_all(
    setting: Setting, stack: ExitStack, result: Result, impls: list[Impl]
) -> list[Pair]:
    compile_c(HERE / "echo_load.c", setting.build / "echo_load")
    pairs = []
    for impl in impls:
        try:
            pairs.append(start_impl(setting, stack, impl))
        except ChildError as error:
            result.failures[impl.label] = str(error)
    return pairs


def run_echo(row: Row, setting: Setting, floor: Impl | None = None) -> Result:
    """Measure the row; a floor takes part, but has no column in the tables."""
    result = Result("echo", row)
    impls = in_order(setting, row) + ([floor] if floor else [])
    planned = QUICK_ROUNDS if setting.quick else row.rounds
    with ExitStack() as stack:
        pairs = start_all(setting, stack, result, impls)
        idle = dict.fromkeys((pair.label for pair in pairs), 0)
        for index in range(planned * PATIENCE if pairs else 0):
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
    labels = {pair.label for pair in pairs}
    ours = setting.ours.label
    if ours not in labels:
        return all(len(result.values(label)) >= planned for label in labels)
    ratios = [result.ratio(ours, label) for label in labels]
    return all(ratio is not None and ratio.rounds >= planned for ratio in ratios)


def describe(result: Result, pairs: list[Pair], idle: dict[str, int]) -> None:
    """One note a server: what does not fit a table of one figure a column."""
    head = f"{'':24}{'CPU us':>8}{'req/s':>9}{'p50':>7}{'p99':>7}{'p99.9':>8} us"
    result.notes.append(f"{head}{'busy':>6}{'counted':>9}{'not':>5}")
    for pair in pairs:
        found = [s for s in result.samples if s.label == pair.label]
        name = f"{pair.label}, {pair.variant}"
        missed = idle.get(pair.label, 0)
        if not found:
            result.notes.append(f"{name:24} no slice counts: {missed} too idle")
            continue

        def middle(key: str, samples: list[Sample] = found) -> float:
            return float(statistics.median(s.details[key] for s in samples))

        rate = statistics.median(
            s.details["requests"] / s.details["wall_ns"] * 1e9 for s in found
        )
        cost = statistics.median(s.value for s in found)
        result.notes.append(
            f"{name:24}{cost:8.2f}{rate:9.0f}{middle('p50_us'):7.0f}"
            f"{middle('p99_us'):7.0f}{middle('p999_us'):8.0f}   "
            f"{middle('busy'):6.0%}{len(found):9}{missed:5}"
        )
