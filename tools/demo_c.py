"""The demo's part in C: a thousand connections to the echo server, and what is left.

    build/venv/bin/python tools/demo_c.py

The program is `examples/c/echo_server.c`. The clients are raw sockets: they compare
every byte, a tenth of them falls silent until the server hangs up, and a Ctrl-C meets
the server with all the others connected. It counts for itself what its run has left
behind. The exit status is 0 only if every check held.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from demo_server import BOUND, ROOT, Checks, DemoError, Server, in_time

CONNECTIONS = 1000
STALLED = 100
IDLE = 2.0  # Seconds until the server hangs up on who is silent.
LATE = 3.0  # Seconds that a busy machine may add.
INTERRUPTED = 130  # Its exit status after a Ctrl-C.
LARGEST = 4000  # Bytes of a message: they fit into the buffers of a connection.
SERVED = r"^served: connections (\d+), bytes (\d+)$"
LEFT = r"^left over: tasks (\S+), descriptors (\S+), bytes (\S+)$"


class Client:
    """A connection that knows what it has sent and what must come back."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), BOUND)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = b""
        self.compared = 0
        self.silent_since = 0.0

    def send(self, data: bytes) -> None:
        self.sent = data
        self.socket.sendall(data)
        self.silent_since = time.monotonic()

    def came_back(self) -> bool:
        """Read as many bytes as were sent; tell whether they are the same."""
        back = b""
        while len(back) < len(self.sent):
            part = self.socket.recv(len(self.sent) - len(back))
            if not part:
                break
            back += part
        same = back == self.sent
        self.compared += len(back) if same else 0
        return same

    def hung_up(self) -> bool:
        """Read what must be the end."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def readable(numbers: Iterable[int]) -> list[int]:
    """Those of these descriptors that have something to read, if only the end."""
    poll = select.poll()
    for number in numbers:
        poll.register(number, select.POLLIN)
    return [number for number, _ in poll.poll(0)]


class Story:
    """The server's life, from its start to its end."""

    def __init__(self, program: Path, checks: Checks) -> None:
        self.program = program
        self.checks = checks
        self.random = random.Random(4)
        self.rows: list[tuple[str, object]] = []

    def tell(self) -> None:
        name = self.program.name
        print(f"\n{name} --audit 127.0.0.1 0 {IDLE:g}")
        command = [str(self.program), "--audit", "127.0.0.1", "0", str(IDLE)]
        self.server = Server(command, r"^listening on .*:(\d+)$", INTERRUPTED)
        with ExitStack() as stack:
            stack.callback(self.server.kill)
            self.clients = []
            for _ in range(CONNECTIONS):
                self.clients.append(Client(self.server.port))
                stack.callback(self.clients[-1].socket.close)
            self.stalled = self.clients[:: CONNECTIONS // STALLED]
            self.active = [c for c in self.clients if c not in self.stalled]
            self.echo_to_all()
            self.stall()
            self.interrupt()
        self.table()

    def echo(self, clients: list[Client]) -> int:
        """Let all send, then all read; return how many got their own bytes back."""
        for client in clients:
            length = self.random.randint(1, LARGEST)
            client.send(self.random.randbytes(length))
        return sum([client.came_back() for client in clients])

    def echo_to_all(self) -> None:
        good = self.echo(self.clients)
        self.checks(
            good == CONNECTIONS,
            f"{CONNECTIONS} connections at once: {good} got their own bytes back",
        )

    def stall(self) -> None:
        """Talk on the others until the server has hung up on all who are silent."""
        watched = {client.socket.fileno(): client for client in self.stalled}
        times: list[float] = []
        good = rounds = 0
        until = time.monotonic() + IDLE + LATE + BOUND
        while watched and time.monotonic() < until:
            rounds += 1
            good += self.echo(self.active)
            for number in readable(watched):
                client = watched.pop(number)
                if client.hung_up():
                    times.append(time.monotonic() - client.silent_since)
        ends = sum(in_time(taken, IDLE, LATE) for taken in times)
        span = f"{min(times):.2f} to {max(times):.2f} s" if times else "none ended"
        self.checks(
            ends == STALLED,
            f"{ends} of {STALLED} silent clients were timed out in time"
            f" ({span}; the limit is {IDLE:g} s)",
        )
        self.checks(
            good == rounds * len(self.active),
            f"it disturbed nobody: {len(self.active)} others got {rounds} messages each"
            " back meanwhile, byte for byte",
        )
        self.rows.append(("silent clients timed out", ends))

    def interrupt(self) -> None:
        ended = readable(client.socket.fileno() for client in self.active)
        self.checks(
            not ended, f"{len(self.active) - len(ended)} are connected; now Ctrl-C"
        )
        self.server.interrupt()
        cut_off = sum([client.hung_up() for client in self.active])
        self.checks(
            cut_off == len(self.active),
            f"it hung up on {cut_off} of {len(self.active)}",
        )
        status = self.server.wait()
        self.checks(status == INTERRUPTED, f"it ended by itself with status {status}")
        errors = self.server.errors.text()
        self.checks(
            errors == "echo_server: interrupted",
            "its stderr says that it was interrupted and nothing else",
        )
        self.rows.append(("cut off by Ctrl-C", cut_off))
        self.judge_summary(status)

    def judge_summary(self, status: int) -> None:
        served = self.server.output.wait_for(SERVED)
        compared = sum(client.compared for client in self.clients)
        self.checks(
            served.groups() == (str(CONNECTIONS), str(compared)),
            f"it counts {served[1]} connections and {served[2]} bytes,"
            " which is what the clients compared",
        )
        left = self.server.output.wait_for(LEFT)
        self.checks(
            left.groups() == ("0", "0", "0"),
            "no task, no descriptor and no byte is left over",
        )
        self.rows[:0] = [
            ("connections served", served[1]),
            ("bytes compared", compared),
        ]
        self.rows += [
            ("left over: tasks", left[1]),
            ("left over: descriptors", left[2]),
            ("left over: bytes", left[3]),
            ("exit status", status),
        ]

    def table(self) -> None:
        print(f"\n{'':36}{'C':>14}")
        for title, cell in self.rows:
            print(f"{title:36}{cell!s:>14}")


def allow_descriptors(count: int) -> None:
    """Raise this process's limit, which the server inherits.

    Raises:
        DemoError: we may not have that many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise DemoError(f"it takes {count} descriptors: raise `ulimit -n`")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def main() -> int:
    begin = time.monotonic()
    parser = argparse.ArgumentParser(description="The main job, in C.")
    built = ROOT / "build/examples/examples/c/echo_server"
    parser.add_argument("--server", type=Path, default=built, help="the program")
    program = parser.parse_args().server
    if not os.access(program, os.X_OK):
        sys.exit(f"{program} is missing; `make demo` makes it")
    checks = Checks()
    print(f"\nAn echo server in C, and {CONNECTIONS} clients that are not.")
    try:
        allow_descriptors(CONNECTIONS + 100)
        Story(program, checks).tell()
    except (DemoError, OSError, subprocess.SubprocessError) as error:
        checks(False, f"stopped by {type(error).__name__}: {error}")
    return checks.sum_up(begin)


if __name__ == "__main__":
    sys.exit(main())
