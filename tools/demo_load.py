"""The demo's load: keep-alive HTTP requests over some tens of raw sockets.

    python tools/demo_load.py PATH CONNECTIONS PORT [PORT ...]

It keeps its connections open and waits for orders on stdin, one a line: which of the
ports, and for how many seconds. It answers each with the number of requests and the
seconds that they took. Every connection has one request under way at any time (a
closed loop), and the client does as little as it can with each answer: the first one
is read as HTTP, and all others must be as long and begin like it.
"""

from __future__ import annotations

import re
import selectors
import socket
import sys
import time
from collections.abc import Iterator

BOUND = 10  # Seconds that a server may be silent.


class Client:
    """One connection, and how much of its answer is still to come."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=BOUND)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = request
        self.left = 0

    def first_answer(self) -> bytes:
        """Ask once and read the answer as HTTP."""
        self.socket.sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head = answer.index(b"\r\n\r\n") + 4
        length = re.search(rb"(?i)content-length: (\d+)", answer[:head])
        if length is None or not answer.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"the server answered {answer[:head]!r}")
        while len(answer) < head + int(length[1]):
            answer += self.receive()
        return answer

    def receive(self) -> bytes:
        data = self.socket.recv(1 << 16)
        if not data:
            raise SystemExit("the server closed a connection under load")
        return data


class Load:
    """The connections to one server."""

    def __init__(self, port: int, path: str, connections: int) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        self.clients = [Client(port, request) for _ in range(connections)]
        answers = [client.first_answer() for client in self.clients]
        self.length = len(answers[0])
        self.start = answers[0].split(b"\r\n")[0]
        self.selector = selectors.DefaultSelector()
        for client in self.clients:
            self.selector.register(client.socket, selectors.EVENT_READ, client)

    def run(self, seconds: float) -> tuple[int, float]:
        """Ask for that long; return the number of answers and the seconds taken."""
        requests = 0
        begin = time.perf_counter()
        end = begin + seconds
        for client in self.clients:
            client.left = self.length
            client.socket.sendall(client.request)
        under_way = len(self.clients)
        while under_way:
            go_on = time.perf_counter() < end
            for client in self.answered():
                requests += 1
                if go_on:
                    client.left = self.length
                    client.socket.sendall(client.request)
                else:
                    under_way -= 1
        return requests, time.perf_counter() - begin

    def answered(self) -> Iterator[Client]:
        """Read what has come; yield each client whose answer is complete."""
        ready = self.selector.select(BOUND)
        if not ready:
            raise SystemExit(f"no answer for {BOUND} s")
        for key, _ in ready:
            client: Client = key.data
            data = client.receive()
            begins = client.left == self.length
            if begins and not data.startswith(self.start[: len(data)]):
                raise SystemExit(f"the server answered {data[:100]!r}")
            client.left -= len(data)
            if client.left < 0:
                raise SystemExit("an answer was longer than the first one")
            if client.left == 0:
                yield client


def main() -> None:
    path, connections, *ports = sys.argv[1:]
    loads = [Load(int(port), path, int(connections)) for port in ports]
    print("ready", flush=True)
    for order in sys.stdin:
        which, seconds = order.split()
        requests, taken = loads[int(which)].run(float(seconds))
        print(requests, taken, flush=True)


if __name__ == "__main__":
    main()
