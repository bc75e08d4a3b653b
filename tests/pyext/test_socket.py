"""The operations of sockets that are the core's: `recv`, `recv_into`, `send`."""

from __future__ import annotations

import errno
import os
import socket as stdlib_socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ctrio
from ctrio._ctrio import SocketBase
from ctrio._socket import _SocketType
from ctrio.socket import from_stdlib_socket
from ctrio.testing import assert_checkpoints, trio_test, wait_all_tasks_blocked

LOCALHOST = ("127.0.0.1", 0)
Pair = tuple[_SocketType, _SocketType]


def ours(sock: stdlib_socket.socket) -> _SocketType:
    made = from_stdlib_socket(sock)
    assert isinstance(made, _SocketType)
    return made


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = stdlib_socket.socketpair()
    with left, right:
        yield ours(left), ours(right)


async def fill(sock: _SocketType) -> int:
    """Send until the next send would have to wait; tell how much it was."""
    sent = 0
    try:
        while True:
            sent += sock._sock.send(b"x" * 65536)
    except BlockingIOError:
        return sent


# Arguments.


RECV: list[tuple[Any, ...]] = [(), (1, 2, 3), ("x",), (-1,), (1.5,), (1, "x"), (2**70,)]
SEND: list[tuple[Any, ...]] = [(), ("x",), (b"x", "y"), (memoryview(b"abcd")[::2],)]
INTO: list[tuple[Any, ...]] = [(), (b"x",), (bytearray(3), 5), (bytearray(3), -1)]


@pytest.mark.parametrize(
    ("method", "args", "kwargs"),
    [
        *(("recv", args, {}) for args in RECV),
        *(("send", args, {}) for args in SEND),
        *(("recv_into", args, {}) for args in INTO),
        ("recv", (), {"buflen": 1}),
        ("send", (b"x",), {"flags": 0}),
        ("recv_into", (bytearray(3),), {"size": 1}),
    ],
)
@trio_test
async def test_wrong_arguments_fail_like_the_standard_library_s_but_after_a_checkpoint(
    method: str, args: tuple[Any, ...], kwargs: dict[str, Any], pair: Pair
) -> None:
    sock, _ = pair
    with pytest.raises((TypeError, ValueError, OverflowError, BufferError)) as standard:
        getattr(stdlib_socket.socket, method)(sock._sock, *args, **kwargs)
    coroutine = getattr(sock, method)(*args, **kwargs)
    with assert_checkpoints(), pytest.raises(standard.type) as raised:
        await coroutine
    # While it is traced, 3.11 leaves the "socket." out.
    texts = [str(error.value).removeprefix("socket.") for error in (raised, standard)]
    assert texts[0] == texts[1]


@trio_test
async def test_a_cancelled_call_has_not_even_looked_at_its_arguments(
    pair: Pair,
) -> None:
    with ctrio.CancelScope() as scope:
        scope.cancel()
        await pair[0].recv("x")  # type: ignore[arg-type]
    assert scope.cancelled_caught


@trio_test
async def test_flags_and_sizes_may_be_of_any_integral_type(pair: Pair) -> None:
    left, right = pair
    assert await left.send(b"abc", stdlib_socket.MsgFlag.MSG_DONTWAIT) == 3
    assert await right.recv(10, stdlib_socket.MSG_PEEK) == b"abc"
    assert await right.recv(True) == b"a"
    assert await right.recv(2, 0) == b"bc"


@trio_test
async def test_a_method_of_the_class_wants_a_socket_of_ours(pair: Pair) -> None:
    assert await SocketBase.send(pair[0], b"x") == 1
    with pytest.raises(TypeError, match="recv"):
        SocketBase.recv(pair[0]._sock, 1)  # type: ignore[arg-type]


# Receiving.


@trio_test
async def test_what_is_received_has_the_size_that_was_sent(pair: Pair) -> None:
    left, right = pair
    right.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_SNDBUF, 1 << 18)
    # Small and large by turns: large ones are received another way.
    for size in (1, 60000, 50000, 7, 60000, 1):
        data = os.urandom(size)
        await right.send(data)
        with assert_checkpoints():
            assert await left.recv(65536) == data
    data = os.urandom(70000)
    await right.send(data)
    received = b""
    while len(received) < len(data):
        received += await left.recv(1 << 20)
    assert received == data


@trio_test
async def test_nothing_is_received_when_nothing_is_asked_for(pair: Pair) -> None:
    left, right = pair
    with assert_checkpoints():
        assert await left.recv(0) == b""
    with assert_checkpoints():
        assert await left.recv_into(bytearray()) == 0
    right._sock.close()
    with assert_checkpoints():
        assert await left.recv(10) == b""


@trio_test
async def test_a_datagram_that_is_cut_is_not_longer_than_asked_for() -> None:
    left, right = stdlib_socket.socketpair(type=stdlib_socket.SOCK_DGRAM)
    with left, right:
        sock = ours(right)
        left.send(b"0123456789")
        assert await sock.recv(4, stdlib_socket.MSG_TRUNC) == b"0123"


@trio_test
async def test_a_buffer_receives_as_much_as_it_is_told_to(pair: Pair) -> None:
    left, right = pair
    buffer = bytearray(b"-" * 6)
    await right.send(b"abcdef")
    with assert_checkpoints():
        assert await left.recv_into(buffer, 2) == 2
    assert await left.recv_into(buffer=memoryview(buffer)[2:], nbytes=0, flags=0) == 4
    assert buffer == b"abcdef"


@pytest.mark.parametrize("method", ["recv_into", "send"])
@trio_test
async def test_a_buffer_keeps_its_size_while_it_is_in_use(
    method: str, pair: Pair
) -> None:
    left, _ = pair
    buffer = bytearray(10)
    await fill(left)

    async def child() -> None:
        await getattr(left, method)(buffer)

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(child)
        await wait_all_tasks_blocked()
        with pytest.raises(BufferError):
            buffer.append(1)
        nursery.cancel_scope.cancel()
    buffer.append(1)


@trio_test
async def test_waiting_ends_with_data_or_with_the_cancellation(pair: Pair) -> None:
    left, right = pair
    received: list[bytes] = []

    async def receive() -> None:
        with assert_checkpoints():
            received.append(await left.recv(10))

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        with pytest.raises(ctrio.BusyResourceError, match="already reading / writing"):
            await left.recv(10)
        await right.send(b"one")
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with ctrio.CancelScope() as scope:
        await right.send(b"two")
        scope.cancel()
        await left.recv(10)
    assert received == [b"one"]
    assert await left.recv(10) == b"two"


@trio_test
async def test_sending_takes_what_there_is_room_for(pair: Pair) -> None:
    left, right = pair
    with assert_checkpoints():
        assert await left.send(b"") == 0
    sent = await left.send(memoryview(bytearray(10_000_000)))
    assert 0 < sent < 10_000_000
    counts: list[int] = []

    async def send() -> None:
        with assert_checkpoints():
            counts.append(await left.send(b"abc"))

    sent += await fill(left)
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert counts == []
        while sent:
            sent -= len(await right.recv(1 << 20))
    assert counts == [3]
    assert await right.recv(10) == b"abc"


@trio_test
async def test_errors_are_the_system_s_after_a_checkpoint(pair: Pair) -> None:
    left, right = pair
    right._sock.close()
    with assert_checkpoints(), pytest.raises(BrokenPipeError) as raised:
        await left.send(b"x")
    assert raised.value.args == (errno.EPIPE, os.strerror(errno.EPIPE))
    with stdlib_socket.socket() as fresh:
        sock = ours(fresh)
        with assert_checkpoints(), pytest.raises(OSError) as not_connected:
            await sock.recv(1)
    assert not_connected.value.errno == errno.ENOTCONN


# The descriptor under the socket.


@trio_test
async def test_a_socket_closed_or_given_away_underneath_is_a_bad_descriptor(
    pair: Pair,
) -> None:
    left, right = pair
    await left.send(b"x")
    left._sock.close()
    taken = right._sock.detach()
    for sock in pair:
        for call in (sock.recv(1), sock.send(b"x"), sock.recv_into(bytearray(1))):
            with assert_checkpoints(), pytest.raises(OSError) as raised:
                await call
            assert raised.value.errno == errno.EBADF
    os.close(taken)


@trio_test
async def test_closing_wakes_who_waits(pair: Pair) -> None:
    left, _ = pair
    ends: list[str] = []

    async def expect(call: Callable[[], Any]) -> None:
        with pytest.raises(ctrio.ClosedResourceError, match="closed this fd"):
            await call()
        ends.append("closed")

    await fill(left)
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(expect, lambda: left.recv(1))
        nursery.start_soon(expect, lambda: left.send(b"x"))
        await wait_all_tasks_blocked()
        left.close()
    assert ends == ["closed"] * 2
    left.close()


async def expect_data(sock: _SocketType, peer: stdlib_socket.socket) -> None:
    """Wait in recv, and have the peer send only then."""
    async with ctrio.open_nursery() as nursery:

        async def receive() -> None:
            assert await sock.recv(10) == b"ping"

        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        peer.send(b"ping")


@trio_test
async def test_another_socket_underneath_is_waited_for_anew(pair: Pair) -> None:
    left, right = pair
    await expect_data(left, right._sock)
    number = left.fileno()
    left._sock.close()
    first, second = stdlib_socket.socketpair()
    assert first.fileno() == number  # the lowest that is free
    with first, second:
        first.setblocking(False)
        left._sock = first
        await expect_data(left, second)


@trio_test
async def test_a_number_that_was_closed_unnoticed_can_be_another_socket(
    pair: Pair,
) -> None:
    left, right = pair
    await expect_data(left, right._sock)
    number = left.fileno()
    left._sock.close()
    first, second = stdlib_socket.socketpair()
    assert first.fileno() == number
    with first, second:
        await expect_data(ours(first), second)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await left.recv(1)


@trio_test
async def test_a_duplicate_that_lives_on_disturbs_nobody(pair: Pair) -> None:
    left, right = pair
    await expect_data(left, right._sock)
    with left._sock.dup() as duplicate:
        left._sock.close()
        right._sock.send(b"for the duplicate")
        first, second = stdlib_socket.socketpair()
        with first, second:
            await expect_data(ours(first), second)
        assert await ours(duplicate).recv(100) == b"for the duplicate"


@trio_test
async def test_one_socket_serves_several_runs_one_after_the_other() -> None:
    left, right = stdlib_socket.socketpair()
    with left, right:
        sock = ours(left)
        await ctrio.to_thread.run_sync(lambda: ctrio.run(expect_data, sock, right))
        await expect_data(sock, right)
        await ctrio.to_thread.run_sync(lambda: ctrio.run(expect_data, sock, right))


@trio_test
async def test_a_subclass_may_have_its_own_fileno(pair: Pair) -> None:
    class Counting(stdlib_socket.socket):
        asked = 0

        def fileno(self) -> int:
            self.asked += 1
            return super().fileno()

    left, right = pair
    counting = Counting(fileno=left.detach())
    with counting:
        left._sock = counting
        before = counting.asked
        await left.send(b"x")
        assert counting.asked > before
        assert await right.recv(10) == b"x"


@trio_test
async def test_without_a_socket_underneath_nothing_works() -> None:
    empty = _SocketType.__new__(_SocketType)
    message = "'_SocketType' object has no attribute '_sock'"
    with pytest.raises(AttributeError, match=message):
        empty._sock  # noqa: B018
    with assert_checkpoints(), pytest.raises(AttributeError, match="_sock"):
        await empty.recv(1)
    with pytest.raises(AttributeError, match="_sock"):
        empty._release()

    class Broken:
        def fileno(self) -> str:
            return "x"

    empty._sock = Broken()  # type: ignore[assignment]
    with assert_checkpoints(), pytest.raises(TypeError):
        await empty.recv(1)
    with assert_checkpoints(), pytest.raises(TypeError):
        await empty._connect(LOCALHOST)
    del empty._sock
    with pytest.raises(AttributeError):
        empty.fileno()


def test_releasing_outside_of_a_run_is_harmless(pair: Pair) -> None:
    sock, _ = pair
    sock._release()
    assert sock.fileno() >= 0
