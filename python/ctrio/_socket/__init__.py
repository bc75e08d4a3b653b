"""What `trio.socket` has beyond the constants of the standard library."""

from ._abstract import SocketType as SocketType
from ._resolve import (
    _NUMERIC_ONLY as _NUMERIC_ONLY,
    _resolve_address_nocp as _resolve_address_nocp,
    _resolver as _resolver,
    _try_sync as _try_sync,
    encode_hostname as encode_hostname,
    getaddrinfo as getaddrinfo,
    getnameinfo as getnameinfo,
    getprotobyname as getprotobyname,
    set_custom_hostname_resolver as set_custom_hostname_resolver,
)
from ._wrapper import (
    _socket_factory as _socket_factory,
    _SocketType as _SocketType,
    from_stdlib_socket as from_stdlib_socket,
    fromfd as fromfd,
    set_custom_socket_factory as set_custom_socket_factory,
    socket as socket,
    socketpair as socketpair,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._resolve import (
        AddressFormat as AddressFormat,
        _GetAddrInfoEntry as _GetAddrInfoEntry,
    )
else:
    # Tests import these two at run time, where they mean nothing.
    AddressFormat = object
    _GetAddrInfoEntry = tuple
