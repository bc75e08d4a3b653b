"""Makes a program that shows something as small as it gets; writes it as a script."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from constructs import INDENT, source
from program import Program, Step, blocks_of, walk

HERE = Path(__file__).resolve().parent
#: What arguments are made to be, where the difference allows it.
PLAIN = {
    "manner": "do",
    "strict": None,
    "reason": "None",
    "error": "ValueError('v')",
    "seconds": "1.0",
    "time": "1.0",
    "deadline": "1.0",
    "number": "1",
    "small": "1",
    "again": "",
    "what": "BaseException",
    "cushion": "0.0",
    "made": "trio.CancelScope()",
    "abort": "'yield'",
    "woken": "None",
}


def shrink(
    program: Program, shows: Callable[[Program], bool], most: int = 3000
) -> Program:
    """The smallest program found that still shows it, in at most so many attempts."""
    tried = {source(program)}
    while True:
        for candidate in candidates(program):
            text = source(candidate)
            if text in tried:
                continue
            if len(tried) > most:
                return program
            tried.add(text)
            if shows(candidate):
                program = candidate
                break
        else:
            return program


def candidates(program: Program) -> Iterator[Program]:
    """Smaller programs, those that are much smaller first."""
    yield from without_steps(program)
    yield from without_nesting(program)
    yield from with_plain_arguments(program)
    yield from without_surroundings(program)


def without_steps(program: Program) -> Iterator[Program]:
    """Runs of steps left out, long ones first."""
    lengths = [len(block) for block in blocks_of(program)]
    size = max(lengths, default=0)
    while size > 0:
        for index, length in enumerate(lengths):
            for start in range(0, length, size):
                if size > 1 and length < size:
                    continue
                smaller = copy.deepcopy(program)
                del [*blocks_of(smaller)][index][start : start + size]
                yield smaller
        size //= 2


def without_nesting(program: Program) -> Iterator[Program]:
    """A step with blocks replaced by the steps of one of them."""
    for index, block in enumerate([*blocks_of(program)]):
        for place, step in enumerate(block):
            for number in range(len(step.blocks)):
                smaller = copy.deepcopy(program)
                changed = [*blocks_of(smaller)][index]
                changed[place : place + 1] = changed[place].blocks[number]
                yield smaller


def with_plain_arguments(program: Program) -> Iterator[Program]:
    """An argument replaced by the plainest one of its sort."""
    for index, step in enumerate(walk(program.body)):
        if step.kind == "start":
            yield changed_step(
                program, index, lambda step: setattr(step, "kind", "start_soon")
            )
        for name, value in step.args.items():
            if (
                name in PLAIN
                and value != PLAIN[name]
                and not step.kind.startswith("fail")
            ):
                yield changed_step(program, index, partial(set_plain, name))


def set_plain(name: str, step: Step) -> None:
    """Replace an argument."""
    step.args[name] = PLAIN[name]


def changed_step(
    program: Program, index: int, change: Callable[[Step], object]
) -> Program:
    """A copy whose step of that index is changed."""
    smaller = copy.deepcopy(program)
    change([*walk(smaller.body)][index])
    return smaller


def without_surroundings(program: Program) -> Iterator[Program]:
    """Objects, instruments and options left out."""
    for field, plain in (
        ("strict", True),
        ("once", False),
        ("instruments", []),
        ("seed", 0),
    ):
        smaller = copy.deepcopy(program)
        setattr(smaller, field, plain)
        yield smaller
    text = source(program)
    for name in program.objects:
        if (
            len(re.findall(rf"\b{name}\b", text)) == 2
        ):  # Where it is made, and its name there.
            smaller = copy.deepcopy(program)
            del smaller.objects[name]
            yield smaller


# --- the script --------------------------------------------------------------------

HEAD = '''"""Run it with `trio`, then with `ctrio`: the two traces differ.

    build/venv-trio/bin/python THIS trio
    build/venv/bin/python THIS ctrio
"""
'''
TAIL = """
if __name__ == "__main__":
    import importlib
    import logging
    import math
    import sys

    import outcome

    logging.lastResort = None
    library = importlib.import_module(sys.argv[1])
    importlib.import_module(f"{sys.argv[1]}.testing")
    world = World(library, outcome)
    program(library, world)
    print("\\n".join(without(line, ()) for line in world.trace()))
"""


def script(program: Program) -> str:
    """A program as a script that needs nothing but a library."""
    parts = [(HERE / name).read_text() for name in ("marks.py", "runtime.py")]
    code = "\n\n".join(
        part.partition("from __future__ import annotations\n")[2] for part in parts
    )
    code = code.replace("from marks import mark\n", "")
    head = f"{HEAD}\nfrom __future__ import annotations\n"
    return f"{head}{code}\n\n# --- the program\n\n\n{tidy(source(program))}{TAIL}"


def tidy(text: str) -> str:
    """A program's text without what only its tasks' generality needs."""
    if "task_status." not in text.replace("trio.TASK_STATUS", ""):
        text = text.replace("task_status=trio.TASK_STATUS_IGNORED", "**_")
    return text.replace(f"\n{INDENT}\n", "\n\n")
