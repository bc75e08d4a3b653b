"""The type of all sockets, ours and those that a socket factory makes."""

from __future__ import annotations

import socket as stdlib_socket

from .._util import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable
    from socket import AddressFamily, SocketKind
    from typing import TypeAlias

    from typing_extensions import Buffer, Self

    from ._resolve import AddressFormat

    Ancillary: TypeAlias = list[tuple[int, int, bytes]]

DEFAULT_BACKLOG = min(stdlib_socket.SOMAXCONN, 128)


class SocketType:
    """A socket whose blocking methods are async. Make one with `trio.socket.socket`.

    The methods are those of `socket.socket`. Missing are what makes no sense here
    (timeouts, `makefile`) and what streams do better (`sendall`).
    """

    def __init__(self) -> None:
        super().__init__()
        if type(self) is SocketType:
            raise TypeError(
                "SocketType is an abstract class; use trio.socket.socket if you "
                "want to construct a socket object",
            )

    def detach(self) -> int:
        """Return the descriptor and give it away; the socket is closed then."""
        raise NotImplementedError

    def fileno(self) -> int:
        """Return the descriptor, -1 if closed."""
        raise NotImplementedError

    def getpeername(self) -> AddressFormat:
        """Return the address of the other end."""
        raise NotImplementedError

    def getsockname(self) -> AddressFormat:
        """Return the address of this end."""
        raise NotImplementedError

    @overload
    def getsockopt(self, level: int, optname: int, buflen: None = None) -> int: ...

    @overload
    def getsockopt(self, level: int, optname: int, buflen: int) -> bytes: ...

    def getsockopt(
        self, level: int, optname: int, buflen: int | None = None
    ) -> int | bytes:
        """Return an option.

        Args:
            level: Whose option it is, `SOL_SOCKET` say.
            optname: Which.
            buflen: How many bytes it has; None if it is an int.
        """
        raise NotImplementedError

    @overload
    def setsockopt(
        self, level: int, optname: int, value: int | Buffer, optlen: None = None
    ) -> None: ...

    @overload
    def setsockopt(
        self, level: int, optname: int, value: None, optlen: int
    ) -> None: ...

    def setsockopt(
        self,
        level: int,
        optname: int,
        value: int | Buffer | None,
        optlen: int | None = None,
    ) -> None:
        """Set an option.

        Args:
            level: Whose option it is, `SOL_SOCKET` say.
            optname: Which.
            value: An int, or bytes; None for a zero of `optlen` bytes.
            optlen: Only together with None.
        """
        raise NotImplementedError

    def listen(self, backlog: int = DEFAULT_BACKLOG) -> None:
        """Start to listen.

        Args:
            backlog: How many connections may wait to be accepted.
        """
        raise NotImplementedError

    def get_inheritable(self) -> bool:
        """Tell whether child processes inherit it."""
        raise NotImplementedError

    def set_inheritable(self, inheritable: bool) -> None:
        """Choose whether child processes inherit it.

        Args:
            inheritable: Whether they do; by default they do not.
        """
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Return the socket itself."""
        raise NotImplementedError

    def __exit__(self, *exc_info: object) -> None:
        """Close the socket."""
        raise NotImplementedError

    @property
    def family(self) -> AddressFamily:
        """What kind of addresses it has."""
        raise NotImplementedError

    @property
    def type(self) -> SocketKind:
        """Whether it carries a stream, datagrams, ..."""
        raise NotImplementedError

    @property
    def proto(self) -> int:
        """By which protocol."""
        raise NotImplementedError

    @property
    def did_shutdown_SHUT_WR(self) -> bool:
        """Whether it was shut down for sending."""
        raise NotImplementedError

    def __repr__(self) -> str:
        raise NotImplementedError

    def dup(self) -> SocketType:
        """Return another socket for the same connection."""
        raise NotImplementedError

    def close(self) -> None:
        """Close it; tasks that wait for it get `trio.ClosedResourceError`."""
        raise NotImplementedError

    async def bind(self, address: AddressFormat) -> None:
        """Give it an address on this machine; a checkpoint.

        Args:
            address: As for `socket.socket.bind`. A name in it is looked up.
        """
        raise NotImplementedError

    def shutdown(self, flag: int) -> None:
        """End sending, receiving or both; no checkpoint.

        Args:
            flag: `SHUT_WR`, `SHUT_RD` or `SHUT_RDWR`.
        """
        raise NotImplementedError

    def is_readable(self) -> bool:
        """Tell whether receiving would not have to wait."""
        raise NotImplementedError

    async def wait_writable(self) -> None:
        """Wait until sending would not have to wait; a checkpoint."""
        raise NotImplementedError

    async def accept(self) -> tuple[SocketType, AddressFormat]:
        """Wait for a connection; return it with the address of the other end.

        A checkpoint; cancelled, it has accepted none.
        """
        raise NotImplementedError

    async def connect(self, address: AddressFormat) -> None:
        """Connect to an address; a checkpoint.

        If this is cancelled, the socket is closed: nobody knows how far it came.

        Args:
            address: As for `socket.socket.connect`. A name in it is looked up.
        """
        raise NotImplementedError

    def recv(self, buflen: int, flags: int = 0, /) -> Awaitable[bytes]:
        """Wait for data and return some; nothing is returned at the end only.

        A checkpoint; cancelled, it has received nothing.

        Args:
            buflen: How much, at most.
            flags: `MSG_...`.
        """
        raise NotImplementedError

    def recv_into(
        self, buffer: Buffer, nbytes: int = 0, flags: int = 0
    ) -> Awaitable[int]:
        """Receive some data into a buffer; return how much.

        A checkpoint; cancelled, it has received nothing.

        Args:
            buffer: Where to put it.
            nbytes: How much, at most; 0 for as much as the buffer holds.
            flags: `MSG_...`.
        """
        raise NotImplementedError

    def recvfrom(
        self, bufsize: int, flags: int = 0, /
    ) -> Awaitable[tuple[bytes, AddressFormat]]:
        """Receive some data; return where it is from as well.

        A checkpoint; cancelled, it has received nothing.

        Args:
            bufsize: How much, at most; the rest of a datagram is lost.
            flags: `MSG_...`.
        """
        raise NotImplementedError

    def recvfrom_into(
        self, buffer: Buffer, nbytes: int = 0, flags: int = 0
    ) -> Awaitable[tuple[int, AddressFormat]]:
        """Receive some data into a buffer; return how much, and where it is from.

        A checkpoint; cancelled, it has received nothing.

        Args:
            buffer: Where to put it.
            nbytes: How much, at most; 0 for as much as the buffer holds.
            flags: `MSG_...`.
        """
        raise NotImplementedError

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> Awaitable[tuple[bytes, Ancillary, int, object]]:
        """Receive some data with what the system has to say about it.

        A checkpoint; cancelled, it has received nothing.

        Args:
            bufsize: How much data, at most.
            ancbufsize: How many bytes of ancillary data, at most; see `CMSG_SPACE`.
                What does not fit is lost.
            flags: `MSG_...`.

        Returns:
            The data; a list of ancillary data, each with its level, its type and its
            bytes; flags, which tell whether something was lost; where it is from.
        """
        raise NotImplementedError

    def recvmsg_into(
        self, buffers: Iterable[Buffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> Awaitable[tuple[int, Ancillary, int, object]]:
        """Receive some data into buffers with what the system has to say about it.

        A checkpoint; cancelled, it has received nothing.

        Args:
            buffers: They are filled one after the other.
            ancbufsize: As for `recvmsg`.
            flags: `MSG_...`.

        Returns:
            As `recvmsg`, but how much data there was instead of the data.
        """
        raise NotImplementedError

    def send(self, data: Buffer, flags: int = 0, /) -> Awaitable[int]:
        """Send some of the data; return how much.

        A checkpoint; cancelled, it has sent nothing. `trio.SocketStream.send_all`
        sends all of it.

        Args:
            data: The data.
            flags: `MSG_...`.
        """
        raise NotImplementedError

    @overload
    async def sendto(
        self, data: Buffer, address: tuple[object, ...] | str | Buffer, /
    ) -> int: ...

    @overload
    async def sendto(
        self, data: Buffer, flags: int, address: tuple[object, ...] | str | Buffer, /
    ) -> int: ...

    async def sendto(self, *args: object) -> int:
        """Send data to an address; return how much.

        A checkpoint; cancelled, it has sent nothing.

        Args:
            args: The data; flags, if any; the address. A name in it is looked up.
        """
        raise NotImplementedError

    async def sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancdata: Iterable[tuple[int, int, Buffer]] = (),
        flags: int = 0,
        address: AddressFormat | None = None,
        /,
    ) -> int:
        """Send data with something for the system; return how much.

        A checkpoint; cancelled, it has sent nothing.

        Args:
            buffers: The data, which is sent as one.
            ancdata: Ancillary data, each with its level, its type and its bytes.
            flags: `MSG_...`.
            address: Where to, if it is not connected. A name in it is looked up.
        """
        raise NotImplementedError
