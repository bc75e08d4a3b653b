"""Names and addresses.

What is numeric already is resolved at once; everything else takes a thread, or the
resolver that the user has set.
"""

from __future__ import annotations

import os
import socket as stdlib_socket

from .._core import RunVar, cancel_shielded_checkpoint, checkpoint_if_cancelled
from .._util import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from .._abc import Address, AddressInfo, HostnameResolver

    # What an address looks like depends on the family of the socket.
    AddressFormat: TypeAlias = Any
    _GetAddrInfoEntry: TypeAlias = AddressInfo


class _try_sync:
    """Tries a call that may block, as a checkpoint if it succeeds or fails.

    Only if it would have blocked does control reach what follows the block:

        async with _try_sync():
            return call()
        ...  # the call has raised BlockingIOError

    Args:
        blocking_exc_override: Tells whether an exception means that the call would
            have blocked, if it is not BlockingIOError that says so.
    """

    def __init__(
        self, blocking_exc_override: Callable[[BaseException], bool] | None = None
    ) -> None:
        self._blocking_exc_override = blocking_exc_override

    def _would_have_blocked(self, exc: BaseException) -> bool:
        if self._blocking_exc_override is not None:
            return self._blocking_exc_override(exc)
        return isinstance(exc, BlockingIOError)

    async def __aenter__(self) -> None:
        await checkpoint_if_cancelled()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: object,
    ) -> bool:
        if exc_value is not None and self._would_have_blocked(exc_value):
            return True
        await cancel_shielded_checkpoint()
        return False


def encode_hostname(hostname: str) -> bytes:
    """Return a host name as it is looked up: by IDNA 2008, as browsers do.

    Args:
        hostname: A name, or an address, which stays as it is.

    Raises:
        UnicodeError: It cannot be the name of a host.
    """
    try:
        return hostname.encode("ascii")  # also an IPv6 address, which idna refuses
    except UnicodeEncodeError:
        import idna

        # UTS 46 puts it into lower case first; plain IDNA refuses capitals.
        return idna.encode(hostname, uts46=True)


_resolver: RunVar[HostnameResolver | None] = RunVar("hostname_resolver")


def set_custom_hostname_resolver(
    hostname_resolver: HostnameResolver | None,
) -> HostnameResolver | None:
    """Resolve names otherwise, for the rest of this run; meant for tests.

    Args:
        hostname_resolver: Asked for all that is not numeric; None for the system.

    Returns:
        The one before.
    """
    before = _resolver.get(None)
    _resolver.set(hostname_resolver)
    return before


_NUMERIC_ONLY = stdlib_socket.AI_NUMERICHOST | getattr(
    stdlib_socket, "AI_NUMERICSERV", 0
)


def _is_not_numeric(exc: BaseException) -> bool:
    return (
        isinstance(exc, stdlib_socket.gaierror)
        and exc.errno == stdlib_socket.EAI_NONAME
    )


async def getaddrinfo(
    host: bytes | str | None,
    port: bytes | str | int | None,
    family: int = 0,
    type: int = 0,  # noqa: A002
    proto: int = 0,
    flags: int = 0,
) -> list[AddressInfo]:
    """Look up a host and a port, as `socket.getaddrinfo` does.

    A checkpoint. What is numeric is not looked up; the rest takes a thread, which is
    left alone if this is cancelled. Names with other letters than ASCII's are encoded
    by IDNA 2008.

    Args:
        host: A name or an address; None for this machine.
        port: A number, or the name of a service.
        family: Only addresses of this family, if not 0.
        type: Only for sockets of this type, if not 0.
        proto: Only for this protocol, if not 0.
        flags: `AI_...`.

    Raises:
        trio.socket.gaierror: There is no such host.
    """
    async with _try_sync(_is_not_numeric):
        return stdlib_socket.getaddrinfo(
            host, port, family, type, proto, flags | _NUMERIC_ONLY
        )
    if isinstance(host, str):
        host = encode_hostname(host)
    resolver = _resolver.get(None)
    if resolver is not None:
        return await resolver.getaddrinfo(host, port, family, type, proto, flags)
    from .._threads import to_thread_run_sync

    return await to_thread_run_sync(
        stdlib_socket.getaddrinfo,
        host,
        port,
        family,
        type,
        proto,
        flags,
        abandon_on_cancel=True,
    )


async def getnameinfo(sockaddr: Address, flags: int) -> tuple[str, str]:
    """Look up the name of an address, as `socket.getnameinfo` does.

    A checkpoint. It takes a thread, which is left alone if this is cancelled.

    Args:
        sockaddr: Host and port, for IP version 6 perhaps flow and scope as well.
        flags: `NI_...`.
    """
    resolver = _resolver.get(None)
    if resolver is not None:
        return await resolver.getnameinfo(sockaddr, flags)
    from .._threads import to_thread_run_sync

    return await to_thread_run_sync(
        stdlib_socket.getnameinfo, sockaddr, flags, abandon_on_cancel=True
    )


async def getprotobyname(name: str) -> int:
    """Look up the number of a protocol, as `socket.getprotobyname` does.

    A checkpoint. It takes a thread, which is left alone if this is cancelled.

    Args:
        name: "tcp", "udp", ...
    """
    from .._threads import to_thread_run_sync

    return await to_thread_run_sync(
        stdlib_socket.getprotobyname, name, abandon_on_cancel=True
    )


async def _resolve_address_nocp(
    type_: int,
    family: int,
    proto: int,
    *,
    ipv6_v6only: bool | int,
    address: AddressFormat,
    local: bool,
) -> AddressFormat:
    """Turn an address into one without names; only sometimes a checkpoint.

    Args:
        type_: Type of the socket.
        family: Family of the socket.
        proto: Protocol of the socket.
        ipv6_v6only: Whether an IPv6 socket cannot reach IPv4.
        address: As Python has it: host and port, for IP.
        local: Whether it is an address of this machine, to be bound to.
    """
    if family == stdlib_socket.AF_INET:
        if not isinstance(address, tuple) or len(address) != 2:
            raise ValueError("address should be a (host, port) tuple")
    elif family == stdlib_socket.AF_INET6:
        if not isinstance(address, tuple) or not 2 <= len(address) <= 4:
            raise ValueError(
                "address should be a (host, port, [flowinfo, [scopeid]]) tuple",
            )
    elif family == getattr(stdlib_socket, "AF_UNIX", None):
        assert isinstance(address, (str, bytes, os.PathLike))
        return os.fspath(address)
    else:
        return address
    host, port = address[:2]
    if _is_resolved(family, host, port):
        return address
    if host == "":  # these two mean something special to the standard library
        host = None
    elif host == "<broadcast>":
        host = "255.255.255.255"
    # No AI_ADDRCONFIG: the family is given, and if that does not work here the
    # socket will say so soon enough.
    flags = stdlib_socket.AI_PASSIVE if local else 0
    if family == stdlib_socket.AF_INET6 and not ipv6_v6only:
        flags |= stdlib_socket.AI_V4MAPPED
    found = await getaddrinfo(host, port, family, type_, proto, flags)
    assert found, "getaddrinfo fails rather than return nothing"
    resolved = found[0][4]
    if family == stdlib_socket.AF_INET6:
        # Flow and scope are not looked up, they stay as they were.
        return (*resolved[:2], *address[2:], *resolved[len(address) :])
    return resolved


def _is_resolved(family: int, host: object, port: object) -> bool:
    """Tell whether an address is numeric: every sendto of a UDP socket asks."""
    if not isinstance(port, int) or not isinstance(host, str):
        return False
    try:
        stdlib_socket.inet_pton(family, host)  # with a NUL in it: ValueError
    except OSError:
        return False
    return True
