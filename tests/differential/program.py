"""A program as data: drawn by the generator, cut by the shrinker, then written out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any


@dataclasses.dataclass
class Step:
    """One step, with the blocks of steps inside it.

    Attributes:
        kind: which construct it is, a key of `SIMPLE` or `WRITERS` in constructs.py.
        number: its name in the trace, and of what it makes: scope s7, nursery n7.
        args: what was drawn for it.
        blocks: the bodies it has, such as those of `try` and `except`.
    """

    kind: str
    number: int
    args: dict[str, Any] = dataclasses.field(default_factory=dict)
    blocks: list[list[Step]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Program:
    """A whole program.

    Attributes:
        seed: of the order of batches, and the program's name.
        strict: `strict_exception_groups` of the run.
        once: each other call from outside is idempotent.
        objects: what exists before the first step: name -> expression that makes it.
        instruments: those of the objects that watch from the beginning.
        body: the steps of the main task.
    """

    seed: int
    strict: bool = True
    once: bool = False
    objects: dict[str, str] = dataclasses.field(default_factory=dict)
    instruments: list[str] = dataclasses.field(default_factory=list)
    body: list[Step] = dataclasses.field(default_factory=list)


def walk(steps: list[Step]) -> Iterator[Step]:
    """Every step, each before what is inside it."""
    for step in steps:
        yield step
        for block in step.blocks:
            yield from walk(block)


def blocks_of(program: Program) -> Iterator[list[Step]]:
    """Every list of steps in a program, outer ones first."""
    yield program.body
    for step in walk(program.body):
        yield from step.blocks


def spawned(step: Step) -> bool:
    """Whether the step's block is the body of another task."""
    return step.kind in ("start_soon", "start", "system_task")
