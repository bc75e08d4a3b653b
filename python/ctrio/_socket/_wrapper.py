"""Our sockets: a socket of the standard library, and the C core for what may block.

Receiving, sending, `accept` and `connect` are operations of the core, which calls the
system itself. Everything else goes through the standard library's socket.
"""

from __future__ import annotations

import os
import select
import socket as stdlib_socket
import sys
from operator import index

from .._core import Cancelled, RunVar, checkpoint, wait_writable
from .._ctrio import SocketBase
from .._util import TYPE_CHECKING, final, overload
from ._abstract import DEFAULT_BACKLOG, SocketType
from ._resolve import _resolve_address_nocp, _try_sync

if TYPE_CHECKING:
    from socket import AddressFamily, SocketKind
    from typing import Any, SupportsIndex, TypeVar

    from typing_extensions import Buffer, Self

    from .._abc import SocketFactory
    from ._resolve import AddressFormat

    T = TypeVar("T")

_SOCK_NONBLOCK = getattr(stdlib_socket, "SOCK_NONBLOCK", 0)
_AF_UNIX = getattr(stdlib_socket, "AF_UNIX", None)


@final
class _SocketType(SocketBase, SocketType):
    """A socket of ours; `_sock` is that of the standard library."""

    def __init__(self, sock: stdlib_socket.socket) -> None:
        if type(sock) is not stdlib_socket.socket:
            # An SSLSocket is one too, and would not work.
            raise TypeError(
                f"expected object of type 'socket.socket', not '{type(sock).__name__}'",
            )
        if sock.gettimeout() != 0.0:  # else it is so already: saves a system call
            sock.setblocking(False)
        self._sock = sock

    def detach(self) -> int:
        """Give the descriptor away; the socket is closed then."""
        if self._sock.fileno() != -1:
            self._release()
        return self._sock.detach()

    def fileno(self) -> int:
        """Return the descriptor, -1 if closed."""
        return self._sock.fileno()

    def getpeername(self) -> AddressFormat:
        """Return the address of the other end."""
        return self._sock.getpeername()

    def getsockname(self) -> AddressFormat:
        """Return the address of this end."""
        return self._sock.getsockname()

    @overload
    def getsockopt(self, level: int, optname: int, buflen: None = None) -> int: ...

    @overload
    def getsockopt(self, level: int, optname: int, buflen: int) -> bytes: ...

    def getsockopt(
        self, level: int, optname: int, buflen: int | None = None
    ) -> int | bytes:
        """Return an option."""
        if buflen is None:
            return self._sock.getsockopt(level, optname)
        return self._sock.getsockopt(level, optname, buflen)

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
        if optlen is None:
            if value is None:
                raise TypeError(
                    "invalid value for argument 'value', must not be None when "
                    "specifying optlen",
                )
            self._sock.setsockopt(level, optname, value)
            return
        if value is not None:
            raise TypeError(
                f"invalid value for argument 'value': {value!r}, must be None when "
                "specifying optlen",
            )
        self._sock.setsockopt(level, optname, value, optlen)

    def listen(self, backlog: int = DEFAULT_BACKLOG) -> None:
        """Start to listen; `backlog` connections may wait to be accepted."""
        self._sock.listen(backlog)

    def get_inheritable(self) -> bool:
        """Tell whether child processes inherit it."""
        return self._sock.get_inheritable()

    def set_inheritable(self, inheritable: bool) -> None:
        """Choose whether child processes inherit it."""
        self._sock.set_inheritable(inheritable)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def family(self) -> AddressFamily:
        """What kind of addresses it has."""
        return self._sock.family

    @property
    def type(self) -> SocketKind:
        """Whether it carries a stream, datagrams, ..."""
        return self._sock.type

    @property
    def proto(self) -> int:
        """By which protocol."""
        return self._sock.proto

    @property
    def did_shutdown_SHUT_WR(self) -> bool:
        """Whether it was shut down for sending."""
        return self._did_shutdown_SHUT_WR

    def __repr__(self) -> str:
        return repr(self._sock).replace("socket.socket", "trio.socket.socket")

    def dup(self) -> SocketType:
        """Return another socket for the same connection."""
        return _SocketType(self._sock.dup())

    def close(self) -> None:
        """Close it; tasks that wait for it get ClosedResourceError."""
        if self._sock.fileno() != -1:
            self._release()
            self._sock.close()

    async def bind(self, address: AddressFormat) -> None:
        """Give it an address on this machine."""
        address = await self._resolve_address_nocp(address, local=True)
        if self.family == _AF_UNIX and address[:1] not in ("", b"", "\0", b"\0"):
            # It has to find its way through the file system, which takes its time.
            from .._threads import to_thread_run_sync

            await to_thread_run_sync(self._sock.bind, address)
        else:
            await checkpoint()
            self._sock.bind(address)

    def shutdown(self, flag: int) -> None:
        """End sending, receiving or both."""
        self._sock.shutdown(flag)
        if flag in (stdlib_socket.SHUT_WR, stdlib_socket.SHUT_RDWR):
            self._did_shutdown_SHUT_WR = True

    def is_readable(self) -> bool:
        """Tell whether receiving would not have to wait."""
        if sys.platform == "win32":
            ready, _, _ = select.select([self._sock], [], [], 0)
            return bool(ready)
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    async def wait_writable(self) -> None:
        """Wait until sending would not have to wait."""
        await wait_writable(self._sock)

    async def _resolve_address_nocp(
        self, address: AddressFormat, *, local: bool
    ) -> AddressFormat:
        ipv6_v6only = False
        if self.family == stdlib_socket.AF_INET6:
            ipv6_v6only = bool(
                self._sock.getsockopt(
                    stdlib_socket.IPPROTO_IPV6, stdlib_socket.IPV6_V6ONLY
                )
            )
        return await _resolve_address_nocp(
            self.type,
            self.family,
            self.proto,
            ipv6_v6only=ipv6_v6only,
            address=address,
            local=local,
        )

    async def accept(self) -> tuple[SocketType, AddressFormat]:
        """Wait for a connection; return it with the address of the other end."""
        fd, address = await self._accept()
        sock = self._sock
        try:
            # SOCK_NONBLOCK tells what the descriptor is already: no system call.
            accepted = stdlib_socket.socket(
                sock.family, sock.type | _SOCK_NONBLOCK, sock.proto, fileno=fd
            )
        except BaseException:
            os.close(fd)
            raise
        wrapper = _SocketType.__new__(_SocketType)
        wrapper._sock = accepted
        return wrapper, address

    async def connect(self, address: AddressFormat) -> None:
        """Connect to an address; if this is cancelled, the socket is closed."""
        try:
            address = await self._resolve_address_nocp(address, local=False)
            if type(self._sock) is stdlib_socket.socket:
                await self._connect(address)
            else:
                await self._connect_foreign(address)
        except Cancelled:
            # It may still connect, or be connected: nobody can use it like that.
            self.close()
            raise

    async def _connect_foreign(self, address: AddressFormat) -> None:
        """Connect a socket whose class has a `connect` of its own."""
        async with _try_sync():
            self._sock.connect(address)
            return
        await wait_writable(self._sock)
        code = self._sock.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_ERROR)
        if code:
            raise OSError(code, f"Error connecting to {address!r}: {os.strerror(code)}")

    async def _send_resolved(self, send: str, *args: Any) -> int:
        """Go on with `sendto` or `sendmsg`, whose address is no number yet.

        Args:
            send: The method of the core that takes it from there.
            args: Its arguments; the address is the last one.
        """
        *before, address = args
        address = await self._resolve_address_nocp(address, local=False)
        sent: int = await getattr(self, send)(*before, address)
        return sent


_socket_factory: RunVar[SocketFactory | None] = RunVar("socket_factory")


def set_custom_socket_factory(
    socket_factory: SocketFactory | None,
) -> SocketFactory | None:
    """Have sockets made otherwise, for the rest of this run; meant for tests.

    Args:
        socket_factory: Makes them; None for ours.

    Returns:
        The one before.
    """
    before = _socket_factory.get(None)
    _socket_factory.set(socket_factory)
    return before


def from_stdlib_socket(sock: stdlib_socket.socket) -> SocketType:
    """Take over a socket of the standard library.

    Args:
        sock: Exactly a `socket.socket`; it becomes non-blocking.
    """
    return _SocketType(sock)


def fromfd(
    fd: SupportsIndex,
    family: AddressFamily | int = stdlib_socket.AF_INET,
    type: SocketKind | int = stdlib_socket.SOCK_STREAM,  # noqa: A002
    proto: int = 0,
) -> SocketType:
    """Make a socket of a duplicate of a descriptor, as `socket.fromfd` does.

    Args:
        fd: The descriptor; it stays open, and the caller's. On Linux it is the system
            that is asked for the rest.
        family: `AF_...`.
        type: `SOCK_...`.
        proto: By which protocol; 0 leaves it to the system.
    """
    family, type, proto = _ask_system(family, type, proto, index(fd))  # noqa: A001
    return _SocketType(stdlib_socket.fromfd(fd, family, type, proto))


def socketpair(
    family: int | AddressFamily | None = None,
    type: SocketKind | int = stdlib_socket.SOCK_STREAM,  # noqa: A002
    proto: int = 0,
) -> tuple[SocketType, SocketType]:
    """Make two connected sockets, as `socket.socketpair` does.

    Args:
        family: `AF_...`; by default `AF_UNIX` where it exists.
        type: `SOCK_...`.
        proto: By which protocol; 0 leaves it to the system.
    """
    left, right = stdlib_socket.socketpair(family, type, proto)
    return _SocketType(left), _SocketType(right)


def socket(
    family: AddressFamily | int = stdlib_socket.AF_INET,
    type: SocketKind | int = stdlib_socket.SOCK_STREAM,  # noqa: A002
    proto: int = 0,
    fileno: int | None = None,
) -> SocketType:
    """Make a socket, as `socket.socket` does.

    Args:
        family: `AF_...`.
        type: `SOCK_...`.
        proto: By which protocol; 0 leaves it to the system.
        fileno: A descriptor to take over, instead of a new one. On Linux it is the
            system that is asked for the rest.
    """
    if fileno is not None:
        family, type, proto = _ask_system(family, type, proto, fileno)  # noqa: A001
    else:
        factory = _socket_factory.get(None)
        if factory is not None:
            return factory.socket(family, type, proto)
    return _SocketType(stdlib_socket.socket(family, type, proto, fileno))


def _ask_system(
    family: AddressFamily | int, type_: SocketKind | int, proto: int, fileno: int
) -> tuple[AddressFamily | int, SocketKind | int, int]:
    """Return what a descriptor really is; what the caller says where nobody knows."""
    if sys.platform != "linux":
        return family, type_, proto
    asked = stdlib_socket.socket(family, type_, proto, fileno=fileno)
    try:
        level = stdlib_socket.SOL_SOCKET
        return (
            asked.getsockopt(level, stdlib_socket.SO_DOMAIN),
            asked.getsockopt(level, stdlib_socket.SO_TYPE),
            asked.getsockopt(level, stdlib_socket.SO_PROTOCOL),
        )
    finally:
        asked.detach()  # or it would be closed
