"""`SocketStream`, `SocketListener` and `StapledStream`."""

from __future__ import annotations

import errno

import pytest

import ctrio
import ctrio.testing
from ctrio import SocketListener, SocketStream, socket as tsocket
from ctrio.testing import (
    assert_checkpoints,
    memory_stream_one_way_pair,
    trio_test,
    wait_all_tasks_blocked,
)


def pair() -> tuple[SocketStream, SocketStream]:
    left, right = tsocket.socketpair()
    return SocketStream(left), SocketStream(right)


@trio_test
async def test_a_stream_wants_a_stream_socket() -> None:
    with pytest.raises(TypeError, match="SocketStream requires a Trio socket object"):
        SocketStream(3)  # type: ignore[arg-type]
    with tsocket.socket(type=tsocket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="requires a SOCK_STREAM socket"):
            SocketStream(sock)


@trio_test
async def test_bytes_go_through_to_the_end() -> None:
    left, right = pair()
    async with left, right:
        with assert_checkpoints():
            await left.send_all(b"x" * 10)
        with assert_checkpoints():
            await left.send_all(b"")
        with assert_checkpoints():
            assert await right.receive_some(4) == b"xxxx"
        assert await right.receive_some() == b"x" * 6
        with assert_checkpoints():
            await left.wait_send_all_might_not_block()
        with assert_checkpoints():
            await left.send_eof()
        with assert_checkpoints():
            await left.send_eof()
        assert await right.receive_some() == b""
        assert [chunk async for chunk in right] == []
        with pytest.raises(ctrio.ClosedResourceError, match="after sending EOF"):
            await left.send_all(b"x")
        with pytest.raises(ValueError, match="max_bytes must be >= 1"):
            await right.receive_some(0)
    with pytest.raises(ctrio.ClosedResourceError):
        await right.receive_some(1)
    with pytest.raises(ctrio.ClosedResourceError):
        await right.send_all(b"x")
    with pytest.raises(ctrio.ClosedResourceError):
        await right.send_eof()
    with assert_checkpoints():
        await right.aclose()


@trio_test
async def test_two_senders_are_one_too_many() -> None:
    left, right = pair()
    async with left, right:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(left.send_all, bytes(10_000_000))
            await wait_all_tasks_blocked()
            text = "another task is currently sending data on this SocketStream"
            with pytest.raises(ctrio.BusyResourceError, match=text):
                await left.send_eof()
            with pytest.raises(ctrio.BusyResourceError, match=text):
                await left.send_all(b"x")
            with pytest.raises(ctrio.BusyResourceError, match=text):
                await left.wait_send_all_might_not_block()
            nursery.cancel_scope.cancel()
        await left.send_eof()


@trio_test
async def test_nobody_sends_during_send_eof() -> None:
    left, right = pair()
    results: list[str] = []

    async def end() -> None:
        try:
            await left.send_eof()
        except ctrio.BusyResourceError:
            results.append("busy")
        else:
            results.append("sent")

    async with left, right:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(end)
            nursery.start_soon(end)
    assert sorted(results) == ["busy", "sent"]


@trio_test
async def test_a_peer_that_is_gone_breaks_the_stream() -> None:
    left, right = pair()
    async with left:
        await right.aclose()
        with pytest.raises(ctrio.BrokenResourceError) as caught:
            await left.send_all(b"x")
        assert isinstance(caught.value.__cause__, BrokenPipeError)
        assert str(caught.value).startswith("socket connection broken: ")


@trio_test
async def test_tcp_options_are_set_and_can_be_read() -> None:
    with tsocket.socket() as sock:
        stream = SocketStream(sock)
        assert stream.getsockopt(tsocket.IPPROTO_TCP, tsocket.TCP_NODELAY)
        if hasattr(tsocket, "TCP_NOTSENT_LOWAT"):
            low = stream.getsockopt(tsocket.IPPROTO_TCP, tsocket.TCP_NOTSENT_LOWAT)
            assert low == 2**14
        stream.setsockopt(tsocket.IPPROTO_TCP, tsocket.TCP_NODELAY, b"\0\0\0\0")
        raw = stream.getsockopt(tsocket.IPPROTO_TCP, tsocket.TCP_NODELAY, 4)
        assert raw == b"\0\0\0\0"
        with pytest.raises(TypeError, match="must not be None when specifying length"):
            stream.setsockopt(1, 2, None)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="must be None when specifying optlen"):
            stream.setsockopt(1, 2, 3, 4)  # type: ignore[call-overload]


@trio_test
async def test_a_listener_wants_a_listening_socket() -> None:
    with pytest.raises(TypeError, match="requires a Trio socket object"):
        SocketListener(3)  # type: ignore[arg-type]
    with tsocket.socket(type=tsocket.SOCK_DGRAM) as sock:
        with pytest.raises(ValueError, match="requires a SOCK_STREAM socket"):
            SocketListener(sock)
    with tsocket.socket() as sock:
        with pytest.raises(ValueError, match="requires a listening socket"):
            SocketListener(sock)


@trio_test
async def test_a_listener_accepts_until_it_is_closed() -> None:
    (listener,) = await ctrio.open_tcp_listeners(0, host="127.0.0.1")
    client = await ctrio.testing.open_stream_to_socket_listener(listener)
    with assert_checkpoints():
        server = await listener.accept()
    async with client, server:
        await client.send_all(b"x")
        assert await server.receive_some() == b"x"
    closed: list[str] = []

    async def accept() -> None:
        with pytest.raises(ctrio.ClosedResourceError):
            await listener.accept()
        closed.append("while waiting")

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(accept)
        await wait_all_tasks_blocked()
        with assert_checkpoints():
            await listener.aclose()
    assert closed == ["while waiting"]
    with pytest.raises(ctrio.ClosedResourceError):
        await listener.accept()


class Scripted(tsocket.SocketType):
    """A listening socket that accepts what it is told to."""

    type = tsocket.SOCK_STREAM
    family = tsocket.AF_INET

    def __init__(self, events: list[object]) -> None:
        super().__init__()
        self.events = events

    def getsockopt(self, *args: object) -> int:  # type: ignore[override]
        if args == (tsocket.SOL_SOCKET, tsocket.SO_ACCEPTCONN):
            return 1
        raise AssertionError

    def setsockopt(self, *args: object) -> None:  # type: ignore[override]
        pass

    async def accept(self) -> tuple[tsocket.SocketType, object]:
        await ctrio.lowlevel.checkpoint()
        event = self.events.pop(0)
        if isinstance(event, BaseException):
            raise event
        assert isinstance(event, Scripted)
        return event, None


@trio_test
async def test_a_lost_connection_is_skipped_and_a_lack_of_room_is_not() -> None:
    sock = Scripted([])
    lost = OSError(errno.ECONNABORTED, "lost")
    full = OSError(errno.EMFILE, "full")
    listener = SocketListener(Scripted([lost, OSError(errno.EPERM, ""), sock, full]))
    assert (await listener.accept()).socket is sock
    with pytest.raises(OSError) as caught:
        await listener.accept()
    assert caught.value is full


@trio_test
async def test_a_socket_of_another_make_will_do() -> None:
    sent: list[bytes] = []

    class Own(Scripted):
        did_shutdown_SHUT_WR = False

        def fileno(self) -> int:
            return 3

        async def send(self, data: object, flags: int = 0) -> int:  # type: ignore[override]
            await ctrio.lowlevel.checkpoint()
            sent.append(bytes(data)[:2])  # type: ignore[call-overload]
            return len(sent[-1])

        async def recv(self, size: int, flags: int = 0) -> bytes:  # type: ignore[override]
            await ctrio.lowlevel.checkpoint()
            if size == 1:
                raise OSError(errno.EBADF, "closed")
            raise OSError(errno.ECONNRESET, "reset")

    stream = SocketStream(Own([]))
    await stream.send_all(b"abcde")
    assert sent == [b"ab", b"cd", b"e"]
    with pytest.raises(ctrio.BrokenResourceError, match="socket connection broken"):
        await stream.receive_some()
    with pytest.raises(ctrio.ClosedResourceError, match="this socket was already"):
        await stream.receive_some(1)


@trio_test
async def test_stapled_streams_go_their_own_ways() -> None:
    send, far_receive = memory_stream_one_way_pair()
    far_send, receive = memory_stream_one_way_pair()
    stapled = ctrio.StapledStream(send, receive)
    assert stapled.send_stream is send
    assert stapled.receive_stream is receive
    assert repr(stapled).startswith("StapledStream(send_stream=<trio.testing.Memory")
    await stapled.send_all(b"to")
    await far_send.send_all(b"fro")
    await stapled.wait_send_all_might_not_block()
    assert await far_receive.receive_some() == b"to"
    assert await stapled.receive_some(2) == b"fr"
    await stapled.send_eof()  # closes: it has no send_eof of its own
    assert await far_receive.receive_some() == b""
    await stapled.aclose()
    with pytest.raises(ctrio.ClosedResourceError):
        await receive.receive_some()


@trio_test
async def test_a_stapled_stream_uses_send_eof_where_there_is_one() -> None:
    left, right = pair()
    _, receive = memory_stream_one_way_pair()
    stapled = ctrio.StapledStream(left, receive)
    await stapled.send_eof()
    assert await right.receive_some() == b""
    assert left.socket.fileno() != -1
    await stapled.aclose()
    await right.aclose()


@trio_test
async def test_closing_forcefully_does_not_wait() -> None:
    class Slow(ctrio.abc.AsyncResource):
        closed = False

        async def aclose(self) -> None:
            try:
                await ctrio.sleep_forever()
            finally:
                self.closed = True

    slow = Slow()
    with assert_checkpoints():
        await ctrio.aclose_forcefully(slow)
    assert slow.closed
