"""The C echo server and its load, against each other and against raw sockets."""

from __future__ import annotations

import re
import socket

import pytest
from c_programs import BOUND, Peer, read_all, run, serving

AUDIT = "left over: tasks 0, descriptors 0, bytes 0"


def exchange(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    parts = b""
    while len(parts) < len(data):
        part = client.recv(1 << 16)
        if not part:
            break
        parts += part
    return parts


def test_many_connections_get_their_own_bytes_back() -> None:
    with serving("echo_server", "--audit", "127.0.0.1", 0) as server:
        clients = [server.client() for _ in range(200)]
        for turn in range(3):
            sent = [f"{turn} of {number}\n".encode() * 9 for number in range(200)]
            for client, data in zip(clients, sent, strict=True):
                client.sendall(data)
            for client, data in zip(clients, sent, strict=True):
                assert client.recv(len(data), socket.MSG_WAITALL) == data
        for client in clients[::2]:
            client.close()
        status, output, errors = server.stop()
        for client in clients[1::2]:
            assert read_all(client) == b""
            client.close()
    assert (status, errors) == (130, "echo_server: interrupted\n")
    assert "served: connections 200," in output
    assert AUDIT in output


def test_the_end_of_what_a_client_sends_ends_its_echo() -> None:
    with serving("echo_server", "127.0.0.1", 0) as server:
        client = server.client()
        client.sendall(b"all of it")
        client.shutdown(socket.SHUT_WR)
        with client:
            assert read_all(client) == b"all of it"


def test_a_megabyte_that_nobody_reads_meanwhile_comes_back_whole() -> None:
    data = bytes(range(256)) * 4096
    with serving("echo_server", "127.0.0.1", 0) as server, server.client() as client:
        assert exchange(client, data) == data


def test_a_silent_client_is_hung_up_on_and_others_are_not() -> None:
    with serving("echo_server", "--audit", "127.0.0.1", 0, 0.2) as server:
        silent = server.client()
        assert exchange(silent, b"half a") == b"half a"
        assert read_all(silent) == b""
        with server.client() as other:
            assert exchange(other, b"word") == b"word"
        silent.close()
        assert AUDIT in server.stop()[1]


def test_a_client_that_resets_is_nothing_to_speak_of() -> None:
    with serving("echo_server", "--audit", "127.0.0.1", 0) as server:
        client = server.client()
        assert exchange(client, b"word") == b"word"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        with server.client() as other:
            assert exchange(other, b"word") == b"word"
        status, output, errors = server.stop()
    assert (status, errors) == (130, "echo_server: interrupted\n")
    assert AUDIT in output


def test_a_port_that_is_taken_is_told_with_what_to_do() -> None:
    with serving("echo_server", "127.0.0.1", 0) as server:
        second = run("echo_server", "127.0.0.1", server.port)
    assert second.returncode == 1
    assert f"port {server.port} is taken: name another" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["127.0.0.1", "65536"], "65536: not a number from 0 to 65535"),
        (["127.0.0.1", "0", "soon"], "soon: not a number"),
        (["--tls"], "--tls: no such option"),
        (["127.0.0.1", "0", "1", "2"], "2: one argument too many"),
    ],
)
def test_what_it_does_not_understand_ends_it_with_the_usage(
    arguments: list[str], why: str
) -> None:
    done = run("echo_server", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(why)
    assert "usage: echo_server" in done.stderr


def test_the_load_prints_a_rate_and_percentiles() -> None:
    with serving("echo_server", "--audit", "127.0.0.1", 0) as server:
        done = run("echo_load", "127.0.0.1", server.port, 20, 0.3, 100)
        output = server.stop()[1]
    assert (done.returncode, done.stderr) == (0, "")
    found = re.fullmatch(
        r"20 connections, 100 bytes each way, 0\.3 s\n"
        r"echoes (\d+), a second (\d+)\n"
        r"p50 ([\d.]+) us, p99 ([\d.]+) us\n",
        done.stdout,
    )
    assert found is not None
    echoes = int(found[1])
    assert echoes > 0
    assert f"connections 20, bytes {echoes * 100}\n" in output
    assert 0 < float(found[3]) <= float(found[4])


class Swapping(Peer):
    """Gives back other bytes than it got."""

    def serve(self, connection: socket.socket, number: int) -> None:
        while data := connection.recv(1 << 16):
            connection.sendall(data[::-1])


class Silent(Peer):
    """Reads a little and hangs up."""

    def serve(self, connection: socket.socket, number: int) -> None:
        connection.recv(1)


def test_the_load_finds_an_echo_of_other_bytes() -> None:
    with Swapping() as peer:
        done = run("echo_load", "127.0.0.1", peer.port, 1, BOUND, 50)
    assert done.returncode == 1
    assert "connection 0: other bytes came back" in done.stderr


def test_the_load_says_that_the_server_has_hung_up() -> None:
    with Silent() as peer:
        done = run("echo_load", "127.0.0.1", peer.port, 3, BOUND)
    assert done.returncode == 1
    assert "the server hung up" in done.stderr


def test_the_load_says_that_there_is_no_server() -> None:
    with (
        socket.socket() as bound
    ):  # Bound and not listening: the port is nobody else's.
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        done = run("echo_load", "127.0.0.1", port, 3)
    assert done.returncode == 1
    assert f"nobody listens on port {port}" in done.stderr
