"""One process that measures one row on one implementation, a slice when asked.

    python worker.py ROW KIND MODULE

KIND is "trio" or "asyncio": how MODULE is to be spoken to. Requests are lines on
standard input, answers are lines of JSON on standard output:

    (at the start)   {"python": "3.11.7", "version": "0.35.0"}
    slice 12000      {"ops": …, "cpu_ns": …, "wall_ns": …, "size_bytes": …}

A slice that fails answers {"error": "…"}. End of input ends the process. For a
profile: echo slice 3000000 | perf record -g python worker.py switch_lone trio trio
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import json
import platform
import sys
import traceback
from collections.abc import Callable
from typing import Any

from slices import Slice
from surroundings import load, run_on_asyncio, run_on_trio


def make_runner(row: Any, kind: str, name: str, module: Any) -> Callable[[int], Slice]:
    """How to run one slice: a function of n alone."""
    if hasattr(row, "without_loop"):
        return lambda n: row.without_loop(name, n)
    if kind == "trio":
        return lambda n: run_on_trio(module, lambda: row.on_trio(module, n))
    aio = importlib.import_module("asyncio")
    return lambda n: run_on_asyncio(aio, module, lambda: row.on_asyncio(aio, n))


def answer(run: Callable[[int], Slice], line: str) -> dict[str, Any]:
    verb, _, argument = line.partition(" ")
    if verb != "slice":
        raise ValueError(f"unknown request {line!r}")
    gc.collect()
    return dataclasses.asdict(run(int(argument)))


def tell(error: BaseException) -> str:
    """One line about an error; of a group, about the first that is in it."""
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]  # type: ignore[attr-defined]
    return f"{type(error).__name__}: {error}"


def say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    row_name, kind, module_name = sys.argv[1:4]
    row = importlib.import_module(f"rows.{row_name}")
    getattr(row, "prepare", lambda: None)()
    module, version = load(module_name)
    run = make_runner(row, kind, module_name, module)
    say({"python": platform.python_version(), "version": version})
    for line in sys.stdin:
        try:
            say(answer(run, line.strip()))
        except Exception as error:
            traceback.print_exc()
            say({"error": tell(error)})


if __name__ == "__main__":
    main()
