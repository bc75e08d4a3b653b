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
        """Give the descriptor away; the socket is closed then."""
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
        """Return an option."""
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
        """Set an option."""
        raise NotImplementedError

    def listen(self, backlog: int = DEFAULT_BACKLOG) -> None:
        """Start to listen; `backlog` connections may wait to be accepted."""
        raise NotImplementedError

    def get_inheritable(self) -> bool:
        """Tell whether child processes inherit it."""
        raise NotImplementedError

    def set_inheritable(self, inheritable: bool) -> None:
        """Choose whether child processes inherit it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(self, *exc_info: object) -> None:
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
        """Close it; tasks that wait for it get ClosedResourceError."""
        raise NotImplementedError

    async def bind(self, address: AddressFormat) -> None:
        """Give it an address on this machine."""
        raise NotImplementedError

    def shutdown(self, flag: int) -> None:
        """End sending, receiving or both."""
        raise NotImplementedError

    def is_readable(self) -> bool:
        """Tell whether receiving would not have to wait."""
        raise NotImplementedError

    async def wait_writable(self) -> None:
        """Wait until sending would not have to wait."""
        raise NotImplementedError

    async def accept(self) -> tuple[SocketType, AddressFormat]:
        """Wait for a connection; return it with the address of the other end."""
        raise NotImplementedError

    async def connect(self, address: AddressFormat) -> None:
        """Connect to an address; if this is cancelled, the socket is closed."""
        raise NotImplementedError

    def recv(self, buflen: int, flags: int = 0, /) -> Awaitable[bytes]:
        """Receive some data."""
        raise NotImplementedError

    def recv_into(
        self, buffer: Buffer, nbytes: int = 0, flags: int = 0
    ) -> Awaitable[int]:
        """Receive some data into a buffer; return how much."""
        raise NotImplementedError

    def recvfrom(
        self, bufsize: int, flags: int = 0, /
    ) -> Awaitable[tuple[bytes, AddressFormat]]:
        """Receive some data; return where it is from as well."""
        raise NotImplementedError

    def recvfrom_into(
        self, buffer: Buffer, nbytes: int = 0, flags: int = 0
    ) -> Awaitable[tuple[int, AddressFormat]]:
        """Receive some data into a buffer; return how much, and where it is from."""
        raise NotImplementedError

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> Awaitable[tuple[bytes, Ancillary, int, object]]:
        """Receive some data with what the system has to say about it."""
        raise NotImplementedError

    def recvmsg_into(
        self, buffers: Iterable[Buffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> Awaitable[tuple[int, Ancillary, int, object]]:
        """Receive some data into buffers with what the system has to say about it."""
        raise NotImplementedError

    def send(self, data: Buffer, flags: int = 0, /) -> Awaitable[int]:
        """Send some of the data; return how much."""
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
        """Send data to an address."""
        raise NotImplementedError

    async def sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancdata: Iterable[tuple[int, int, Buffer]] = (),
        flags: int = 0,
        address: AddressFormat | None = None,
        /,
    ) -> int:
        """Send data with something for the system."""
        raise NotImplementedError
