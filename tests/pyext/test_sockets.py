"""`trio.socket`: what is Python in it, and that the rest works through it."""

from __future__ import annotations

import errno
import os
import socket as stdlib_socket
from pathlib import Path

import pytest

import ctrio
from ctrio import socket as tsocket
from ctrio._socket import _resolve_address_nocp, _SocketType, _try_sync
from ctrio.testing import (
    assert_checkpoints,
    assert_no_checkpoints,
    trio_test,
    wait_all_tasks_blocked,
)

LOCALHOST = ("127.0.0.1", 0)


def _real(sock: tsocket.SocketType) -> _SocketType:
    assert isinstance(sock, _SocketType)
    return sock


@trio_test
async def test_a_call_that_does_not_block_is_a_checkpoint() -> None:
    with assert_checkpoints():
        async with _try_sync():
            pass
    with assert_checkpoints():
        with pytest.raises(KeyError):
            async with _try_sync():
                raise KeyError
    async with _try_sync():
        raise BlockingIOError
    async with _try_sync(lambda exc: isinstance(exc, KeyError)):
        raise KeyError


def test_host_names_are_encoded_by_idna_2008() -> None:
    encode = ctrio.lowlevel.encode_hostname
    assert encode("::1") == b"::1"
    assert encode("ASCII.example") == b"ASCII.example"
    assert encode("Straße.de") == b"xn--strae-oqa.de"


class Resolver(ctrio.abc.HostnameResolver):
    """Knows everything, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: object,
        port: object,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> list[object]:
        self.asked.append((host, port, family, type, proto, flags))
        address = ("::2", 80, 0, 0) if family == tsocket.AF_INET6 else ("1.2.3.4", 80)
        return [(family, type, proto, "", address)]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:  # type: ignore[override]
        self.asked.append((sockaddr, flags))
        return ("name", "port")


@pytest.fixture
def resolver() -> Resolver:
    return Resolver()


@trio_test
async def test_names_go_to_the_resolver_and_numbers_do_not(resolver: Resolver) -> None:
    assert tsocket.set_custom_hostname_resolver(resolver) is None
    with assert_checkpoints():
        (found,) = await tsocket.getaddrinfo(
            "127.0.0.1", "80", type=tsocket.SOCK_STREAM
        )
    assert found[4] == ("127.0.0.1", 80)
    assert resolver.asked == []
    assert (await tsocket.getaddrinfo("ü.example", 80))[0][4] == ("1.2.3.4", 80)
    assert resolver.asked.pop() == (b"xn--tda.example", 80, 0, 0, 0, 0)
    assert await tsocket.getnameinfo(("127.0.0.1", 80), 0) == ("name", "port")
    assert tsocket.set_custom_hostname_resolver(None) is resolver


@trio_test
async def test_without_a_resolver_a_thread_asks_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def getaddrinfo(host: object, port: int, *args: object) -> object:
        if host == b"name.invalid":
            return ["answer", *args]
        raise stdlib_socket.gaierror(stdlib_socket.EAI_NONAME, "no name")

    monkeypatch.setattr(stdlib_socket, "getaddrinfo", getaddrinfo)
    answer = await tsocket.getaddrinfo("name.invalid", 80, 1, 2, 3, 4)
    assert answer == ["answer", 1, 2, 3, 4]
    with pytest.raises(stdlib_socket.gaierror):
        await tsocket.getaddrinfo("unknown.invalid", 80)
    name, port = await tsocket.getnameinfo(
        ("127.0.0.1", 80), tsocket.NI_NUMERICHOST | tsocket.NI_NUMERICSERV
    )
    assert (name, port) == ("127.0.0.1", "80")
    assert await tsocket.getprotobyname("tcp") == tsocket.IPPROTO_TCP


@trio_test
async def test_addresses_are_resolved_only_if_there_is_need(resolver: Resolver) -> None:
    tsocket.set_custom_hostname_resolver(resolver)
    v4, v6 = tsocket.AF_INET, tsocket.AF_INET6

    async def resolve(
        family: int, address: object, *, local: bool = False, v6only: bool = False
    ) -> object:
        return await _resolve_address_nocp(
            tsocket.SOCK_STREAM,
            family,
            0,
            ipv6_v6only=v6only,
            address=address,
            local=local,
        )

    with assert_no_checkpoints():
        assert await resolve(v4, ("1.1.1.1", 5)) == ("1.1.1.1", 5)
        assert await resolve(v6, ("::1", 5, 1, 2)) == ("::1", 5, 1, 2)
        assert await resolve(tsocket.AF_UNIX, Path("/x")) == "/x"
        assert await resolve(-1, "whatever") == "whatever"
    assert resolver.asked == []
    assert await resolve(v4, ("name", 80)) == ("1.2.3.4", 80)
    assert await resolve(v6, ("name", 80, 7)) == ("::2", 80, 7, 0)
    assert await resolve(v6, ("name", 80, 7, 8), v6only=True) == ("::2", 80, 7, 8)
    flags = [asked[-1] for asked in resolver.asked]  # type: ignore[index]
    assert flags == [0, tsocket.AI_V4MAPPED, 0]
    assert await resolve(v4, ("", 80), local=True) == ("0.0.0.0", 80)
    assert await resolve(v4, ("<broadcast>", 80)) == ("255.255.255.255", 80)
    for family, bad in ((v4, ("1.1.1.1",)), (v4, "1.1.1.1"), (v6, ("::1",)), (v6, 1)):
        with pytest.raises(ValueError, match="address should be a"):
            await resolve(family, bad)
    # The system would look at what is in front of the NUL only.
    with assert_no_checkpoints(), pytest.raises(ValueError, match="null character"):
        await resolve(v4, ("127.0.0.1\0.example", 80))


def test_the_type_is_abstract() -> None:
    with pytest.raises(TypeError, match="SocketType is an abstract class"):
        tsocket.SocketType()
    with pytest.raises(TypeError, match="expected object of type 'socket.socket', not"):
        tsocket.from_stdlib_socket(3)  # type: ignore[arg-type]


@trio_test
async def test_sockets_come_from_everywhere() -> None:
    with tsocket.socket(tsocket.AF_INET, tsocket.SOCK_DGRAM) as sock:
        assert (sock.family, sock.type) == (tsocket.AF_INET, tsocket.SOCK_DGRAM)
        assert _real(sock)._sock.gettimeout() == 0
        with sock.dup() as twin, tsocket.fromfd(sock.fileno()) as third:
            assert twin.fileno() != sock.fileno()
            assert third.type == tsocket.SOCK_DGRAM  # not what the default says
    assert sock.fileno() == -1
    sock.close()  # once more
    left, right = tsocket.socketpair()
    with left, tsocket.socket(fileno=right.detach()) as again:
        assert right.fileno() == -1
        assert again.family == tsocket.AF_UNIX
        await left.send(b"x")
        assert again.is_readable()
        assert await again.recv(10) == b"x"
        assert not again.is_readable()
    assert repr(left).startswith("<trio.socket.socket [closed] fd=-1")


@trio_test
async def test_a_factory_may_make_them() -> None:
    class Own(tsocket.SocketType):
        def __init__(self, *args: object) -> None:
            super().__init__()
            self.args = args

    class Factory(ctrio.abc.SocketFactory):
        def socket(self, *args: object) -> Own:  # type: ignore[override]
            return Own(*args)

    factory = Factory()
    assert tsocket.set_custom_socket_factory(factory) is None
    made = tsocket.socket(1, 2, 3)
    assert isinstance(made, Own)
    assert made.args == (1, 2, 3)
    assert tsocket.set_custom_socket_factory(None) is factory
    with pytest.raises(NotImplementedError):
        made.fileno()


@trio_test
async def test_options_are_checked() -> None:
    with tsocket.socket() as sock:
        sock.setsockopt(tsocket.SOL_SOCKET, tsocket.SO_REUSEADDR, 1)
        assert sock.getsockopt(tsocket.SOL_SOCKET, tsocket.SO_REUSEADDR) == 1
        raw = sock.getsockopt(tsocket.SOL_SOCKET, tsocket.SO_REUSEADDR, 4)
        assert len(raw) == 4
        with pytest.raises(TypeError, match="must not be None when specifying optlen"):
            sock.setsockopt(1, 2, None)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="must be None when specifying optlen"):
            sock.setsockopt(1, 2, b"x", 3)  # type: ignore[call-overload]
        sock.set_inheritable(True)
        assert sock.get_inheritable()


@trio_test
async def test_tcp_from_end_to_end() -> None:
    with tsocket.socket() as listener, tsocket.socket() as client:
        with assert_checkpoints():
            await listener.bind(LOCALHOST)
        listener.listen(5)
        with assert_checkpoints():
            await client.connect(listener.getsockname())
        with assert_checkpoints():
            server, address = await listener.accept()
        assert address == client.getsockname() == server.getpeername()
        assert _real(server)._sock.gettimeout() == 0
        assert not os.get_blocking(server.fileno())
        assert (server.family, server.type) == (client.family, client.type)
        buffer = bytearray(10)
        with server:
            with assert_checkpoints():
                assert await client.send(b"abc") == 3
            with assert_checkpoints():
                assert await server.recv_into(buffer) == 3
            assert buffer[:3] == b"abc"
            assert not client.did_shutdown_SHUT_WR
            client.shutdown(tsocket.SHUT_WR)
            assert client.did_shutdown_SHUT_WR
            assert await server.recv(10) == b""
            await server.wait_writable()


@trio_test
async def test_accept_waits_for_a_connection() -> None:
    accepted: list[object] = []

    async def accept(listener: tsocket.SocketType) -> None:
        sock, _ = await listener.accept()
        accepted.append(sock)
        sock.close()

    with tsocket.socket() as listener, tsocket.socket() as client:
        await listener.bind(LOCALHOST)
        listener.listen()
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(accept, listener)
            await wait_all_tasks_blocked()
            assert not accepted
            await client.connect(listener.getsockname())
    assert len(accepted) == 1


@trio_test
async def test_what_accept_cannot_wrap_it_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = stdlib_socket.socket
    descriptors: list[int] = []

    def refuse(*args: object, fileno: int) -> None:
        descriptors.append(fileno)
        raise MemoryError

    with tsocket.socket() as listener, tsocket.socket() as client:
        await listener.bind(LOCALHOST)
        listener.listen()
        await client.connect(listener.getsockname())
        monkeypatch.setattr(stdlib_socket, "socket", refuse)
        with pytest.raises(MemoryError):
            await listener.accept()
        monkeypatch.setattr(stdlib_socket, "socket", real)
    with pytest.raises(OSError) as caught:
        os.fstat(descriptors[0])
    assert caught.value.errno == errno.EBADF


@trio_test
async def test_a_connection_that_fails_says_what_to() -> None:
    with tsocket.socket() as free:
        await free.bind(LOCALHOST)
        address = free.getsockname()  # bound, and nobody listens
        with tsocket.socket() as client:
            with pytest.raises(ConnectionRefusedError) as caught:
                await client.connect(address)
            assert client.fileno() != -1
    assert caught.value.errno == errno.ECONNREFUSED


@trio_test
async def test_cancelled_while_connecting_the_socket_is_closed() -> None:
    with tsocket.socket() as sock:
        with ctrio.CancelScope() as scope:
            scope.cancel()
            await sock.connect(("127.0.0.1", 9))
        assert scope.cancelled_caught
        assert sock.fileno() == -1


@trio_test
async def test_a_socket_with_a_connect_of_its_own() -> None:
    class Foreign(stdlib_socket.socket):
        def connect(self, address: object) -> None:
            raise BlockingIOError

    with tsocket.socket() as sock:
        ours = _real(sock)
        ours._sock.close()
        ours._sock = Foreign(tsocket.AF_UNIX)
        left, right = stdlib_socket.socketpair()
        with left, right:
            os.dup2(left.fileno(), sock.fileno())
            await sock.connect("anywhere")


@trio_test
async def test_datagrams_of_every_kind() -> None:
    datagrams = tsocket.SOCK_DGRAM
    with (
        tsocket.socket(type=datagrams) as left,
        tsocket.socket(type=datagrams) as right,
    ):
        await left.bind(LOCALHOST)
        await right.bind(LOCALHOST)
        there, here = right.getsockname(), left.getsockname()
        buffer = bytearray(10)
        assert await left.sendto(b"one", there) == 3
        assert await right.recvfrom(10) == (b"one", here)
        assert await left.sendto(b"two", 0, there) == 3
        assert await right.recvfrom_into(buffer) == (3, here)
        assert await left.sendmsg([b"thr", b"ee"], (), 0, there) == 5
        assert (await right.recvmsg(10))[0] == b"three"
        await left.connect(there)
        assert await left.sendmsg([b"four"]) == 4
        assert (await right.recvmsg_into([buffer]))[0] == 4
        with pytest.raises(TypeError):
            await left.sendto(b"x", 0, 0, there)  # type: ignore[call-overload]


@trio_test
async def test_receiving_waits_and_can_be_ended_by_closing() -> None:
    ended: list[type[BaseException]] = []

    async def receive(sock: tsocket.SocketType) -> None:
        with pytest.raises(ctrio.ClosedResourceError) as caught:
            await sock.recvfrom(10)
        ended.append(caught.type)

    with tsocket.socket(type=tsocket.SOCK_DGRAM) as sock:
        await sock.bind(LOCALHOST)
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(receive, sock)
            await wait_all_tasks_blocked()
            sock.close()
    assert ended == [ctrio.ClosedResourceError]


@trio_test
async def test_unix_sockets_take_paths(tmp_path: Path) -> None:
    with tsocket.socket(tsocket.AF_UNIX) as listener:
        with assert_checkpoints():
            await listener.bind(tmp_path / "sock")
        listener.listen()
        with tsocket.socket(tsocket.AF_UNIX) as client:
            await client.connect(tmp_path / "sock")
    with tsocket.socket(tsocket.AF_UNIX) as abstract:
        with assert_checkpoints():
            await abstract.bind(f"\0{tmp_path}")


def test_closing_closes_even_without_a_run_that_waits_for_it() -> None:
    async def main() -> tsocket.SocketType:
        left, right = tsocket.socketpair()
        right.close()
        return left

    left = ctrio.run(main)
    stdlib = _real(left)._sock
    stdlib.close()
    assert left.fileno() == -1
    left.close()
