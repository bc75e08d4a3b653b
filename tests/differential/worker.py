"""Runs programs on one library, in a process of its own: `worker.py LIBRARY [PATH…]`.

A request is a frame: four bytes of length, then marshal's form of (want traces?, a list
of code objects). The answer is a frame with a list: the lines of each trace, with
marks, or a digest of each without them. PATHs go in front of sys.path.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import logging
import marshal
import math
import os
import sys
from types import CodeType
from typing import IO, Any

from marks import without
from runtime import World


def read(stream: IO[bytes]) -> Any:
    """One frame; None at the end of the stream."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    return marshal.loads(stream.read(int.from_bytes(head, "big")))


def write(stream: IO[bytes], value: Any) -> None:
    """One frame."""
    data = marshal.dumps(value)
    stream.write(len(data).to_bytes(4, "big") + data)
    stream.flush()


def tell_of_assertions(world: World) -> None:
    """Have Trio write down where it finds that it is broken, not where it is seen.

    `raise AssertionError(…)` looks the name up in the module first.
    """

    def told(text: object) -> AssertionError:
        error = AssertionError(text)
        world.log("library", world.show(error))
        return error

    if world.trio.__name__ == "trio":
        world.trio._core._run.AssertionError = told


def run(code: CodeType, trio: Any, outcome: Any) -> list[str]:
    """The trace of one program."""
    names: dict[str, Any] = {"math": math}
    exec(code, names)
    world = World(trio, outcome)
    tell_of_assertions(world)
    try:
        names["program"](trio, world)
    except Exception as error:  # It has not even begun.
        world.log("program", world.show(error))
    return world.trace()


def digest(lines: list[str]) -> bytes:
    """What is compared first."""
    text = without("\n".join(lines), ())
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=12).digest()


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Nothing that a program prints gets between the frames.
    sys.path[:0] = sys.argv[2:]
    trio = importlib.import_module(sys.argv[1])
    importlib.import_module(f"{sys.argv[1]}.testing")
    outcome = importlib.import_module("outcome")
    logging.lastResort = None
    sys.unraisablehook = lambda _: None
    gc.disable()
    while (request := read(sys.stdin.buffer)) is not None:
        want_traces, codes = request
        traces = [run(code, trio, outcome) for code in codes]
        write(answers, traces if want_traces else [digest(lines) for lines in traces])
        gc.collect()


if __name__ == "__main__":
    main()
