"""Opens listeners for TCP."""

from __future__ import annotations

import errno
import sys

from . import socket as tsocket
from ._core import TASK_STATUS_IGNORED
from ._highlevel_serve_listeners import serve_listeners
from ._highlevel_socket import SocketListener, SocketStream
from ._util import TYPE_CHECKING

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from ._core import Nursery, TaskStatus
    from ._socket import SocketType

_BACKLOG_MAX = 0xFFFF
"""Some systems keep the length of the queue in 16 bits and let it overflow."""


def _compute_backlog(backlog: int | None) -> int:
    """Return the length of the queue of a listening socket.

    By default as long as it gets: the system cuts it to its own limit, and a
    connection that does not fit is worse off than one that waits.
    """
    if backlog is None:
        return _BACKLOG_MAX
    if not isinstance(backlog, int):
        raise TypeError(f"backlog must be an int or None, not {backlog!r}")
    return min(backlog, _BACKLOG_MAX)


async def open_tcp_listeners(
    port: int,
    *,
    host: str | bytes | None = None,
    backlog: int | None = None,
) -> list[SocketListener]:
    """Listen for TCP connections.

    Args:
        port: 0 lets the system choose, for each address another one.
        host: An address, or a name for several; None for all of this machine, IPv4
            and IPv6.
        backlog: How many connections may wait to be accepted.

    Returns:
        A listener for each address.

    Raises:
        TypeError: `port` or `backlog` is not a number.
        OSError: One of the addresses cannot be had.
    """
    if not isinstance(port, int):
        raise TypeError(f"port must be an int not {port!r}")
    queue_length = _compute_backlog(backlog)
    addresses = await tsocket.getaddrinfo(
        host, port, type=tsocket.SOCK_STREAM, flags=tsocket.AI_PASSIVE
    )
    listeners: list[SocketListener] = []
    unsupported: list[OSError] = []
    try:
        for family, kind, proto, _, sockaddr in addresses:
            try:
                sock = tsocket.socket(family, kind, proto)
            except OSError as exc:
                # getaddrinfo also tells of IPv6 addresses where there is no IPv6.
                if exc.errno != errno.EAFNOSUPPORT:
                    raise
                unsupported.append(exc)
                continue
            listeners.append(await _listen(sock, family, sockaddr, queue_length))
    except BaseException:
        for listener in listeners:
            listener.socket.close()
        raise
    if unsupported and not listeners:
        msg = (
            "This system doesn't support any of the kinds of "
            "socket that that address could use"
        )
        raise OSError(errno.EAFNOSUPPORT, msg) from ExceptionGroup(msg, unsupported)
    return listeners


async def _listen(
    sock: SocketType, family: int, sockaddr: Any, queue_length: int
) -> SocketListener:
    try:
        if sys.platform != "win32":  # where it would let anybody take the address
            sock.setsockopt(tsocket.SOL_SOCKET, tsocket.SO_REUSEADDR, 1)
        if family == tsocket.AF_INET6:
            sock.setsockopt(tsocket.IPPROTO_IPV6, tsocket.IPV6_V6ONLY, 1)
        await sock.bind(sockaddr)
        sock.listen(queue_length)
        return SocketListener(sock)
    except BaseException:
        sock.close()
        raise


async def serve_tcp(
    handler: Callable[[SocketStream], Awaitable[object]],
    port: int,
    *,
    host: str | bytes | None = None,
    backlog: int | None = None,
    handler_nursery: Nursery | None = None,
    task_status: TaskStatus[list[SocketListener]] = TASK_STATUS_IGNORED,
) -> None:
    """Listen for TCP connections, and run a task for each; only cancelling ends it.

    An error in a handler ends the whole server, as in any nursery.

    Args:
        handler: An async function that gets the connection.
        port: See `open_tcp_listeners`.
        host: See `open_tcp_listeners`.
        backlog: See `open_tcp_listeners`.
        handler_nursery: Where the tasks run; by default in a nursery of its own.
        task_status: With `Nursery.start` the listeners are returned.
    """
    listeners = await open_tcp_listeners(port, host=host, backlog=backlog)
    await serve_listeners(
        handler, listeners, handler_nursery=handler_nursery, task_status=task_status
    )
