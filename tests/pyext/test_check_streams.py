"""`trio.testing.check_..._stream`: good streams pass, and each fault is found."""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable

import pytest

import ctrio
import ctrio.testing
from ctrio import SocketStream, StapledStream, socket as tsocket
from ctrio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    check_half_closeable_stream,
    check_one_way_stream,
    check_two_way_stream,
    lockstep_stream_one_way_pair,
    lockstep_stream_pair,
    memory_stream_one_way_pair,
    memory_stream_pair,
    trio_test,
)
from ctrio.testing._check_streams import _assert_raises

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

Pair = tuple[ctrio.abc.AsyncResource, ctrio.abc.AsyncResource]


def maker(make: Callable[[], Pair]) -> Callable[[], Awaitable[Pair]]:
    async def async_make() -> Pair:
        return make()

    return async_make


@trio_test
async def test_memory_streams_pass() -> None:
    await check_one_way_stream(maker(memory_stream_one_way_pair), None)
    await check_half_closeable_stream(maker(memory_stream_pair), None)


@trio_test
async def test_lockstep_streams_pass() -> None:
    one_way, both_ways = (
        maker(lockstep_stream_one_way_pair),
        maker(lockstep_stream_pair),
    )
    await check_one_way_stream(one_way, one_way)
    await check_two_way_stream(both_ways, both_ways)


def socket_pair() -> tuple[SocketStream, SocketStream]:
    left, right = tsocket.socketpair()
    return SocketStream(left), SocketStream(right)


def clogged_socket_pair() -> tuple[SocketStream, SocketStream]:
    left, right = socket.socketpair()
    for sock in (left, right):
        sock.setblocking(False)
        try:
            while True:
                sock.send(bytes(2**16))
        except BlockingIOError:
            pass
    return tuple(SocketStream(tsocket.from_stdlib_socket(s)) for s in (left, right))  # type: ignore[return-value]


@trio_test
async def test_sockets_pass() -> None:
    await check_half_closeable_stream(maker(socket_pair), maker(clogged_socket_pair))


class Send(ctrio.abc.SendStream):
    """A memory stream that can be made faulty."""

    def __init__(self, stream: MemorySendStream) -> None:
        self.stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.stream.aclose()


class Receive(ctrio.abc.ReceiveStream):
    """A memory stream that can be made faulty."""

    def __init__(self, stream: MemoryReceiveStream) -> None:
        self.stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.stream.aclose()


class SendWithoutCheckpoint(Send):
    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.stream._outgoing.put(data)
        assert self.stream.close_hook is not None
        self.stream.close_hook()


class SendReturnsSomething(Send):
    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await super().send_all(data)
        return len(data)  # type: ignore[return-value]


class SendAfterClose(Send):
    async def aclose(self) -> None:
        await ctrio.lowlevel.checkpoint()


class WaitWithoutCheckpoint(Send):
    async def wait_send_all_might_not_block(self) -> None:
        pass


class CloseNotWhenCancelled(Send):
    async def aclose(self) -> None:
        await ctrio.lowlevel.checkpoint()
        await self.stream.aclose()


class ReceiveFromTwoTasks(Receive):
    """The second task waits instead of failing."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        while self.stream._conflict_detector._held:
            await ctrio.sleep(1)
        return await super().receive_some(max_bytes)


class ReceiveAnySize(Receive):
    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if max_bytes is not None and max_bytes <= 0:
            max_bytes = 1
        return await super().receive_some(max_bytes)


class ReceiveTooMuch(Receive):
    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await super().receive_some(max_bytes) * 2


@pytest.mark.parametrize(
    ("send", "receive"),
    [
        (SendWithoutCheckpoint, Receive),
        (SendReturnsSomething, Receive),
        (SendAfterClose, Receive),
        (WaitWithoutCheckpoint, Receive),
        (CloseNotWhenCancelled, Receive),
        (Send, ReceiveFromTwoTasks),
        (Send, ReceiveAnySize),
        (Send, ReceiveTooMuch),
    ],
)
def test_a_faulty_stream_does_not_pass(
    send: type[Send], receive: type[Receive]
) -> None:
    def make() -> Pair:
        one, other = memory_stream_one_way_pair()
        return send(one), receive(other)

    async def main() -> None:
        with ctrio.fail_after(10):
            await check_one_way_stream(maker(make), None)

    clock = ctrio.testing.MockClock(autojump_threshold=0)
    found = (
        AssertionError,
        ExceptionGroup,
        ctrio.BrokenResourceError,
        ctrio.TooSlowError,
    )
    with pytest.raises(found):
        ctrio.run(main, clock=clock)


def test_what_is_not_faulty_passes_in_the_same_way() -> None:
    def make() -> Pair:
        one, other = memory_stream_one_way_pair()
        return Send(one), Receive(other)

    ctrio.run(check_one_way_stream, maker(make), None)


class EndIsRefused(ctrio.abc.HalfCloseableStream):
    """A stream of both directions that cannot be closed for one."""

    def __init__(self, stream: StapledStream) -> None:  # type: ignore[type-arg]
        self.stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        raise ValueError("refused")

    async def aclose(self) -> None:
        await self.stream.aclose()


@trio_test
async def test_a_half_closeable_stream_has_to_be() -> None:
    def faulty() -> Pair:
        left, right = memory_stream_pair()
        return EndIsRefused(left), EndIsRefused(right)

    await check_two_way_stream(maker(faulty), None)
    with pytest.raises(ExceptionGroup) as caught:
        await check_half_closeable_stream(maker(faulty), None)
    assert str(caught.value.exceptions[0]) == "refused"


def test_an_expected_exception_has_to_come_as_expected() -> None:
    with _assert_raises(KeyError):
        raise KeyError
    with _assert_raises(KeyError, wrapped=True):
        raise ExceptionGroup("", [KeyError()])
    for raised, wrapped, error in (
        (KeyError(), True, AssertionError),
        (ExceptionGroup("", [KeyError()]), False, AssertionError),
        (ExceptionGroup("", [ValueError()]), True, AssertionError),
        (ExceptionGroup("", [KeyError(), KeyError()]), True, AssertionError),
        (ValueError(), False, ValueError),
    ):
        with pytest.raises(error):
            with _assert_raises(KeyError, wrapped=wrapped):
                raise raised
    with pytest.raises(AssertionError, match="expected exception: .*KeyError"):
        with _assert_raises(KeyError):
            pass
