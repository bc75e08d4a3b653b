"""Runs a program on trio and on ctrio, and takes out what may differ.

That is what docs/design/differences.md says of tracebacks and of debuggers: frames of
the library's own files, since ctrio's core is C and has none; and the value that a
waiting task yields to the run loop. Addresses and paths go as well. All else has to be
equal.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
TRIO = os.environ.get("CTRIO_TEST_TRIO", "")
# Outcome is here because Trio calls through it where our C does not.
LIBRARY = re.compile(r"/site-packages/(?:c?trio|outcome)/|<attrs generated")
PROMPTS = re.compile(r"^(?:\(Pdb\+*\) )+")
# pdb's stops and stacks: the current line has the arrow. Of generated code the file's
# name is anything, so it is told by what follows.
STOP = re.compile(r"^(> |  )(.+?)\(\d+\)([\w<>.]+)\(.*\)(->.*)?$")
EVENT = re.compile(
    r"--(?:Call|Return)--$|(?:Internal )?Stop(?:Async)?Iteration\b"
    r"|[\w.]*Error\b|trio\.[A-Z]\w+"
)
YIELDED = re.compile(r"->(?:WaitTaskResch|<class '|<object obj).*$", re.M)
# Tracebacks: of groups (with a margin), of faulthandler (no comma after the line).
FRAME = re.compile(r"^[ |]*File \"([^\"]+)\", line \d+")


@dataclass(frozen=True)
class Run:
    """One scripted run: a program, what is typed into it, and how it is started.

    Without arrows it is not compared which frame of a stack is the current one: at a
    post-mortem's begin that is the deepest, which in Trio may be the library's. At
    least so many records have to be left.
    """

    program: str
    typed: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    since: tuple[int, int] = (3, 10)
    status: int = 0
    arrows: bool = True
    least: int = 8


def execute(run: Run, python: str, library: str) -> subprocess.CompletedProcess[str]:
    """Run it on one of both, the two streams of output in one."""
    path = [str(HERE / "as_trio")] if library == "ctrio" else []
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "PYTHON_COLORS": "0",
    }
    return subprocess.run(
        [python, *run.options, str(PROGRAMS / f"{run.program}.py")],
        input="".join(f"{line}\n" for line in run.typed),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=PROGRAMS,
        timeout=120,
        check=False,
    )


def is_more(line: str, margin: int) -> bool:
    """Whether a line still tells of the traceback's frame above it."""
    text = line.lstrip(" |")
    return bool(text) and len(line) - len(text) > margin and not FRAME.match(line)


def stop_at(lines: list[str], at: int) -> tuple[int, str]:
    """The stop of pdb that begins at a line: how many lines it has, and its text.

    Empty text if it is in nobody's code but the library's, or Python's.
    """
    size = 0
    while at + size < len(lines) and EVENT.match(lines[at + size]):
        size += 1
    match = STOP.match(lines[at + size]) if at + size < len(lines) else None
    if match is None:
        return 0, ""
    size += 1
    size += at + size < len(lines) and lines[at + size].startswith("-> ")
    text = "\n".join(lines[at : at + size])
    return size, YIELDED.sub("-><yielded>", text) if "<programs>" in text else ""


def without_library(lines: list[str]) -> list[str]:
    """Records, without those about frames that are not the program's.

    pdb's stops are kept if they are in the program. Of tracebacks only the library's
    own frames go.
    """
    kept: list[str] = []
    at = 0
    while at < len(lines):
        size, stop = stop_at(lines, at)
        frame = FRAME.match(lines[at])
        if size:
            kept += [stop] if stop else []
            at += size
        elif frame and LIBRARY.search(frame[1]):
            margin = len(lines[at]) - len(lines[at].lstrip(" |"))
            at += 1
            while at < len(lines) and is_more(lines[at], margin):
                at += 1
        else:
            kept.append(lines[at])
            at += 1
    return kept


def normal(text: str) -> list[str]:
    """What was printed, in words that both must share."""
    lines = []
    for line in text.splitlines():
        line = PROMPTS.sub("", line).rstrip()
        line = re.sub(r"0x[0-9a-f]+|\.\.\.x[0-9a-f]+", "0x", line)
        line = line.replace(str(PROGRAMS), "<programs>")
        if line:
            lines.append(line)
    return without_library(lines)


def first_difference(trio: list[str], ctrio: list[str]) -> str:
    """Where the records differ, or nothing."""
    end = ["the end"]
    for at, (there, here) in enumerate(zip(trio + end, ctrio + end, strict=False)):
        if there != here:
            before = "\n".join(trio[max(at - 3, 0) : at])
            return f"after\n{before}\ntrio has\n{there}\nctrio has\n{here}"
    return ""


def without_arrows(records: list[str]) -> list[str]:
    """The records, without the current frame: its stop, and its mark in a stack."""
    kept, in_stack = [], False
    for record in records:
        is_frame = record.startswith(("> ", "  ")) and "\n-> " in record
        if in_stack or not is_frame or record.startswith("  "):
            kept.append("  " + record[2:] if is_frame else record)
        in_stack = is_frame
    return kept


def on_both(run: Run) -> dict[str, tuple[int, list[str]]]:
    """Exit status and normalised output, of trio and of ctrio."""
    found = {}
    for library, python in (("trio", TRIO), ("ctrio", sys.executable)):
        done = execute(run, python, library)
        records = normal(done.stdout)
        found[library] = (
            done.returncode,
            records if run.arrows else without_arrows(records),
        )
    return found


if __name__ == "__main__":
    from runs import RUNS

    for name in sys.argv[1:] or RUNS:
        both = on_both(RUNS[name])
        print(*both["ctrio"][1], sep="\n")
        print(
            f"=== {name}:",
            first_difference(both["trio"][1], both["ctrio"][1]) or "same",
        )
