"""The example file server, run as its users run it and asked by other clients."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from c_programs import read_all
from python_programs import runner

PROGRAM = Path(__file__).parents[2] / "examples" / "python" / "file_server.py"
BOUND = 30  # No wait of these tests is longer; none of them comes near it.
BIG = 24 * 1024 * 1024  # More than the two socket buffers of a connection hold.


class Server:
    """The example in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [*runner(), str(PROGRAM), str(folder), "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.clients: list[http.client.HTTPConnection | socket.socket] = []
        self.summary = ""
        self.watchdog = threading.Timer(BOUND, self.process.kill)
        self.watchdog.start()
        found = re.search(r":(\d+)/$", self.line())
        if found is None:
            pytest.fail(f"the server did not start:\n{self.kill()}")
        self.port = int(found[1])

    def line(self) -> str:
        """Return the next line of the server's output; empty at its end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def client(self) -> http.client.HTTPConnection:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=BOUND)
        self.clients.append(client)
        return client

    def raw_client(self, data: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=BOUND)
        self.clients.append(client)
        client.sendall(data)
        return client

    def stop(self, signal_number: int = signal.SIGINT) -> tuple[str, str]:
        """Send the signal; return the line it answers with, and stderr to the end."""
        self.process.send_signal(signal_number)
        return self.line(), self.end()

    def end(self) -> str:
        """Wait until the server has ended by itself; keep its summary."""
        assert self.process.stdout is not None
        # communicate() passes over what readline() has read ahead.
        self.summary = self.process.stdout.read()
        errors = self.process.communicate(timeout=BOUND)[1]
        assert self.process.returncode == 0, errors
        return errors

    def kill(self) -> str:
        """End the server in any state; return what it had still to say on stderr."""
        for client in self.clients:
            client.close()
        self.watchdog.cancel()
        self.process.kill()
        return self.process.communicate()[1]


Start = Callable[..., Server]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside.txt").write_text("not yours")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "hello.txt").write_bytes(b"hello\n")
    (folder / "empty").write_bytes(b"")
    (folder / "big.bin").write_bytes(os.urandom(BIG))
    (folder / "a name & more.txt").write_bytes(b"blanks\n")
    (folder / "way out.txt").symlink_to(tmp_path / "outside.txt")
    return folder


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def start(*options: str) -> Server:
        servers.append(Server(folder, *options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def get(client: http.client.HTTPConnection, url: str) -> tuple[int, bytes]:
    client.request("GET", url)
    response = client.getresponse()
    return response.status, response.read()


def counts(server: Server) -> dict[str, int]:
    """Return the numbers of the server's last line by their names."""
    pairs = re.findall(r"([a-z][a-z ]*) (\d+)", server.summary)
    return {name: int(number) for name, number in pairs}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/hello.txt", "hello.txt"),
        ("/hello.txt?version=2", "hello.txt"),
        ("/empty", "empty"),
        ("/big.bin", "big.bin"),
        ("/a%20name%20%26%20more.txt", "a name & more.txt"),
    ],
)
def test_a_file_arrives_byte_for_byte(
    start: Start, folder: Path, url: str, name: str
) -> None:
    assert get(start().client(), url) == (200, (folder / name).read_bytes())


def test_one_connection_serves_many_requests(start: Start) -> None:
    client = start().client()
    assert get(client, "/hello.txt") == (200, b"hello\n")
    first_socket = client.sock
    for _ in range(10):
        assert get(client, "/hello.txt") == (200, b"hello\n")
    assert client.sock is first_socket


def test_requests_sent_together_are_answered_in_order(start: Start) -> None:
    head = "GET {} HTTP/1.1\r\nHost: here\r\n{}\r\n"
    both = head.format("/hello.txt", "") + head.format(
        "/empty", "Connection: close\r\n"
    )
    answer = read_all(start().raw_client(both.encode()))
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.index(b"hello\n") < answer.index(b"Content-Length: 0")


def test_head_answers_with_the_length_and_without_the_file(start: Start) -> None:
    client = start().client()
    client.request("HEAD", "/hello.txt")
    response = client.getresponse()
    assert (response.status, response.headers["Content-Length"]) == (200, "6")
    assert response.read() == b""
    assert get(client, "/hello.txt") == (200, b"hello\n")


@pytest.mark.parametrize(
    "url",
    [
        "/missing.txt",
        "/",
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "//../outside.txt",
        "/way%20out.txt",
        "/%00",
        "/" + "x" * 5000,
        "/__crash__",
    ],
)
def test_what_is_not_a_file_in_the_folder_is_not_found(start: Start, url: str) -> None:
    status, text = get(start().client(), url)
    assert (status, text) == (404, b"404 Not Found\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (
            b"PUT /hello.txt HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\n\r\nx",
            b"501",
        ),
        (b"not HTTP at all\r\n\r\n", b"400"),
    ],
)
def test_a_request_that_it_does_not_understand_is_refused(
    start: Start, request_bytes: bytes, status: bytes
) -> None:
    answer = read_all(start().raw_client(request_bytes))
    assert answer.startswith(b"HTTP/1.1 " + status)


def test_a_client_that_stalls_in_its_request_is_timed_out(start: Start) -> None:
    server = start("--timeout", "0.2")
    answer = read_all(server.raw_client(b"GET /hello.txt HTTP/1.1\r\nHost:"))
    assert answer.startswith(b"HTTP/1.1 408")
    assert answer.endswith(b"408 Request Timeout\n")
    server.stop()
    assert counts(server)["timed out"] == 1


def test_a_stall_after_a_head_request_is_answered_with_a_page(start: Start) -> None:
    server = start("--timeout", "0.2")
    request = b"HEAD /hello.txt HTTP/1.1\r\nHost: here\r\n\r\nGET /hello.txt"
    answer = read_all(server.raw_client(request))
    assert answer.endswith(b"408 Request Timeout\n")
    assert server.stop()[1] == ""


def test_an_idle_client_may_wait_longer_than_a_slow_one(start: Start) -> None:
    server = start("--timeout", "0.2", "--idle-timeout", "1000")
    idle = server.client()
    assert get(idle, "/hello.txt") == (200, b"hello\n")
    first_socket = idle.sock
    # That another client is timed out shows that the time is over.
    assert read_all(server.raw_client(b"GET /hello.txt")).startswith(b"HTTP/1.1 408")
    assert get(idle, "/hello.txt") == (200, b"hello\n")
    assert idle.sock is first_socket


def test_a_silent_client_is_hung_up_on_without_a_word(start: Start) -> None:
    server = start("--idle-timeout", "0.2")
    assert read_all(server.raw_client(b"")) == b""
    server.stop()
    assert counts(server)["timed out"] == 0


def test_a_client_that_does_not_take_its_file_is_timed_out(start: Start) -> None:
    server = start("--send-timeout", "0.2", "--grace", "1000")
    client = server.client()
    client.request("GET", "/big.bin")
    response = client.getresponse()
    server.stop()  # It ends at all only because of the timeout.
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()
    assert counts(server)["timed out"] == 1
    assert counts(server)["cut off"] == 0


def test_a_crash_ends_its_own_connection_and_is_reported_by_task(start: Start) -> None:
    server = start("--crash")
    before, crashing = server.client(), server.client()
    assert get(before, "/hello.txt") == (200, b"hello\n")
    assert get(crashing, "/__crash__") == (500, b"500 Internal Server Error\n")
    assert crashing.sock is None
    assert get(before, "/hello.txt") == (200, b"hello\n")
    _, errors = server.stop()
    assert errors.startswith("task 'connection 2' crashed at /__crash__\nTraceback")
    assert errors.endswith("RuntimeError: this URL crashes on purpose\n")
    assert counts(server)["crashed"] == 1


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_with_idle_clients(
    start: Start, signal_number: int
) -> None:
    server = start("--grace", "1000")
    idle, half = server.client(), server.client()
    for client in (idle, half):  # An answer shows that the connection was accepted.
        assert get(client, "/hello.txt") == (200, b"hello\n")
    half.sock.sendall(b"GET /half")
    line, errors = server.stop(signal_number)
    assert (line, errors) == ("stopping: 0 responses running", "")
    assert idle.sock.recv(1) == b""
    assert counts(server) == {
        "served": 2,
        "timed out": 0,
        "crashed": 0,
        "cut off": 0,
        "tasks": 0,
        "descriptors": 0,
    }


def test_a_running_response_is_finished_after_the_signal(
    start: Start, folder: Path
) -> None:
    server = start("--grace", "1000")
    client = server.client()
    client.request("GET", "/big.bin")
    response = client.getresponse()
    server.process.send_signal(signal.SIGINT)
    assert server.line() == "stopping: 1 responses running"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=BOUND)
    assert response.read() == (folder / "big.bin").read_bytes()
    assert server.end() == ""
    assert counts(server)["served"] == 1
    assert counts(server)["cut off"] == 0


def test_a_response_that_outlasts_the_grace_is_cut_off(start: Start) -> None:
    server = start("--grace", "0.2")
    client = server.client()
    client.request("GET", "/big.bin")
    response = client.getresponse()
    assert server.stop() == ("stopping: 1 responses running", "")
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()
    assert counts(server)["cut off"] == 1
    assert counts(server)["tasks"] == counts(server)["descriptors"] == 0
