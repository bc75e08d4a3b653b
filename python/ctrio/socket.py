"""The standard library's `socket`, with async functions in place of blocking ones."""

import socket as _stdlib_socket
import sys as _sys

from ._socket import (
    SocketType as SocketType,
    from_stdlib_socket as from_stdlib_socket,
    fromfd as fromfd,
    getaddrinfo as getaddrinfo,
    getnameinfo as getnameinfo,
    getprotobyname as getprotobyname,
    set_custom_hostname_resolver as set_custom_hostname_resolver,
    set_custom_socket_factory as set_custom_socket_factory,
    socket as socket,
    socketpair as socketpair,
)

_PLAIN = {
    "gaierror",
    "gethostname",
    "herror",
    "htonl",
    "htons",
    "if_indextoname",
    "if_nameindex",
    "if_nametoindex",
    "inet_aton",
    "inet_ntoa",
    "inet_ntop",
    "inet_pton",
    "ntohs",
    "sethostname",
}
"""What else of the standard library does not block; not all of it is everywhere."""

# Windows has SO_REUSEADDR, but there it lets anybody take over the address.
_left_out = {"SO_REUSEADDR"} if _sys.platform == "win32" else set()

if _sys.platform == "linux":
    IP_BIND_ADDRESS_NO_PORT = 24  # Python's own module has it from 3.12 on

_constants = filter(str.isupper, _stdlib_socket.__all__)
for _name in _PLAIN.union(_constants) - _left_out:
    if hasattr(_stdlib_socket, _name):
        globals()[_name] = getattr(_stdlib_socket, _name)

del _name
