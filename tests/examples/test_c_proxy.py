"""The C proxy between raw sockets: half-close both ways, and one end's failure."""

from __future__ import annotations

import socket
import struct

import pytest
from c_programs import BOUND, Peer, hung_up, read_all, serving

BIG = bytes(range(256)) * 8192  # More than the buffers on the way hold.


class Upstream(Peer):
    """Reads to the end, then answers with what it got."""

    def serve(self, connection: socket.socket, number: int) -> None:
        self.got = read_all(connection)
        connection.sendall(b"got " + self.got)


class EndsFirst(Peer):
    """Says everything it has to say and ends that; then listens."""

    def serve(self, connection: socket.socket, number: int) -> None:
        connection.sendall(b"all that I say")
        connection.shutdown(socket.SHUT_WR)
        self.got = read_all(connection)


class Resets(Peer):
    """Breaks the connection off once something has come."""

    def serve(self, connection: socket.socket, number: int) -> None:
        connection.recv(1)
        option = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)


class Sink(Peer):
    """Reads to the end and says nothing."""

    def serve(self, connection: socket.socket, number: int) -> None:
        read_all(connection)


@pytest.mark.parametrize("data", [b"", b"a word", BIG], ids=["none", "word", "big"])
def test_the_end_of_what_the_client_sends_reaches_the_server(data: bytes) -> None:
    with Upstream() as peer:
        with serving("proxy", "127.0.0.1", 0, "127.0.0.1", peer.port) as proxy:
            with proxy.client() as client:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                assert read_all(client) == b"got " + data
            assert proxy.stop() == (130, "", "proxy: interrupted\n")
    assert peer.got == data


def test_the_end_of_what_the_server_sends_reaches_the_client() -> None:
    with EndsFirst() as peer:
        with serving("proxy", "127.0.0.1", 0, "127.0.0.1", peer.port) as proxy:
            with proxy.client() as client:
                assert read_all(client) == b"all that I say"
                client.sendall(BIG)  # The other direction goes on.
            peer.threads[-1].join(BOUND)
    assert peer.got == BIG


def test_a_server_that_breaks_off_ends_the_clients_side_too() -> None:
    with Resets() as peer:
        with serving("proxy", "127.0.0.1", 0, "127.0.0.1", peer.port) as proxy:
            with proxy.client() as client:
                client.sendall(b"x")
                assert hung_up(client)
            status, _, errors = proxy.stop()
    assert (status, errors) == (130, "proxy: interrupted\n")


def test_a_server_that_is_not_there_is_logged_and_the_proxy_goes_on() -> None:
    with Sink() as peer:
        port = peer.port
    with serving("proxy", "127.0.0.1", 0, "127.0.0.1", port) as proxy:
        for _ in range(2):
            with proxy.client() as client:
                assert client.recv(1) == b""
        status, _, errors = proxy.stop()
    assert status == 130
    assert errors.count("Connection refused") == 2
    assert f"port {port}" in errors


def test_an_interrupt_ends_both_sides_of_what_is_open() -> None:
    with Sink() as peer:  # Its thread ends only with its connection.
        with serving("proxy", "127.0.0.1", 0, "127.0.0.1", peer.port) as proxy:
            with proxy.client() as client:
                client.sendall(b"x")
                assert proxy.stop() == (130, "", "proxy: interrupted\n")
                assert hung_up(client)
