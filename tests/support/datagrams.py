"""Sockets for messages, in pairs: what the tests of their operations begin with."""

from __future__ import annotations

import socket as stdlib_socket

from ctrio import socket as tsocket
from ctrio._socket import _SocketType

DATAGRAMS = stdlib_socket.SOCK_DGRAM
Pair = tuple[_SocketType, _SocketType]


def ours(sock: stdlib_socket.socket) -> _SocketType:
    made = tsocket.from_stdlib_socket(sock)
    assert isinstance(made, _SocketType)
    return made
