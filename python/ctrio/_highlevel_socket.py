"""Sockets as streams and listeners."""

from __future__ import annotations

import errno
import socket as stdlib_socket

from ._abc import HalfCloseableStream, Listener
from ._core import (
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    checkpoint,
)
from ._ctrio import SocketStreamBase
from ._socket import SocketType
from ._util import TYPE_CHECKING, final, overload

if TYPE_CHECKING:
    from typing_extensions import Buffer

_closed_stream_errnos = {errno.EBADF, errno.ENOTSOCK}
"""What the system says of a descriptor that has been closed."""

_SENT_BUFFER = 2**14
"""How much is left unsent before a stream counts as not writable, in bytes."""


@final
class SocketStream(SocketStreamBase, HalfCloseableStream):
    """A connected socket as a stream.

    Delays of small packets are off (TCP_NODELAY), and the system's buffer counts as
    full early (TCP_NOTSENT_LOWAT), both where they exist.

    Args:
        socket: A connected stream socket of `trio.socket`.

    Attributes:
        socket: The same.
    """

    def __init__(self, socket: SocketType) -> None:
        if not isinstance(socket, SocketType):
            raise TypeError("SocketStream requires a Trio socket object")
        if socket.type != stdlib_socket.SOCK_STREAM:
            raise ValueError("SocketStream requires a SOCK_STREAM socket")
        self.socket = socket
        try:
            socket.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        except OSError:
            pass  # not TCP
        if _TCP_NOTSENT_LOWAT is not None:
            try:
                socket.setsockopt(
                    stdlib_socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _SENT_BUFFER
                )
            except OSError:
                pass

    # send_all, wait_send_all_might_not_block and receive_some are in the C core.

    async def send_eof(self) -> None:
        """End the sending; see `trio.abc.HalfCloseableStream.send_eof`."""
        if self._sending:
            raise BusyResourceError(
                "another task is currently sending data on this SocketStream"
            )
        self._sending = True
        try:
            await checkpoint()
            # A second shutdown fails on some systems, and send_eof may not.
            if not self.socket.did_shutdown_SHUT_WR:
                self._shutdown()
        finally:
            self._sending = False

    def _shutdown(self) -> None:
        try:
            self.socket.shutdown(stdlib_socket.SHUT_WR)
        except OSError as exc:
            if exc.errno in _closed_stream_errnos:
                raise ClosedResourceError("this socket was already closed") from None
            raise BrokenResourceError(f"socket connection broken: {exc}") from exc

    async def aclose(self) -> None:
        """Close the socket."""
        self.socket.close()
        await checkpoint()

    @overload
    def setsockopt(
        self, level: int, option: int, value: int | Buffer, length: None = None
    ) -> None: ...

    @overload
    def setsockopt(self, level: int, option: int, value: None, length: int) -> None: ...

    def setsockopt(
        self,
        level: int,
        option: int,
        value: int | Buffer | None,
        length: int | None = None,
    ) -> None:
        """Set an option of the socket, as `socket.socket.setsockopt` does.

        Args:
            level: Whose option it is, `trio.socket.SOL_SOCKET` say.
            option: Which.
            value: An int, or bytes; None for a zero of `length` bytes.
            length: Only together with None.
        """
        if length is None:
            if value is None:
                raise TypeError(
                    "invalid value for argument 'value', must not be None when "
                    "specifying length",
                )
            self.socket.setsockopt(level, option, value)
            return
        if value is not None:
            raise TypeError(
                f"invalid value for argument 'value': {value!r}, must be None when "
                "specifying optlen",
            )
        self.socket.setsockopt(level, option, value, length)

    @overload
    def getsockopt(self, level: int, option: int) -> int: ...

    @overload
    def getsockopt(self, level: int, option: int, buffersize: int) -> bytes: ...

    def getsockopt(self, level: int, option: int, buffersize: int = 0) -> int | bytes:
        """Return an option of the socket, as `socket.socket.getsockopt` does.

        Args:
            level: Whose option it is, `trio.socket.SOL_SOCKET` say.
            option: Which.
            buffersize: How many bytes it has; 0 if it is an int.
        """
        if buffersize == 0:
            return self.socket.getsockopt(level, option)
        return self.socket.getsockopt(level, option, buffersize)


_TCP_NOTSENT_LOWAT: int | None = getattr(stdlib_socket, "TCP_NOTSENT_LOWAT", None)

# Linux lets accept() report whatever went wrong with the connection that it was about
# to return: that connection is lost, the next one may be fine. Running out of
# descriptors or memory is not here; the caller has to do something about that.
_ignorable_accept_errno_names = [
    "EPERM",  # a firewall said no
    "ECONNABORTED",
    "EPROTO",
    "ENETDOWN",
    "ENOPROTOOPT",
    "EHOSTDOWN",
    "ENONET",
    "EHOSTUNREACH",
    "EOPNOTSUPP",
    "ENETUNREACH",
    "ENOSR",
    "ESOCKTNOSUPPORT",
    "EPROTONOSUPPORT",
    "ETIMEDOUT",
    "ECONNRESET",
]
_ignorable_accept_errnos: set[int] = {
    getattr(errno, name)
    for name in _ignorable_accept_errno_names
    if hasattr(errno, name)
}


@final
class SocketListener(Listener[SocketStream]):
    """A listening socket as a listener.

    Args:
        socket: A listening stream socket of `trio.socket`; closed with the listener.

    Attributes:
        socket: The same.
    """

    def __init__(self, socket: SocketType) -> None:
        if not isinstance(socket, SocketType):
            raise TypeError("SocketListener requires a Trio socket object")
        if socket.type != stdlib_socket.SOCK_STREAM:
            raise ValueError("SocketListener requires a SOCK_STREAM socket")
        try:
            listening = socket.getsockopt(
                stdlib_socket.SOL_SOCKET, stdlib_socket.SO_ACCEPTCONN
            )
        except OSError:
            listening = 1  # macOS does not tell
        if not listening:
            raise ValueError("SocketListener requires a listening socket")
        self.socket = socket

    async def accept(self) -> SocketStream:
        """Wait for a connection and return it.

        A connection that fails before it is accepted is skipped.

        Raises:
            OSError: No connection can be accepted: no descriptor is left, ...
            trio.ClosedResourceError: The listener was closed, perhaps meanwhile.
        """
        while True:
            try:
                sock, _ = await self.socket.accept()
            except OSError as exc:
                if exc.errno in _closed_stream_errnos:
                    raise ClosedResourceError from None
                if exc.errno not in _ignorable_accept_errnos:
                    raise
            else:
                return SocketStream(sock)

    async def aclose(self) -> None:
        """Close the listener and its socket."""
        self.socket.close()
        await checkpoint()
