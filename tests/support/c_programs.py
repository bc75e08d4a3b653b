"""The C programs of examples/, built with the project's library and run as users do.

`CTRIO_TEST_PROGRAMS` names a folder with built ones, so that the same tests judge them
under a sanitizer:

    CTRIO_TEST_PROGRAMS=build/asan/examples/c pytest tests/examples
"""

from __future__ import annotations

import functools
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOUND = 60  # No wait of these tests is longer; none of them comes near it.


@functools.cache
def folder() -> Path:
    """Return where the programs are; build them if nobody has said where."""
    named = os.environ.get("CTRIO_TEST_PROGRAMS")
    if named:
        return Path(named).resolve()
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import bootstrap

        return bootstrap.ensure_examples()
    except (bootstrap.SetupError, bootstrap.BuildError) as problem:
        pytest.fail(f"the C examples cannot be built: {problem}")
    finally:
        sys.path.remove(str(ROOT / "tools"))


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    command = [str(folder() / name), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=BOUND, check=False
    )


class Server:
    """A program that says where it listens, and serves until it is interrupted."""

    def __init__(self, name: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [str(folder() / name), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.watchdog = threading.Timer(BOUND, self.process.kill)
        self.watchdog.start()
        assert self.process.stdout is not None
        found = re.search(r"^listening on 127.*:(\d+)$", self.process.stdout.readline())
        if found is None:
            pytest.fail(f"{name} did not start:\n{self.kill()}")
        self.port = int(found[1])

    def client(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=BOUND)

    def stop(self) -> tuple[int, str, str]:
        """Interrupt it; return its status and what it has still said."""
        self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=BOUND)
        return self.process.returncode, output, errors

    def kill(self) -> str:
        """End it in any state; return what it had still to say on stderr."""
        self.watchdog.cancel()
        self.process.kill()
        return self.process.communicate()[1]


@contextmanager
def serving(name: str, *arguments: object) -> Iterator[Server]:
    server = Server(name, *arguments)
    try:
        yield server
    finally:
        server.kill()


class Peer:
    """A server of the tests' own, on a thread for each connection.

    `serve` is called with each connection and its number, and closes it.
    """

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.accepted = 0
        self.stopping, self.stop_writer = socket.socketpair()
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self) -> None:
        while True:
            ready, _, _ = select.select([self.listener, self.stopping], [], [])
            if self.stopping in ready:
                return
            connection, _ = self.listener.accept()
            connection.settimeout(BOUND)
            thread = threading.Thread(
                target=self.serve_and_close, args=[connection, self.accepted]
            )
            self.accepted += 1
            self.threads.append(thread)
            thread.start()

    def serve_and_close(self, connection: socket.socket, number: int) -> None:
        with connection:
            try:
                self.serve(connection, number)
            except OSError:
                pass  # The program under test may hang up at any time.

    def serve(self, connection: socket.socket, number: int) -> None:
        raise NotImplementedError

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_writer.close()
        for thread in self.threads:
            thread.join(BOUND)
        self.listener.close()
        self.stopping.close()


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def hung_up(connection: socket.socket) -> bool:
    """Read what must be the end; a reset is one as well."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
