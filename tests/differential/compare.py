"""Runs programs on two libraries and finds those that differ."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from generate import generate
from marks import without
from peers import Peer, code_of
from program import Program

BATCH = 40
KNOWN = Path(__file__).resolve().parent / "known.tsv"


def known_rules() -> tuple[str, ...]:
    """The names of the differences that are explained."""
    lines = KNOWN.read_text().splitlines()[1:]
    return tuple(line.split("\t")[0] for line in lines)


#: From the first line with one of these on, the last rule lets everything differ.
BROKEN = ("stack corrupted", "<AssertionError(")


def same(right: list[str], seen: list[str], rules: Iterable[str]) -> bool:
    """Whether two traces are equal where these rules do not let them differ."""
    rules = tuple(rules)
    right = [without(line, rules) for line in right]
    seen = [without(line, rules) for line in seen]
    if "no-guarantees" in rules:
        for place, line in enumerate(right):
            if any(word in line for word in BROKEN):
                return right[:place] == seen[:place]
    return right == seen


def reasons(
    right: list[str], seen: list[str], rules: tuple[str, ...]
) -> tuple[str, ...] | None:
    """The fewest rules by which two traces may differ so; None if all are too few."""
    needed = [rule for rule in rules if rule != "no-guarantees"]
    if not same(right, seen, needed):  # It would hide what the others explain.
        needed = list(rules)
    if not same(right, seen, needed):
        return None
    for rule in rules:
        fewer = [name for name in needed if name != rule]
        if same(right, seen, fewer):
            needed = fewer
    return tuple(needed)


@dataclasses.dataclass
class Pair:
    """The two libraries: what is right, and what is looked at."""

    reference: Peer
    subject: Peer

    def traces(self, program: Program) -> tuple[list[str], list[str]]:
        """What a program does on each."""
        codes = [code_of(program)]
        return self.reference.traces(codes)[0], self.subject.traces(codes)[0]

    def differs(self, program: Program, rules: tuple[str, ...]) -> bool:
        """Whether a program shows a difference that nothing explains."""
        return not same(*self.traces(program), rules)

    def end(self) -> None:
        """End both processes."""
        self.reference.end()
        self.subject.end()


@dataclasses.dataclass
class Result:
    """What a comparison has found."""

    programs: int = 0
    explained: Counter[str] = dataclasses.field(default_factory=Counter)
    differences: list[int] = dataclasses.field(default_factory=list)


Answers = Future[list[bytes]]
Batch = tuple[list[int], Answers, Answers]


def batches(seeds: Iterable[int]) -> Iterator[list[int]]:
    """Seeds, some at a time."""
    batch: list[int] = []
    for seed in seeds:
        batch.append(seed)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def unequal(seeds: Iterable[int], pairs: list[Pair]) -> Iterator[tuple[int, list[int]]]:
    """Run the programs of seeds: how many in a batch, and which show any difference."""
    pools = [(ThreadPoolExecutor(1), ThreadPoolExecutor(1)) for _ in pairs]
    waiting: deque[Batch] = deque()

    def finish() -> tuple[int, list[int]]:
        batch, first, second = waiting.popleft()
        answers = zip(batch, first.result(), second.result(), strict=True)
        return len(batch), [seed for seed, right, seen in answers if right != seen]

    try:
        for number, batch in enumerate(batches(seeds)):
            codes = [code_of(generate(seed)) for seed in batch]
            pair, pool = pairs[number % len(pairs)], pools[number % len(pairs)]
            first = pool[0].submit(pair.reference.digests, codes)
            waiting.append((batch, first, pool[1].submit(pair.subject.digests, codes)))
            if len(waiting) > 3 * len(pairs):
                yield finish()
        while waiting:
            yield finish()
    finally:
        for pool in pools:
            for one in pool:
                one.shutdown(cancel_futures=True)


def compare(
    seeds: Iterable[int],
    pairs: list[Pair],
    rules: tuple[str, ...],
    *,
    enough: int = 10,
    progress: Callable[[Result], None] = lambda _: None,
) -> Result:
    """Run the programs of seeds; the last pair gives the traces of those that differ.

    Args:
        seeds: of the programs.
        pairs: each runs its share.
        rules: the known differences.
        enough: stop after so many that are not explained.
        progress: called after each batch.
    """
    result = Result()
    *running, judge = pairs
    try:
        for count, different in unequal(seeds, running):
            result.programs += count
            for seed in different:
                why = reasons(*judge.traces(generate(seed)), rules)
                if why is None:
                    result.differences.append(seed)
                else:
                    result.explained[" and ".join(why) or "not seen again"] += 1
            progress(result)
            if len(result.differences) >= enough:
                break
    finally:
        for pair in pairs:
            pair.end()
    return result
