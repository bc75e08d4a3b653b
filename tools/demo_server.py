"""The demo's hold on a server process and its plain HTTP clients on raw sockets."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "examples/python/file_server.py"
BOUND = 20.0  # No wait is longer.


class DemoError(Exception):
    """The demo cannot go on."""


def in_time(taken: float, due: float, late: float) -> bool:
    """Whether something took the time that it is due after, and at most `late` more."""
    return due * 0.95 <= taken <= due + late


class Checks:
    """Everything that the demo claims, counted."""

    def __init__(self) -> None:
        self.held = self.failed = 0

    def __call__(self, holds: bool, claim: str) -> None:
        if holds:
            self.held += 1
        else:
            self.failed += 1
        print(f"  {'ok    ' if holds else 'FAILED'} {claim}", flush=True)

    def sum_up(self, begin: float) -> int:
        """Say what all of it came to, and how long it took; the exit status."""
        taken = time.monotonic() - begin
        if self.failed:
            print(f"\n{self.failed} of {self.held + self.failed} checks FAILED.")
            return 1
        print(f"\nAll {self.held} checks held, in {taken:.0f} s.")
        return 0


class Output:
    """The lines that a process has written to one of its pipes, as they come."""

    def __init__(self, pipe: IO[str]) -> None:
        self.lines: list[str] = []
        self.ended = False
        self.news = threading.Condition()
        self.thread = threading.Thread(target=self.read, args=[pipe], daemon=True)
        self.thread.start()

    def read(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                with self.news:
                    self.lines.append(line.rstrip("\n"))
                    self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a line that the pattern is found in."""
        until = time.monotonic() + BOUND
        seen = 0
        with self.news:
            while True:
                for line in self.lines[seen:]:
                    if found := re.search(pattern, line):
                        return found
                seen = len(self.lines)
                left = until - time.monotonic()
                if self.ended or left <= 0:
                    raise DemoError(f"the server did not write a line {pattern!r}")
                self.news.wait(left)

    def text(self) -> str:
        """Wait for the end; return all of it."""
        self.thread.join(BOUND)
        return "\n".join(self.lines)


class Server:
    """A server in a process of its own.

    Args:
        command: its program and arguments.
        listening: the line that tells its port, as a pattern.
        ends_with: its exit status if all is well.
    """

    def __init__(self, command: list[str], listening: str, ends_with: int = 0) -> None:
        self.ends_with = ends_with
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.output = Output(self.process.stdout)
        self.errors = Output(self.process.stderr)
        try:
            self.port = int(self.output.wait_for(listening)[1])
        except BaseException:
            self.kill()
            raise

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Wait until it has ended by itself; return its exit status."""
        try:
            return self.process.wait(BOUND)
        except subprocess.TimeoutExpired:
            raise DemoError(f"the server had not ended after {BOUND:.0f} s") from None

    def kill(self) -> None:
        """End it in any state; say what it wrote on stderr if it had not ended well."""
        killed = self.process.poll() is None
        if killed:
            self.process.kill()
        status = self.process.wait(BOUND)
        if killed or status != self.ends_with:
            print(f"  the server's stderr (status {status}):\n{self.errors.text()}")

    def cpu_seconds(self) -> float:
        """Return the CPU time that the server has used, all threads of it."""
        # What clock_getcpuclockid(3) answers on Linux; /proc counts in ticks of 10 ms.
        return time.clock_gettime((~self.process.pid << 3) | 2)


def serve_files(command: list[str], folder: Path, *options: str) -> Server:
    """Start the example server; `command` runs Python programs."""
    words = [*command, PROGRAM, str(folder), "--port", "0", *options]
    return Server(words, r"^serving .*:(\d+)/$")


class Client:
    """An HTTP client that does nothing by itself: ask, then read."""

    def __init__(self, port: int, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(BOUND)
        if receive_buffer:
            option = socket.SO_RCVBUF
            self.socket.setsockopt(socket.SOL_SOCKET, option, receive_buffer)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, url: str) -> None:
        self.send(f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def read_status(self) -> int:
        """Read the first line of an answer; 0 if there is none."""
        words = self.file.readline().split()
        return int(words[1]) if len(words) > 1 else 0

    def read_rest(self) -> bytes:
        """Read the rest of an answer; return its body, as much as there is."""
        length = 0
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return self.file.read(length)

    def answer(self) -> tuple[int, bytes]:
        return self.read_status(), self.read_rest()

    def hung_up(self) -> bool:
        """Read what must be the end: the server has closed and sent no more."""
        return self.file.read(1) == b""

    def close(self) -> None:
        self.file.close()
        self.socket.close()
