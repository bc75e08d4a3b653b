"""The processes that run programs, as their parent sees them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any, TypeVar

import worker
from constructs import source
from program import Program

HERE = Path(__file__).resolve().parent
#: Seconds for one request; a program that takes longer hangs.
PATIENCE = 60.0
Answer = TypeVar("Answer")


class Peer:
    """A library in a process of its own, which is started anew when it dies."""

    def __init__(self, python: Path, library: str, paths: tuple[str, ...] = ()) -> None:
        self.command = [
            str(python),
            "-W",
            "ignore",
            str(HERE / "worker.py"),
            library,
            *paths,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def traces(self, codes: list[CodeType]) -> list[list[str]]:
        """Run programs: the trace of each, or what became of the process."""
        return self.ask(True, codes, lambda text: [text])

    def digests(self, codes: list[CodeType]) -> list[bytes]:
        """Run programs: a digest of each."""
        return self.ask(False, codes, str.encode)

    def ask(
        self, traces: bool, codes: list[CodeType], ended: Callable[[str], Answer]
    ) -> list[Answer]:
        """Run programs; one by one, if the process does not survive them together."""
        answer = self.request((traces, codes))
        if isinstance(answer, list):
            return answer
        if len(codes) == 1:
            return [ended(answer)]
        return [self.ask(traces, [code], ended)[0] for code in codes]

    def request(self, request: Any) -> Any:
        """One frame there, one back; a text if there was none."""
        process = self.process or self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            worker.write(process.stdin, request)
        except BrokenPipeError:
            return self.end()
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        if not ready:
            self.end()
            return "hangs"
        answer = worker.read(process.stdout)
        return self.end() if answer is None else answer

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process."""
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self.process

    def end(self) -> str:
        """End the process, and say how it has ended by itself."""
        process, self.process = self.process, None
        if process is None:
            return "has not started"
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.stdout.close()
        try:
            status = process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        return f"the process has ended: {name}"


def code_of(program: Program) -> CodeType:
    """A program, compiled for the peers, which are of this very Python."""
    return compile(source(program), f"program {program.seed}", "exec")


def python_of(venv: Path) -> Path:
    """The interpreter of an environment.

    Raises:
        SystemExit: it is not there.
    """
    python = venv / "bin/python"
    if not python.is_file():
        sys.exit(f"{python} is missing: make differential sets it up")
    return python
