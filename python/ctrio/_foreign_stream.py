"""What `SocketStream` does with a socket that is not one of the core's.

A socket factory may make sockets of any class, and tests replace methods of ours: the
core then calls what is here instead of the system. Imported when first needed.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager

from ._core import (
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    checkpoint,
)
from ._util import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._ctrio import SocketStreamBase

_DEFAULT_RECEIVE_SIZE = 65536
_closed_errnos = {errno.EBADF, errno.ENOTSOCK}


@contextmanager
def _as_stream_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _closed_errnos:
            raise ClosedResourceError("this socket was already closed") from None
        raise BrokenResourceError(f"socket connection broken: {exc}") from exc


@contextmanager
def _as_only_sender(stream: SocketStreamBase) -> Iterator[None]:
    if stream._sending:
        raise BusyResourceError(
            "another task is currently sending data on this SocketStream"
        )
    stream._sending = True
    try:
        yield
    finally:
        stream._sending = False


async def send_all(
    stream: SocketStreamBase, data: bytes | bytearray | memoryview
) -> None:
    """See `trio.abc.SendStream.send_all`."""
    socket = stream.socket
    if socket.did_shutdown_SHUT_WR:
        raise ClosedResourceError("can't send data after sending EOF")
    with _as_only_sender(stream), _as_stream_errors(), memoryview(data) as view:
        if not view:
            if socket.fileno() == -1:
                raise ClosedResourceError("socket was already closed")
            await checkpoint()
            return
        sent = 0
        while sent < len(view):
            with view[sent:] as rest:
                sent += await socket.send(rest)


async def wait_send_all_might_not_block(stream: SocketStreamBase) -> None:
    """See `trio.abc.SendStream.wait_send_all_might_not_block`."""
    with _as_only_sender(stream):
        if stream.socket.fileno() == -1:
            raise ClosedResourceError
        with _as_stream_errors():
            await stream.socket.wait_writable()


async def receive_some(stream: SocketStreamBase, max_bytes: int | None = None) -> bytes:
    """See `trio.abc.ReceiveStream.receive_some`."""
    if max_bytes is None:
        max_bytes = _DEFAULT_RECEIVE_SIZE
    if max_bytes < 1:
        raise ValueError("max_bytes must be >= 1")
    with _as_stream_errors():
        return await stream.socket.recv(max_bytes)
