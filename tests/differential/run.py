"""Runs generated programs on Trio and on ctrio, and shows where they differ.

`run.py [N] --seed S` runs programs number S to S + N - 1. What differs is cut down to a
minimal program and printed, as a script and with both traces. The last line is the sum.
"""

from __future__ import annotations

import argparse
import difflib
import sys
import time
from pathlib import Path

from compare import Pair, Result, compare, known_rules
from constructs import source
from generate import generate
from marks import without
from peers import Peer, python_of
from shrink import script, shrink, tidy

BUILD = Path(__file__).resolve().parents[2] / "build"
#: So many differences are cut down; the others are only named.
SHOWN = 3


def make_pair(paths: tuple[str, ...] = ()) -> Pair:
    """Trio and ctrio, each in its environment."""
    reference = Peer(python_of(BUILD / "venv-trio"), "trio")
    return Pair(reference, Peer(python_of(BUILD / "venv"), "ctrio", paths))


def show(seed: int, pair: Pair, rules: tuple[str, ...]) -> None:
    """Cut a program down, and print it with both traces."""
    program = shrink(generate(seed), lambda smaller: pair.differs(smaller, rules))
    folder = BUILD / "differential"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{seed}.py"
    path.write_text(script(program))
    print(f"\n--- program {seed}, cut down; the whole script is {path}\n")
    print(tidy(source(program)))
    right, seen = pair.traces(program)
    right = [without(line, rules) for line in right]
    seen = [without(line, rules) for line in seen]
    lines = difflib.unified_diff(right, seen, "trio", "ctrio", lineterm="", n=3)
    print("\n".join(lines))


def tell(result: Result, start: float) -> None:
    """Print what has been found, apart from the differences themselves."""
    seconds = time.monotonic() - start
    print(f"{result.programs} programs, {result.programs / seconds:.0f} a second")
    for name, count in result.explained.most_common():
        print(f"{count:7} differ as known.tsv explains: {name}")
    if result.differences:
        print(
            f"{len(result.differences):7} differ without reason: {result.differences}"
        )


def main() -> int:
    """Run so many programs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("count", nargs="?", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1, help="the number of the first")
    parser.add_argument("--lanes", type=int, default=2, help="pairs of processes")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args()
    rules, start, told = known_rules(), time.monotonic(), [0]

    def progress(result: Result) -> None:
        if not options.quiet and result.programs - told[0] >= 5000:
            told[0] = result.programs
            tell(result, start)
            sys.stdout.flush()

    pairs = [make_pair() for _ in range(options.lanes + 1)]
    seeds = range(options.seed, options.seed + options.count)
    result = compare(seeds, pairs, rules, progress=progress)
    tell(result, start)
    pair = make_pair()
    for seed in result.differences[:SHOWN]:
        show(seed, pair, rules)
    pair.end()
    failed = len(result.differences)
    print(f"{result.programs - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
