"""Child processes that answer one line with one line, bound to given cores."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

CHUNK = 65536
END_SECONDS = 5.0
PR_SET_PDEATHSIG = 1
PRCTL = ctypes.CDLL(None).prctl


class ChildError(Exception):
    """A child answered with an error, too late, or not at all."""


class Child:
    """A process that is asked by lines and answers in lines of JSON.

    Its standard error goes to a file in the build folder, whose last line is told
    when it dies. It does not outlive the orchestrator.
    """

    def __init__(
        self,
        command: list[str],
        cpus: Iterable[int],
        log_path: Path,
        real_time: bool = False,
    ) -> None:
        cores = set(cpus)
        self.log_path = log_path

        def before_exec() -> None:
            PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, cores)
            if real_time:
                os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

        self.pending = b""
        with log_path.open("wb") as log:
            # The orchestrator has no threads: nothing can be held at the fork.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                preexec_fn=before_exec,
            )

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def tell(self, line: str) -> None:
        """Send a request whose answer will be read later."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ChildError(self.story()) from None

    def answer(self, timeout_seconds: float) -> dict[str, Any]:
        """Wait for the next line."""
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        until = time.monotonic() + timeout_seconds
        while b"\n" not in self.pending:
            left = until - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                self.process.kill()
                raise ChildError(f"no answer within {timeout_seconds:g} s")
            chunk = os.read(fd, CHUNK)
            if not chunk:
                raise ChildError(self.story())
            self.pending += chunk
        line, _, self.pending = self.pending.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise ChildError(message["error"])
        return message

    def ask(self, line: str, timeout_seconds: float) -> dict[str, Any]:
        self.tell(line)
        return self.answer(timeout_seconds)

    def cpu_ns(self) -> int:
        """The CPU time it has used so far; its process takes no part in this."""
        if self.process.poll() is not None:
            raise ChildError(self.story())
        # The clock of a process is the complement of its number, then what it counts.
        return time.clock_gettime_ns(((~self.process.pid) << 3) | 2)

    def story(self) -> str:
        """Why the child has ended, as far as it can be told."""
        status = self.process.wait(END_SECONDS)
        lines = self.log_path.read_text(errors="replace").strip().splitlines()
        return f"ended with status {status}: {lines[-1] if lines else 'silent'}"

    def kill(self) -> None:
        """End one that takes no requests."""
        self.process.kill()
        self.end()

    def end(self) -> None:
        """End of input ends a child; one that does not hear is killed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
