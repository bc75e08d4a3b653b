"""`SocketStream`'s operations in the core, and what they do with foreign sockets."""

from __future__ import annotations

import errno
import socket as stdlib_socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import ctrio
from ctrio import SocketStream
from ctrio._socket import _SocketType
from ctrio.lowlevel import Task
from ctrio.testing import assert_checkpoints, trio_test, wait_all_tasks_blocked

BUSY = "^another task is currently sending data on this SocketStream$"
CLOSED = "^this socket was already closed$"


class Foreign(ctrio.socket.SocketType):
    """A socket of somebody else's, which hands everything to one of ours."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.calls: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name in ("inner", "calls", "recv", "send", "wait_writable", "__class__"):
            return object.__getattribute__(self, name)
        return getattr(self.inner, name)

    async def recv(self, *args: Any) -> bytes:
        self.calls.append("recv")
        received: bytes = await self.inner.recv(*args)
        return received

    async def send(self, *args: Any) -> int:
        self.calls.append("send")
        sent: int = await self.inner.send(*args)
        return sent

    async def wait_writable(self) -> None:
        self.calls.append("wait_writable")
        await self.inner.wait_writable()


def foreign(sock: stdlib_socket.socket) -> Foreign:
    return Foreign(ctrio.socket.from_stdlib_socket(sock))


Pair = tuple[SocketStream, SocketStream]


@pytest.fixture(params=[ctrio.socket.from_stdlib_socket, foreign])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two ends of a connection: each test is run over both kinds of sockets."""
    left, right = stdlib_socket.socketpair()
    with left, right:
        yield SocketStream(request.param(left)), SocketStream(request.param(right))


async def expect(raised: type[Exception], message: str, call: Awaitable[Any]) -> None:
    with pytest.raises(raised, match=message):
        await call


async def fill(stream: SocketStream) -> None:
    async def send() -> None:
        while True:
            await stream.send_all(b"x" * 65536)

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


@trio_test
async def test_all_data_arrives_and_every_call_is_a_checkpoint(pair: Pair) -> None:
    left, right = pair
    for data in (b"bytes", bytearray(b"bytearray"), memoryview(b"memoryview")):
        with assert_checkpoints():
            await left.send_all(data)
        with assert_checkpoints():
            assert await right.receive_some() == data
    with assert_checkpoints():
        await left.send_all(data=b"")
    with assert_checkpoints():
        await left.wait_send_all_might_not_block()
    await left.send_all(b"abc")
    assert await right.receive_some(2) == b"ab"
    assert await right.receive_some(max_bytes=None) == b"c"


@trio_test
async def test_what_does_not_fit_is_sent_in_parts(pair: Pair) -> None:
    left, right = pair
    data = bytearray(b"0123456789" * 500_000)
    received = bytearray()

    async def receive() -> None:
        while len(received) < len(data):
            await wait_all_tasks_blocked()
            received.extend(await right.receive_some(1 << 20))

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await left.send_all(data)
        data.append(1)  # nobody holds it any more
        data.pop()
    assert received == data


@trio_test
async def test_how_much_to_receive_is_checked_as_trio_does(pair: Pair) -> None:
    left, right = pair
    await right.send_all(b"abc")
    for wrong in (0, -1, False, -(2**70)):
        await expect(ValueError, "^max_bytes must be >= 1$", left.receive_some(wrong))
    await expect(TypeError, "^'<' not supported", left.receive_some("x"))  # type: ignore[arg-type]
    with assert_checkpoints():
        await expect(TypeError, "'float' object", left.receive_some(1.5))  # type: ignore[arg-type]
    with assert_checkpoints():
        await expect(OverflowError, "too large", left.receive_some(2**70))
    assert await left.receive_some(True) == b"a"
    with pytest.raises(TypeError, match="positional argument"):
        left.receive_some(1, 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword"):
        left.receive_some(size=1)  # type: ignore[call-arg]


@trio_test
async def test_what_is_no_data_is_refused(pair: Pair) -> None:
    left, _ = pair
    message = "^memoryview: a bytes-like object is required, not 'str'$"
    await expect(TypeError, message, left.send_all("x"))  # type: ignore[arg-type]
    view = memoryview(b"abcd")[::2]
    message = "^memoryview: underlying buffer is not C-contiguous$"
    await expect(BufferError, message, left.send_all(view))
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        left.send_all()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional argument"):
        left.wait_send_all_might_not_block(1)  # type: ignore[call-arg]
    assert not left._sending


@trio_test
async def test_one_task_sends_at_a_time(pair: Pair) -> None:
    left, right = pair
    await fill(left)
    for hold in (lambda: left.send_all(b"x"), left.wait_send_all_might_not_block):
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(hold)
            await wait_all_tasks_blocked()
            await expect(ctrio.BusyResourceError, BUSY, left.send_all(b"x"))
            await expect(ctrio.BusyResourceError, BUSY, left.send_all(b""))
            await expect(
                ctrio.BusyResourceError, BUSY, left.wait_send_all_might_not_block()
            )
            assert left._sending
            nursery.cancel_scope.cancel()
        assert not left._sending
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(right.send_all, b"x")
        assert await left.receive_some() == b"x"


@trio_test
async def test_waiting_for_room_ends_when_there_is_some(pair: Pair) -> None:
    left, right = pair
    done: list[str] = []
    await fill(left)

    async def wait() -> None:
        await left.wait_send_all_might_not_block()
        done.append("room")

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert done == []
        while not done:
            await right.receive_some()
            await wait_all_tasks_blocked()


@trio_test
async def test_after_the_end_nothing_can_be_sent(pair: Pair) -> None:
    left, right = pair
    await left.send_eof()
    message = "^can't send data after sending EOF$"
    await expect(ctrio.ClosedResourceError, message, left.send_all(b"x"))
    assert await right.receive_some() == b""


@trio_test
async def test_a_closed_stream_says_so(pair: Pair) -> None:
    left, _ = pair
    await left.aclose()
    await expect(ctrio.ClosedResourceError, CLOSED, left.receive_some())
    await expect(ctrio.ClosedResourceError, CLOSED, left.send_all(b"x"))
    message = "^socket was already closed$"
    await expect(ctrio.ClosedResourceError, message, left.send_all(b""))
    await expect(ctrio.ClosedResourceError, "^$", left.wait_send_all_might_not_block())
    assert not left._sending


@trio_test
async def test_closing_ends_calls_that_are_under_way(pair: Pair) -> None:
    left, _ = pair
    await fill(left)
    closed = (ctrio.ClosedResourceError, "^another task closed this fd$")
    for call in (lambda: left.send_all(b"x"), left.wait_send_all_might_not_block):
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(expect, *closed, left.receive_some())
            nursery.start_soon(expect, *closed, call())
            await wait_all_tasks_blocked()
            ctrio.lowlevel.notify_closing(left.socket.fileno())
        assert not left._sending


@trio_test
async def test_a_second_receiver_is_busy(pair: Pair) -> None:
    left, _ = pair
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(left.receive_some)
        await wait_all_tasks_blocked()
        message = "^another task is already reading / writing this fd$"
        await expect(ctrio.BusyResourceError, message, left.receive_some())
        nursery.cancel_scope.cancel()


@trio_test
async def test_a_broken_connection_has_a_cause_and_a_closed_one_none(
    pair: Pair,
) -> None:
    left, right = pair
    await right.aclose()
    try:
        raise KeyError
    except KeyError as handled:
        with pytest.raises(ctrio.BrokenResourceError) as broken:
            await left.send_all(b"x")
        cause = broken.value.__cause__
        assert isinstance(cause, BrokenPipeError) and cause.errno == errno.EPIPE
        assert str(broken.value) == f"socket connection broken: {cause}"
        assert broken.value.__context__ is cause
        assert cause.__context__ is handled
        left.socket.close()
        with pytest.raises(ctrio.ClosedResourceError, match=CLOSED) as closed:
            await left.receive_some()
        assert closed.value.__cause__ is None
        assert closed.value.__suppress_context__
        assert isinstance(closed.value.__context__, OSError)
        assert closed.value.__context__.__context__ is handled


@trio_test
async def test_cancelled_calls_have_no_effect(pair: Pair) -> None:
    left, right = pair
    await right.send_all(b"x")
    for call in (left.receive_some, lambda: left.send_all(b"y")):
        with ctrio.CancelScope() as scope:
            scope.cancel()
            await call()
        assert scope.cancelled_caught
    assert not left._sending
    assert await left.receive_some() == b"x"
    await left.send_eof()
    assert await right.receive_some() == b""


@trio_test
async def test_a_coroutine_that_is_closed_lets_others_send(pair: Pair) -> None:
    left, _ = pair
    tasks: list[Task] = []
    await fill(left)

    async def child(call: Callable[[], Awaitable[None]]) -> None:
        tasks.append(ctrio.lowlevel.current_task())
        await call()

    for call in (lambda: left.send_all(b"x"), left.wait_send_all_might_not_block):
        with pytest.RaisesGroup(RuntimeError):
            async with ctrio.open_nursery() as nursery:
                nursery.start_soon(child, call)
                await wait_all_tasks_blocked()
                task = tasks.pop()
                assert left._sending
                task.coro.close()
                assert not left._sending
                ctrio.lowlevel.reschedule(task)
    with ctrio.CancelScope() as scope:
        scope.cancel()
        await left.wait_send_all_might_not_block()
    assert scope.cancelled_caught


# Which sockets count as ours.


def ours() -> tuple[SocketStream, SocketStream, Any]:
    left, right = ctrio.socket.socketpair()
    return SocketStream(left), SocketStream(right), left


@trio_test
async def test_a_foreign_socket_has_its_methods_called() -> None:
    left, right = stdlib_socket.socketpair()
    with left, right:
        socket = foreign(left)
        stream = SocketStream(socket)
        await stream.send_all(b"x")
        right.send(b"y")
        assert await stream.receive_some() == b"y"
        await stream.wait_send_all_might_not_block()
        assert socket.calls == ["send", "recv", "wait_writable"]


@trio_test
async def test_methods_replaced_on_one_socket_are_called() -> None:
    stream, peer, socket = ours()
    async with stream, peer:
        await peer.send_all(b"x")
        assert await stream.receive_some() == b"x"

        async def recv(max_bytes: int) -> bytes:
            await ctrio.lowlevel.checkpoint()
            return b"replaced %d" % max_bytes

        socket.recv = recv
        assert await stream.receive_some(7) == b"replaced 7"
        del socket.recv
        await peer.send_all(b"y")
        assert await stream.receive_some() == b"y"


@trio_test
async def test_methods_replaced_on_the_class_are_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, peer, _ = ours()
    async with stream, peer:
        await stream.send_all(b"x")
        with monkeypatch.context() as patch:

            async def send(self: object, data: bytes) -> int:
                await ctrio.lowlevel.checkpoint()
                return len(data)

            patch.setattr(_SocketType, "send", send)
            await stream.send_all(b"lost")
        await stream.send_all(b"y")
        assert await peer.receive_some() == b"xy"


@trio_test
async def test_without_a_socket_there_is_no_stream() -> None:
    stream, peer, socket = ours()
    del stream.socket
    with socket, peer.socket:
        for call in (
            stream.receive_some,
            lambda: stream.send_all(b"x"),
            stream.wait_send_all_might_not_block,
        ):
            with pytest.raises(AttributeError, match="no attribute 'socket'"):
                await call()


# Awaiting Python's awaitables inside of ours.


class Yielding:
    """Yields something that no Trio knows."""

    def __await__(self) -> Iterator[object]:
        yield "strange"


@trio_test
async def test_what_a_foreign_socket_yields_reaches_the_run_loop() -> None:
    stream, peer, socket = ours()
    ends: list[str] = []

    async def recv(max_bytes: int) -> bytes:
        try:
            await Yielding()
        finally:
            ends.append("left")
        return b""

    async with stream, peer:
        socket.recv = recv
        message = "unrecognized yield message 'strange'"
        await expect(TypeError, message, stream.receive_some())
        assert ends == ["left"]


@trio_test
async def test_the_inner_call_is_cancelled_and_may_clean_up() -> None:
    stream, peer, socket = ours()
    ends: list[str] = []

    async def recv(max_bytes: int) -> bytes:
        try:
            await ctrio.sleep_forever()
        except ctrio.Cancelled:
            with ctrio.CancelScope(shield=True):
                await ctrio.lowlevel.checkpoint()
            ends.append("cancelled")
            raise
        raise AssertionError

    async with stream, peer:
        socket.recv = recv
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(stream.receive_some)  # as the root of a task
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert ends == ["cancelled"]


@trio_test
async def test_an_inner_call_that_will_not_end_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, peer, socket = ours()
    unraisable: list[BaseException | None] = []
    tasks: list[Task] = []

    async def recv(max_bytes: int) -> bytes:
        tasks.append(ctrio.lowlevel.current_task())
        while True:
            try:
                await ctrio.sleep_forever()
            except GeneratorExit:
                await Yielding()

    async def child() -> None:
        await stream.receive_some()

    async with stream, peer:
        socket.recv = recv
        with monkeypatch.context() as patch, pytest.RaisesGroup(RuntimeError):
            patch.setattr(
                "sys.unraisablehook", lambda u: unraisable.append(u.exc_value)
            )
            async with ctrio.open_nursery() as nursery:
                nursery.start_soon(child)
                await wait_all_tasks_blocked()
                tasks[0].coro.close()
                ctrio.lowlevel.reschedule(tasks[0])
    assert [str(exc) for exc in unraisable] == ["coroutine ignored GeneratorExit"]
