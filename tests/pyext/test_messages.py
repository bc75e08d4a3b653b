"""The operations of sockets for messages: `recvfrom`, `recvmsg`, `sendto`, `sendmsg`.

What they take is in test_message_arguments.py, and what comes with a message besides
its bytes in test_ancillary.py.
"""

from __future__ import annotations

import array
import errno
import gc
import socket as stdlib_socket
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from datagrams import DATAGRAMS, Pair, ours

import ctrio
from ctrio import socket as tsocket
from ctrio._socket import _SocketType
from ctrio.testing import (
    assert_checkpoints,
    assert_no_checkpoints,
    trio_test,
    wait_all_tasks_blocked,
)


def fill(sock: _SocketType) -> int:
    """Send until the next datagram would have to wait; tell how many there were."""
    count = 0
    try:
        while True:
            sock._sock.send(b"filler")
            count += 1
    except BlockingIOError:
        return count


# Datagrams.


@trio_test
async def test_a_datagram_comes_with_the_address_of_who_sent_it(bound: Pair) -> None:
    left, right = bound
    here, there = left.getsockname(), right.getsockname()
    buffer, rest = bytearray(3), bytearray(9)
    with assert_checkpoints():
        assert await left.sendto(b"first", there) == 5
    with assert_checkpoints():
        assert await right.recvfrom(100) == (b"first", here)
    with assert_checkpoints():
        assert await left.sendto(array.array("B", b"second"), 0, there) == 6
    with assert_checkpoints():
        assert await right.recvfrom_into(rest) == (6, here)
    assert rest[:6] == b"second"
    with assert_checkpoints():
        assert await left.sendmsg([b"th", bytearray(b"ird")], (), 0, there) == 5
    with assert_checkpoints():
        assert await right.recvmsg(100) == (b"third", [], 0, here)
    assert await left.sendto(b"fourth", there) == 6
    with assert_checkpoints():
        assert await right.recvmsg_into([buffer, rest]) == (6, [], 0, here)
    assert buffer + rest[:3] == b"fourth"


@trio_test
async def test_names_of_unix_sockets_come_as_in_the_standard_library(
    tmp_path: Path,
) -> None:
    names: list[Any] = [str(tmp_path / "a"), b"\0ctrio-test-" + tmp_path.name.encode()]
    for name in names:
        with (
            stdlib_socket.socket(stdlib_socket.AF_UNIX, DATAGRAMS) as raw,
            stdlib_socket.socket(stdlib_socket.AF_UNIX, DATAGRAMS) as nameless,
        ):
            raw.bind(name)
            sock, sender = ours(raw), ours(nameless)
            form = Path(name) if isinstance(name, str) else name
            assert await sender.sendto(b"to a path", form) == 9
            assert await sock.recvfrom(100) == (b"to a path", None)
            assert await sock.sendmsg([b"to ", b"itself"], (), 0, name) == 9
            assert await sock.recvmsg(100) == (b"to itself", [], 0, name)


@trio_test
async def test_a_datagram_of_no_bytes_is_one(pair: Pair) -> None:
    left, right = pair
    await left.sendmsg([])
    await left.send(b"one")
    assert await right.recvmsg(10) == (b"", [], 0, None)
    # To ask for nothing takes one away, as the system has it.
    assert await right.recvfrom(0) == (b"", None)
    await left.send(b"two")
    assert await right.recvfrom_into(bytearray()) == (0, None)
    assert fill(left) > 0


@trio_test
async def test_what_does_not_fit_is_lost_and_the_flags_say_so(pair: Pair) -> None:
    left, right = pair
    cut = stdlib_socket.MSG_TRUNC
    buffers = [bytearray(2), bytearray(1)]
    for _ in range(5):
        await left.send(b"0123456789")
    assert await right.recvmsg(4) == (b"0123", [], cut, None)
    assert await right.recvmsg_into(buffers) == (3, [], cut, None)
    assert buffers == [b"01", b"2"]
    assert await right.recvmsg(4, 0, cut) == (b"0123", [], cut, None)
    assert await right.recvmsg_into(buffers, 0, cut) == (10, [], cut, None)
    assert await right.recvfrom_into(buffers[0], 1, cut) == (10, None)
    assert fill(left) > 0  # none is left


@trio_test
async def test_large_ones_and_many_buffers_are_no_different(pair: Pair) -> None:
    left, right = pair
    left._sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_SNDBUF, 1 << 18)
    for size in (60_000, 100_000, 3, 20_000, 0):  # those after large ones differ inside
        data = bytes(range(250)) * (size // 250 + 1)
        await left.sendmsg([data[:7], data[7:size]])
        assert await right.recvfrom(200_000) == (data[: max(size, 7)], None)
        await left.sendmsg([data[:7], data[7:size]])
        assert (await right.recvmsg(65_536))[0] == data[: max(size, 7)][:65_536]
    pieces = [bytes([number]) for number in range(100)]
    buffers = [bytearray(1) for _ in pieces]
    assert await left.sendmsg(pieces) == 100
    assert await right.recvmsg_into(iter(buffers)) == (100, [], 0, None)
    assert buffers == pieces
    with pytest.raises(OSError) as caught:
        await left.sendmsg([b""] * 2000)
    assert caught.value.errno == errno.EMSGSIZE


@trio_test
async def test_streams_have_messages_too() -> None:
    left, right = stdlib_socket.socketpair()
    with left, right:
        sock, peer = ours(left), ours(right)
        assert await sock.sendmsg([b"ab", b"cd"]) == 4
        assert await peer.recvfrom(3) == (b"abc", None)
        assert await peer.recvmsg(3, 100) == (b"d", [], 0, None)
        with assert_checkpoints(), pytest.raises(OSError) as caught:
            await sock.sendto(b"x", "somewhere")
        assert caught.value.errno == errno.EISCONN
        left.close()
        assert await peer.recvfrom(3) == (b"", None)
        assert await peer.recvmsg_into([bytearray(1)]) == (0, [], 0, None)
        with assert_checkpoints(), pytest.raises(BrokenPipeError):
            await peer.sendmsg([b"x"])


# Waiting.


RECEIVES: dict[str, Callable[[_SocketType], Awaitable[Any]]] = {
    "recvfrom": lambda sock: sock.recvfrom(10),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(10)),
    "recvmsg": lambda sock: sock.recvmsg(10, 100),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(10)]),
}
SENDS: dict[str, Callable[[_SocketType], Awaitable[int]]] = {
    "sendmsg": lambda sock: sock.sendmsg([b"wa", b"ited"]),
    # A generator can be read once only: Trio sends nothing then.
    "sendmsg of a generator": lambda sock: sock.sendmsg(x for x in (b"wa", b"ited")),
}


@pytest.mark.parametrize("receive", RECEIVES.values(), ids=RECEIVES)
@trio_test
async def test_a_cancelled_receive_has_taken_nothing(
    receive: Callable[[_SocketType], Awaitable[Any]], pair: Pair
) -> None:
    left, right = pair
    with ctrio.CancelScope() as scope:
        await left.send(b"waiting")
        scope.cancel()
        await receive(right)
    assert scope.cancelled_caught
    assert await right.recv(10) == b"waiting"
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(receive, right)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        left._sock.send(b"too late")
    assert await right.recv(10) == b"too late"


@pytest.mark.parametrize("receive", RECEIVES.values(), ids=RECEIVES)
@trio_test
async def test_a_receive_waits_for_what_it_asks_for(
    receive: Callable[[_SocketType], Awaitable[Any]], pair: Pair
) -> None:
    left, right = pair
    ended: list[object] = []

    async def child() -> None:
        with assert_checkpoints():
            ended.append((await receive(right))[0])

    async def closed() -> None:
        with pytest.raises(ctrio.ClosedResourceError, match="closed this fd"):
            await receive(right)
        ended.append("closed")

    for _ in range(2):
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(child)
            await wait_all_tasks_blocked()
            assert not ended
            with pytest.raises(ctrio.BusyResourceError, match="already reading"):
                await receive(right)
            await left.send(b"awaited")
        assert ended.pop() in (b"awaited", 7)
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(closed)
        await wait_all_tasks_blocked()
        right.close()
    assert ended == ["closed"]


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
@trio_test
async def test_a_send_waits_for_room_and_then_sends_everything(
    send: Callable[[_SocketType], Awaitable[int]], pair: Pair
) -> None:
    left, right = pair
    sent: list[int] = []

    async def child() -> None:
        with assert_checkpoints():
            sent.append(await send(left))

    waiting = fill(left)
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(child)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert sent == []
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(child)
        await wait_all_tasks_blocked()
        assert sent == []
        for _ in range(waiting):
            assert await right.recv(10) == b"filler"
    assert sent == [6]
    assert await right.recv(10) == b"waited"


@trio_test
async def test_sendto_waits_for_room_where_it_sends_to(tmp_path: Path) -> None:
    path = str(tmp_path / "receiver")
    with (
        stdlib_socket.socket(stdlib_socket.AF_UNIX, DATAGRAMS) as raw,
        stdlib_socket.socket(stdlib_socket.AF_UNIX, DATAGRAMS) as sender,
    ):
        raw.bind(path)
        receiver, sock = ours(raw), ours(sender)
        count = 0
        sent: list[int] = []

        async def child() -> None:
            buffer = bytearray(b"waited")
            sent.append(await sock.sendto(buffer, path))
            buffer.append(0)

        with pytest.raises(BlockingIOError):
            while True:
                sender.sendto(b"filler", path)
                count += 1
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(child)
            # That is never blocked: the sender counts as writable all along, so the
            # system is asked again and again.
            for _ in range(20):
                await ctrio.lowlevel.checkpoint()
            assert sent == []
            for _ in range(count):
                await receiver.recv(10)
        assert sent == [6]
        assert await receiver.recvfrom(10) == (b"waited", None)


@pytest.mark.parametrize("method", ["recvfrom_into", "recvmsg_into", "sendmsg"])
@trio_test
async def test_a_buffer_keeps_its_size_while_it_is_in_use(
    method: str, pair: Pair
) -> None:
    left, _ = pair
    buffer = bytearray(b"abc")
    fill(left)

    async def child() -> None:
        await getattr(left, method)(buffer if method == "recvfrom_into" else [buffer])

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(child)
        await wait_all_tasks_blocked()
        with pytest.raises(BufferError):
            buffer.append(1)
        nursery.cancel_scope.cancel()
    buffer.append(1)


def test_a_message_that_is_waited_for_in_a_cycle_is_collected() -> None:
    class Buffer(bytearray):
        pass

    async def main() -> None:
        left, right = stdlib_socket.socketpair(type=DATAGRAMS)
        with left, right:
            buffer = Buffer(10)
            buffer.coroutine = coroutine = ours(left).recvmsg_into([buffer])  # type: ignore[attr-defined]
            coroutine.send(None)
            watch = weakref.ref(buffer)
            del buffer, coroutine
            gc.collect()
            assert watch() is None
            assert await ours(right).send(b"x") == 1

    ctrio.run(main)


# The socket underneath.


@trio_test
async def test_a_closed_socket_is_a_bad_descriptor(pair: Pair) -> None:
    left, _ = pair
    left.close()
    calls = [*RECEIVES.values(), *SENDS.values(), lambda s: s.sendto(b"x", "y")]
    for call in calls:
        with assert_checkpoints(), pytest.raises(OSError) as caught:
            await call(left)
        assert caught.value.errno == errno.EBADF
    if stdlib_socket.has_ipv6:
        closed = tsocket.socket(stdlib_socket.AF_INET6, DATAGRAMS)
        closed.close()
        with assert_no_checkpoints(), pytest.raises(OSError) as caught:
            await closed.sendto(b"x", ("::1", 9))
        assert caught.value.errno == errno.EBADF


@trio_test
async def test_without_a_socket_underneath_nothing_works() -> None:
    empty = _SocketType.__new__(_SocketType)
    calls = [*RECEIVES.values(), *SENDS.values(), lambda s: s.sendto(b"x", "y")]
    for call in calls:
        with assert_checkpoints(), pytest.raises(AttributeError, match="_sock"):
            await call(empty)


class Foreign(stdlib_socket.socket):
    """Says that it is of a family whose addresses only the standard library knows."""

    calls = 0

    @property
    def family(self) -> Any:
        return 1234

    def recvfrom(self, *args: Any) -> Any:
        self.calls += 1
        return super().recvfrom(*args)


@trio_test
async def test_sockets_of_other_families_are_the_standard_library_s(pair: Pair) -> None:
    left, right = pair
    foreign = Foreign(fileno=right.detach())
    with foreign:
        foreign.setblocking(False)
        right._sock = foreign
        await left.send(b"one")
        with assert_checkpoints():
            assert await right.recvfrom(10) == (b"one", None)
        received: list[Any] = []

        async def receive() -> None:
            received.append(await right.recvfrom(10))

        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            with pytest.raises(ctrio.BusyResourceError):
                await right.recvfrom(10)
            await left.send(b"two")
        assert received == [(b"two", None)]
        assert foreign.calls >= 3
        assert await right.sendmsg([b"back"]) == 4
        assert await left.recv(10) == b"back"
        with assert_checkpoints(), pytest.raises(TypeError):
            await right.sendto(b"x", 0, 0, "y")  # type: ignore[call-overload]


@pytest.mark.skipif(
    not hasattr(stdlib_socket, "AF_NETLINK"), reason="only Linux has netlink"
)
@trio_test
async def test_addresses_of_netlink_are_pairs_of_numbers() -> None:
    family = stdlib_socket.AF_NETLINK
    question = b"\x14\0\0\0\x12\0\x01\x03" + bytes(12)  # what interfaces are there?
    with stdlib_socket.socket(family, DATAGRAMS) as raw:
        raw.bind((0, 0))
        sock = ours(raw)
        assert await sock.sendto(question, (0, 0)) == len(question)
        data, address = await sock.recvfrom(65_536)
        assert data
        assert address == (0, 0)
        _, ancillary, _, address = await sock.recvmsg(65_536)
        assert (ancillary, address) == ([], (0, 0))
        with assert_checkpoints(), pytest.raises(TypeError, match="must be tuple"):
            await sock.sendto(question, "nowhere")
