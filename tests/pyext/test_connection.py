"""The operations of sockets that make connections: `_accept` and `_connect`."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket as stdlib_socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from growth import open_descriptors

import ctrio
from ctrio._socket import _SocketType
from ctrio.socket import from_stdlib_socket
from ctrio.testing import assert_checkpoints, trio_test, wait_all_tasks_blocked

LOCALHOST = ("127.0.0.1", 0)


def ours(sock: stdlib_socket.socket) -> _SocketType:
    made = from_stdlib_socket(sock)
    assert isinstance(made, _SocketType)
    return made


@pytest.fixture
def listener() -> Iterator[_SocketType]:
    with stdlib_socket.create_server(LOCALHOST) as sock:
        yield ours(sock)


# Accepting.


@trio_test
async def test_accept_gives_a_descriptor_and_an_address(listener: _SocketType) -> None:
    with stdlib_socket.create_connection(listener.getsockname()) as client:
        with assert_checkpoints():
            number, address = await listener._accept()
        with stdlib_socket.socket(fileno=number) as server:
            assert address == client.getsockname() == server.getpeername()
            assert fcntl.fcntl(number, fcntl.F_GETFL) & os.O_NONBLOCK
            assert not os.get_inheritable(number)


@trio_test
async def test_accept_of_a_socket_that_does_not_listen_fails() -> None:
    with stdlib_socket.socket() as sock:
        with assert_checkpoints(), pytest.raises(OSError) as raised:
            await ours(sock)._accept()
        assert raised.value.errno == errno.EINVAL
        with pytest.raises(TypeError, match="positional argument"):
            ours(sock)._accept(1)  # type: ignore[call-arg]


@trio_test
async def test_a_cancelled_accept_leaves_the_connection(listener: _SocketType) -> None:
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(listener._accept)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with stdlib_socket.create_connection(listener.getsockname()):
        with ctrio.CancelScope() as scope:
            scope.cancel()
            await listener._accept()
        number, _ = await listener._accept()
        os.close(number)


@trio_test
async def test_a_connection_that_nobody_takes_is_closed(listener: _SocketType) -> None:
    before = open_descriptors()
    with stdlib_socket.create_connection(listener.getsockname()):
        async with ctrio.open_nursery() as nursery:
            # Somebody else can run: what has been accepted waits for its turn.
            nursery.start_soon(ctrio.lowlevel.checkpoint)
            accepting = listener._accept()
            accepting.send(None)
            assert len(open_descriptors() - before) == 2
            accepting.close()
            assert len(open_descriptors() - before) == 1


@trio_test
async def test_addresses_of_all_families_come_as_in_the_standard_library(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "socket")
    with stdlib_socket.socket(stdlib_socket.AF_UNIX) as raw:
        raw.bind(path)
        raw.listen()
        listener = ours(raw)
        for name in ("", b"\0ctrio-test-" + os.urandom(8), str(tmp_path / "client")):
            with stdlib_socket.socket(stdlib_socket.AF_UNIX) as client:
                if name:
                    client.bind(name)
                await ours(client)._connect(path)
                number, address = await listener._accept()
                with stdlib_socket.socket(fileno=number) as server:
                    assert address == name == server.getpeername()
    if stdlib_socket.has_ipv6:
        with stdlib_socket.create_server(
            ("::1", 0), family=stdlib_socket.AF_INET6
        ) as raw6:
            listener = ours(raw6)
            with stdlib_socket.socket(stdlib_socket.AF_INET6) as client:
                await ours(client)._connect(raw6.getsockname())
                number, address = await listener._accept()
                with stdlib_socket.socket(fileno=number) as server:
                    assert address == client.getsockname() == server.getpeername()


class Foreign(stdlib_socket.socket):
    """Says that it is of a family whose addresses only the standard library knows."""

    @property
    def family(self) -> Any:
        return 1234


@trio_test
async def test_connections_of_other_families_are_as_non_blocking_as_any(
    listener: _SocketType,
) -> None:
    address = listener.getsockname()
    listener._sock = foreign = Foreign(fileno=listener.detach())
    foreign.setblocking(False)
    accepted: list[tuple[int, Any]] = []

    async def accept() -> None:
        with assert_checkpoints():
            accepted.append(await listener._accept())

    before = open_descriptors()
    with foreign, stdlib_socket.socket() as client, stdlib_socket.socket() as second:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(accept)
            await wait_all_tasks_blocked()
            client.connect(address)
        [(number, peer)] = accepted
        assert peer == client.getsockname()
        assert fcntl.fcntl(number, fcntl.F_GETFL) & os.O_NONBLOCK
        assert not os.get_inheritable(number)
        os.close(number)
        second.connect(address)
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(ctrio.lowlevel.checkpoint)
            accepting = listener._accept()
            accepting.send(None)
            assert len(open_descriptors() - before) == 3
            accepting.close()
            assert len(open_descriptors() - before) == 2
    listener._sock = Wrong()  # type: ignore[assignment]
    with assert_checkpoints(), pytest.raises(TypeError):
        await listener._accept()


class Wrong:
    """No socket at all."""

    def _accept(self) -> int:
        return 5


# Connecting.


@trio_test
async def test_connect_takes_every_form_of_an_address(listener: _SocketType) -> None:
    host, port = listener.getsockname()
    forms: list[Any] = [(host, port), ("localhost", port), [host, port], ("", port)]
    for form in forms:
        with stdlib_socket.socket() as client:
            standard = stdlib_socket.socket()
            with standard:
                try:
                    standard.connect(form)
                except TypeError as exc:
                    with assert_checkpoints(), pytest.raises(TypeError) as raised:
                        await ours(client)._connect(form)
                    assert str(raised.value) == str(exc)
                    continue
            with assert_checkpoints():
                await ours(client)._connect(address=form)
            assert client.getpeername() == (host, port)


@trio_test
async def test_unix_names_outside_of_the_file_system_can_be_connected_to() -> None:
    name = b"\0ctrio-test-" + os.urandom(8)
    with stdlib_socket.socket(stdlib_socket.AF_UNIX) as raw:
        raw.bind(name)
        raw.listen()
        with stdlib_socket.socket(stdlib_socket.AF_UNIX) as client:
            with assert_checkpoints():
                await ours(client)._connect(name)
            assert client.getpeername() == name


BAD: list[tuple[stdlib_socket.AddressFamily, Any]] = [
    (stdlib_socket.AF_INET, ("127.0.0.1", 65536)),
    (stdlib_socket.AF_INET, ("127.0.0.1", -1)),
    (stdlib_socket.AF_INET, ("127.0.0.1", "80")),
    (stdlib_socket.AF_INET, ("127.0.0.1", 80, 0)),
    (stdlib_socket.AF_INET, ("1.2\0", 80)),
    (stdlib_socket.AF_INET, "127.0.0.1"),
    (stdlib_socket.AF_INET6, ("::1", 80, -1)),
    (stdlib_socket.AF_INET6, ("::1", 80, 1 << 20, 0)),
    (stdlib_socket.AF_INET6, ("::1", 80, 0, 0, 0)),
    (stdlib_socket.AF_UNIX, "x" * 200),
    (stdlib_socket.AF_UNIX, b"\0" + b"x" * 200),
    (stdlib_socket.AF_UNIX, "no\0where"),
    (stdlib_socket.AF_UNIX, ""),
    (stdlib_socket.AF_UNIX, b""),
    (stdlib_socket.AF_UNIX, "\ud800"),
    (stdlib_socket.AF_UNIX, 3),
]


@pytest.mark.parametrize(("family", "address"), BAD)
@trio_test
async def test_wrong_addresses_fail_like_the_standard_library_s(
    family: stdlib_socket.AddressFamily, address: Any
) -> None:
    with stdlib_socket.socket(family) as sock, pytest.raises(Exception) as standard:
        sock.setblocking(False)
        sock.connect(address)
    with stdlib_socket.socket(family) as sock:
        with assert_checkpoints(), pytest.raises(standard.type) as raised:
            await ours(sock)._connect(address)
        assert str(raised.value) == str(standard.value)


@trio_test
async def test_failures_of_connect_name_the_address_if_they_took_time(
    listener: _SocketType, tmp_path: Path
) -> None:
    address = listener.getsockname()
    listener.close()
    with stdlib_socket.socket() as sock:
        message = f"[Errno 111] Error connecting to {address!r}: Connection refused"
        with (
            assert_checkpoints(),
            pytest.raises(ConnectionRefusedError, match=f"^{re.escape(message)}$"),
        ):
            await ours(sock)._connect(address)
    with stdlib_socket.socket(stdlib_socket.AF_UNIX) as sock:
        message = r"^\[Errno 2\] No such file or directory$"
        with assert_checkpoints(), pytest.raises(FileNotFoundError, match=message):
            await ours(sock)._connect(str(tmp_path / "nobody"))
    with assert_checkpoints(), pytest.raises(OSError, match="Bad file descriptor"):
        await ours_closed()._connect(address)


def ours_closed() -> _SocketType:
    sock = _SocketType.__new__(_SocketType)
    sock._sock = stdlib_socket.socket()
    sock._sock.close()
    return sock


@trio_test
async def test_connecting_may_have_to_wait() -> None:
    # Room for one connection; the next one waits until it is accepted.
    with stdlib_socket.socket() as raw:
        raw.bind(LOCALHOST)
        raw.listen(0)
        listener = ours(raw)
        connected: list[int] = []

        async def connect(number: int) -> None:
            with stdlib_socket.socket() as client:
                await ours(client)._connect(raw.getsockname())
                connected.append(number)

        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(connect, 1)
            await wait_all_tasks_blocked()
            assert connected == [1]
            number, _ = await listener._accept()
            os.close(number)


@trio_test
async def test_closed_while_it_connects() -> None:
    with stdlib_socket.socket() as raw, stdlib_socket.socket() as blocker:
        raw.bind(LOCALHOST)
        raw.listen(0)
        blocker.connect(raw.getsockname())
        with stdlib_socket.socket() as waiting:
            client = ours(waiting)
            ends: list[str] = []

            async def connect() -> None:
                with pytest.raises(ctrio.ClosedResourceError, match="closed this fd"):
                    await client._connect(raw.getsockname())
                ends.append("closed")

            async with ctrio.open_nursery() as nursery:
                nursery.start_soon(connect)
                await wait_all_tasks_blocked()
                assert ends == []
                client.close()
            assert ends == ["closed"]


AUDIT = """
import socket
import sys
import ctrio
from ctrio.testing import assert_checkpoints

events = []
refuse = False

def hook(name, args):
    if name == "socket.connect":
        events.append(args)
        if refuse:
            raise PermissionError("refused")

sys.addaudithook(hook)

async def main():
    global refuse
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as raw:
        client = ctrio.socket.from_stdlib_socket(raw)
        refuse = True
        try:
            with assert_checkpoints():
                await client.connect(server.getsockname())
        except PermissionError as exc:
            assert str(exc) == "refused"
        else:
            raise AssertionError("the hook was not heard")
        refuse = False
        await client.connect(server.getsockname())
        assert events == [(raw, server.getsockname())] * 2, events

ctrio.run(main)
"""


def test_connecting_is_audited() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AUDIT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
