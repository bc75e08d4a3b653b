"""The tester itself: what it draws, what it must notice, what it makes of that."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from compare import KNOWN, Pair, compare, known_rules, reasons, same
from constructs import SIMPLE, WRITERS, source
from generate import MOST_STEPS, MOST_TASKS, generate
from marks import mark, without
from peers import Peer, code_of
from program import Program, spawned, walk
from shrink import script, shrink

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON = Path(sys.executable)
MANY = 2000
PATCHES = sorted((HERE / "planted").glob("*.patch"))
#: A library that is ctrio, but for one function.
CROOKED = """
    import sys
    import ctrio
    import ctrio.testing
    from ctrio import *
    from ctrio import TASK_STATUS_IGNORED, _core, lowlevel, testing

    sys.modules["crooked.testing"] = ctrio.testing

"""
LATE = """
    async def sleep(seconds):
        await ctrio.sleep(seconds + 0.25)
"""
DEADLY = """
    import os
    async def sleep(seconds):
        os.kill(os.getpid(), 9)
"""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Callable[[str], Pair]]:
    """ctrio beside a library that is the same but for what a test changes."""
    made = []

    def make(change: str) -> Pair:
        package = tmp_path / "crooked"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(dedent(CROOKED) + dedent(change))
        subject = Peer(PYTHON, "crooked", (str(tmp_path),))
        made.append(Pair(Peer(PYTHON, "ctrio"), subject))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_a_seed_always_gives_the_same_program() -> None:
    texts = [source(generate(seed)) for seed in range(50)]
    assert texts == [source(generate(seed)) for seed in range(50)]
    assert len(set(texts)) == 50


def test_each_construct_is_in_a_twentieth_of_the_programs() -> None:
    counts: Counter[str] = Counter()
    for seed in range(MANY):
        counts.update({step.kind for step in walk(generate(seed).body)})
    kinds = {*SIMPLE, *WRITERS}
    assert {kind: counts[kind] for kind in kinds if counts[kind] < MANY / 20} == {}


def test_programs_are_no_larger_than_promised_and_some_are_that_large() -> None:
    steps, tasks = [], []
    for seed in range(MANY):
        all_steps = [*walk(generate(seed).body)]
        steps.append(len(all_steps))
        tasks.append(1 + sum(map(spawned, all_steps)))
    assert MOST_STEPS - 5 < max(steps) <= MOST_STEPS
    assert MOST_TASKS - 2 < max(tasks) <= MOST_TASKS


def test_every_program_compiles() -> None:
    for seed in range(200):
        code_of(generate(seed))


def test_a_library_does_not_differ_from_itself(pair: Callable[[str], Pair]) -> None:
    result = compare(range(100), [pair(""), pair("")], ())
    assert (result.programs, result.differences, result.explained) == (100, [], {})


def test_a_difference_is_found_and_cut_down(
    pair: Callable[[str], Pair], tmp_path: Path
) -> None:
    result = compare(range(100), [pair(LATE), pair(LATE)], (), enough=1)
    assert result.differences
    judge = pair(LATE)
    small = shrink(generate(result.differences[0]), lambda p: judge.differs(p, ()))
    assert [step.kind for step in walk(small.body)] == ["sleep"]
    assert small.objects == {}

    path = tmp_path / "shows.py"
    path.write_text(script(small))
    printed = {
        library: subprocess.run(
            [sys.executable, path, library],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(tmp_path)},
        ).stdout.splitlines()
        for library in ("ctrio", "crooked")
    }
    assert [*printed.values()] == [*judge.traces(small)]
    assert printed["ctrio"] != printed["crooked"]


def test_a_library_that_dies_is_found_and_the_next_program_runs(
    pair: Callable[[str], Pair],
) -> None:
    one = pair(DEADLY)
    codes = [code_of(generate(seed)) for seed in range(30)]
    answers = one.subject.digests(codes)
    dead = [answer == b"the process has ended: SIGKILL" for answer in answers]
    assert any(dead)
    assert not all(dead)


def test_a_program_that_cannot_begin_is_told_apart(pair: Callable[[str], Pair]) -> None:
    program = Program(1, objects={"x": "trio.nothing_of_that_name"})
    right, seen = pair("").traces(program)
    assert len(right) == 1
    assert "AttributeError" in right[0]
    assert seen != right  # The module's name is in the text.


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ((), "a b c d"),
        (("x",), "a d"),
        (("y",), "a b d"),
        (("x", "y"), "a d"),
        (("z",), "a b c d"),
    ],
)
def test_marked_pieces_are_left_out_with_all_that_is_in_them(
    rules: tuple[str, ...], left: str
) -> None:
    text = f"a{mark('x', ' b' + mark('y', ' c'))} d"
    assert without(text, rules) == left


def test_a_difference_is_explained_by_as_few_rules_as_can_be() -> None:
    right = ["a" + mark("x", " b"), "c" + mark("y", " d")]
    assert reasons(right, ["a", "c" + mark("y", " d")], ("x", "y")) == ("x",)
    assert reasons(right, ["a", "c"], ("x", "y")) == ("x", "y")
    assert reasons(right, ["a", "e"], ("x", "y")) is None


@pytest.mark.parametrize(
    "line",
    ["<AssertionError('')>", "<RuntimeError('Cancel scope stack corrupted: …')>"],
)
def test_what_comes_after_the_guarantees_end_may_differ(line: str) -> None:
    right, rules = ["same", line, "one"], ("x", "no-guarantees")
    assert reasons(right, ["same", "then", "another"], rules) == ("no-guarantees",)
    assert reasons(right, ["different", line, "one"], rules) is None
    assert not same(right, ["same", "then", "another"], ["x"])


def test_the_end_of_guarantees_hides_nothing_that_another_rule_explains() -> None:
    right = ["stack corrupted", "a" + mark("x", " b")]
    assert reasons(right, ["stack corrupted", "a"], ("x", "no-guarantees")) == ("x",)


def test_at_most_five_differences_are_known_and_each_names_its_line() -> None:
    lines = [line.split("\t") for line in KNOWN.read_text().splitlines()[1:]]
    assert 0 < len(lines) <= 5
    assert all(len(line) == 3 for line in lines)
    assert all("trio/" in line[1] and ".py:" in line[1] for line in lines)
    told = "".join((HERE / name).read_text() for name in ("runtime.py", "compare.py"))
    assert all(f'"{rule}"' in told for rule in known_rules())


def test_there_are_25_planted_bugs_of_one_line_each() -> None:
    assert len(PATCHES) >= 25
    for patch in PATCHES:
        lines = patch.read_text().splitlines()[2:]
        for sign in "-+":
            assert sum(line.startswith(sign) for line in lines) == 1, patch.name


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_planted_bug_fits_the_kernel_as_it_is(patch: Path) -> None:
    done = subprocess.run(
        ["git", "apply", "--check", patch], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
