"""Bad calls of sockets, streams, threads and signals: Trio's answers to them."""

from __future__ import annotations

import socket as stdlib
from collections.abc import Callable
from typing import Any

import pytest
from bad_input import (
    ASYNC_CONTEXT,
    SYNCHRONOUS,
    Case,
    Table,
    check_inside,
    check_outside,
    low,
    sleeper,
    sync,
    untyped,
)

import ctrio
from ctrio.lowlevel import current_trio_token

inside, outside = Table(), Table()

# --- sockets --------------------------------------------------------------------------


def with_socket(error: type[BaseException], text: str) -> Case:
    """A case that gets one end of a connection."""

    def decorate(function: Callable[[Any], Any]) -> Case:
        async def case() -> None:
            near, far = ctrio.socket.socketpair()
            with near, far:
                result = function(near)
                if hasattr(result, "__await__"):
                    await result

        case.__name__ = function.__name__
        inside(error, text)(case)
        return function

    return decorate


with_socket(TypeError, "'str' object cannot be interpreted as an integer")(
    lambda sock: sock.recv("x")
)
with_socket(TypeError, "a bytes-like object is required, not 'str'")(
    lambda sock: sock.send("x")
)


@with_socket(ValueError, "negative buffersize in recv")
def receiving_less_than_nothing(sock: Any) -> Any:
    return sock.recv(-1)


@with_socket(TypeError, "a bytes-like object is required, not 'NoneType'")
def sending_nothing(sock: Any) -> Any:
    return sock.send(None)


@with_socket(TypeError, "")
def receiving_into_bytes(sock: Any) -> Any:
    return sock.recv_into(b"12345")


@with_socket(AttributeError, "")
def an_attribute_that_a_socket_has_not(sock: Any) -> Any:
    return sock.nope


@with_socket(OSError, "")
def a_closed_socket(sock: Any) -> Any:
    sock.close()
    return sock.recv(1)


@with_socket(TypeError, "")
def reading_without_a_number(sock: Any) -> Any:
    return sock.recv()


with_inet: list[tuple[type[BaseException], str, str, Any]] = [
    (ValueError, "address should be a (host, port) tuple", "connect", 3),
    (ValueError, "address should be a (host, port) tuple", "connect", ("127.0.0.1",)),
    (ValueError, "address should be a (host, port) tuple", "bind", "x"),
]
for error, text, method, address in with_inet:

    @inside(error, text)
    async def an_address_that_is_none(
        method: str = method, address: Any = address
    ) -> None:
        with ctrio.socket.socket() as sock:
            await getattr(sock, method)(address)


@inside(TypeError, "expected object of type 'socket.socket', not '_SocketType'")
async def a_socket_of_trio_s_as_one_of_python_s() -> None:
    with ctrio.socket.socket() as sock:
        ctrio.socket.from_stdlib_socket(sock)  # type: ignore[arg-type]


for handle, error, text in [
    (-1, ValueError, "file descriptor cannot be a negative integer (-1)"),
    ("x", RuntimeError, ASYNC_CONTEXT),
    (None, RuntimeError, ASYNC_CONTEXT),
    (1.5, RuntimeError, ASYNC_CONTEXT),
]:
    inside(error, text)(lambda handle=handle: low.wait_readable(handle))
    inside(error, text)(lambda handle=handle: low.wait_writable(handle))
    if handle != -1:
        inside(error, text)(lambda handle=handle: low.notify_closing(handle))


# --- streams --------------------------------------------------------------------------

for wrong in (3, None, "x"):
    outside(TypeError, "SocketStream requires a Trio socket object")(
        lambda wrong=wrong: untyped.SocketStream(wrong)
    )
    outside(TypeError, "SocketListener requires a Trio socket object")(
        lambda wrong=wrong: untyped.SocketListener(wrong)
    )


@outside(TypeError, "SocketStream requires a Trio socket object")
def a_stream_over_a_socket_of_python_s() -> None:
    with stdlib.socket() as sock:
        untyped.SocketStream(sock)


for made, text in [
    ("SocketStream", "SocketStream requires a SOCK_STREAM socket"),
    ("SocketListener", "SocketListener requires a SOCK_STREAM socket"),
]:

    @inside(ValueError, text)
    async def datagrams_where_a_stream_is_wanted(made: str = made) -> None:
        with ctrio.socket.socket(type=stdlib.SOCK_DGRAM) as sock:
            getattr(ctrio, made)(sock)


@inside(ValueError, "SocketListener requires a listening socket")
async def a_listener_that_does_not_listen() -> None:
    with ctrio.socket.socket() as sock:
        ctrio.SocketListener(sock)


def with_stream(error: type[BaseException], text: str) -> Case:
    """A case that gets a stream."""

    def decorate(function: Callable[[Any], Any]) -> Case:
        async def case() -> None:
            near, far = ctrio.socket.socketpair()
            with near, far:
                await function(ctrio.SocketStream(near))

        case.__name__ = function.__name__
        inside(error, text)(case)
        return function

    return decorate


for size in (0, -1):
    with_stream(ValueError, "max_bytes must be >= 1")(
        lambda stream, size=size: stream.receive_some(size)
    )
for data, kind in [("x", "str"), (None, "NoneType"), (3, "int")]:
    with_stream(
        TypeError, f"memoryview: a bytes-like object is required, not '{kind}'"
    )(lambda stream, data=data: stream.send_all(data))
for method, args in [
    ("receive_some", (3,)),
    ("send_all", (b"x",)),
    ("send_eof", ()),
]:

    @with_stream(ctrio.ClosedResourceError, "this socket was already closed")
    def a_closed_stream(
        stream: Any, method: str = method, args: tuple[Any, ...] = args
    ) -> Any:
        stream.socket.close()
        return getattr(stream, method)(*args)


@with_stream(ctrio.ClosedResourceError, "can't send data after sending EOF")
async def data_after_the_end(stream: Any) -> None:
    await stream.send_eof()
    await stream.send_all(b"x")


inside(ValueError, "host must be str or bytes, not None")(
    lambda: untyped.open_tcp_stream(None, 1)
)
inside(TypeError, "port must be int, not None")(
    lambda: untyped.open_tcp_stream("127.0.0.1", None)
)
inside(TypeError, "port must be an int not 'x'")(
    lambda: untyped.open_tcp_listeners("x")
)


# --- threads and signals --------------------------------------------------------------

inside(
    TypeError, "Trio expected a sync function, but 'sleeper' appears to be asynchronous"
)(lambda: untyped.to_thread.run_sync(sleeper))
inside(AttributeError, "'int' object has no attribute 'acquire_on_behalf_of'")(
    lambda: untyped.to_thread.run_sync(sync, limiter=3)
)
inside(TypeError, "'int' object is not callable")(lambda: untyped.to_thread.run_sync(3))
inside(TypeError, "run_sync() missing 1 required positional argument: 'sync_fn'")(
    lambda: untyped.to_thread.run_sync()
)

HERE = "this is a blocking function; call it from a thread"
UNKNOWN = "this thread wasn't created by Trio, "
for call, text in [
    (lambda: untyped.from_thread.run_sync(sync), UNKNOWN + "pass kwarg trio_token=..."),
    (lambda: untyped.from_thread.run(sync), UNKNOWN + "pass kwarg trio_token=..."),
    (
        lambda: untyped.from_thread.check_cancelled(),
        UNKNOWN + "can't check for cancellation",
    ),
    (
        lambda: untyped.from_thread.run_sync(sync, trio_token=3),
        "Passed kwarg trio_token is not of type TrioToken",
    ),
    (
        lambda: untyped.from_thread.run_sync(sync, trio_token=current_trio_token()),
        HERE,
    ),
    (
        lambda: untyped.from_thread.run(sync, trio_token=current_trio_token()),
        HERE,
    ),
]:
    inside(RuntimeError, text)(call)


@inside(TypeError, SYNCHRONOUS.format("'sync'"))
async def a_plain_function_where_an_async_one_is_wanted() -> None:
    await ctrio.to_thread.run_sync(ctrio.from_thread.run, sync)


@inside(
    TypeError,
    "Trio expected a synchronous function, but 'sleeper' appears to be asynchronous",
)
async def an_async_function_where_a_plain_one_is_wanted() -> None:
    await ctrio.to_thread.run_sync(ctrio.from_thread.run_sync, sleeper)


@outside(TypeError, "No signals were provided")
def a_receiver_of_nothing() -> None:
    with ctrio.open_signal_receiver():
        pass


@pytest.mark.parametrize(("case", "error", "text"), outside.cases)
def test_outside_of_a_run(case: Case, error: type[BaseException], text: str) -> None:
    check_outside(case, error, text)


@pytest.mark.parametrize(("case", "error", "text"), inside.cases)
def test_in_a_task(case: Case, error: type[BaseException], text: str) -> None:
    check_inside(case, error, text)
