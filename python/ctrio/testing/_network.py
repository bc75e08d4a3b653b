"""Connects to a listener of the same test."""

from .. import socket as tsocket
from .._highlevel_socket import SocketListener, SocketStream

_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


async def open_stream_to_socket_listener(
    socket_listener: SocketListener,
) -> SocketStream:
    """Connect to a listener, at the port that the system has chosen for it.

    Args:
        socket_listener: One that `trio.open_tcp_listeners(0)` has opened, say.
    """
    family = socket_listener.socket.family
    address = socket_listener.socket.getsockname()
    if family in (tsocket.AF_INET, tsocket.AF_INET6):
        host, *others = address
        address = (_HERE.get(host, host), *others)
    sock = tsocket.socket(family=family)
    await sock.connect(address)
    return SocketStream(sock)
