"""Connects to a host by TCP, whichever of its addresses answers ("happy eyeballs").

A name may have several addresses, some of which lead nowhere, IPv6 ones in
particular. Trying them one after the other may take minutes, all at once is a burden
on the host. So the next one is tried when the one before has failed, or has not
answered for a quarter of a second; the first to answer wins. See RFC 6555, and
RFC 8305 for why the system's order of addresses is the one to go by.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager

from . import socket as tsocket
from ._core import open_nursery
from ._highlevel_socket import SocketStream
from ._sync import Event
from ._timeouts import move_on_after
from ._util import TYPE_CHECKING, InOrder

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Generator, MutableSequence
    from typing import Any

    from ._core import Nursery
    from ._socket import SocketType, _GetAddrInfoEntry

DEFAULT_DELAY = 0.250
"""How long to wait for an answer before the next address is tried; in seconds.

RFC 6555 wants between 150 and 250 ms, Chrome used 300 and Firefox 250.
"""


@contextmanager
def close_all() -> Generator[InOrder[SocketType], None, None]:
    """Give a set, and close all sockets in it at the end, the first to come first."""
    sockets: InOrder[SocketType] = InOrder()
    try:
        yield sockets
    finally:
        errors: list[BaseException] = []
        for sock in sockets:
            try:
                sock.close()
            except BaseException as exc:
                errors.append(exc)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup("", errors)


def reorder_for_rfc_6555_section_5_4(
    targets: MutableSequence[_GetAddrInfoEntry],
) -> None:
    """Let the second address be of another family than the first.

    If one family does not work at all, one wait is enough to find out.

    Args:
        targets: What getaddrinfo has returned; changed in place.
    """
    for index, target in enumerate(targets):
        if target[0] != targets[0][0]:
            targets.insert(1, targets.pop(index))
            return


def format_host_port(host: str | bytes, port: int | str) -> str:
    """Write host and port as in a URL."""
    if isinstance(host, bytes):
        host = host.decode("ascii")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def open_tcp_stream(
    host: str | bytes,
    port: int,
    *,
    happy_eyeballs_delay: float | None = DEFAULT_DELAY,
    local_address: str | None = None,
) -> SocketStream:
    """Connect to a host by TCP.

    Args:
        host: A name or an address.
        port: The port.
        happy_eyeballs_delay: After how many seconds without an answer the next of
            the host's addresses is tried as well. `math.inf`: only when the one
            before has failed.
        local_address: The address or name of this machine to connect from;
            "0.0.0.0" or "::" just for the family. The system's choice by default.

    Returns:
        The connection.

    Raises:
        OSError: None of the addresses can be connected to. The cause is a group of
            what each of them said.
    """
    if not isinstance(host, (str, bytes)):
        raise ValueError(f"host must be str or bytes, not {host!r}")
    if not isinstance(port, int):
        raise TypeError(f"port must be int, not {port!r}")
    if happy_eyeballs_delay is None:
        happy_eyeballs_delay = DEFAULT_DELAY
    targets = await tsocket.getaddrinfo(host, port, type=tsocket.SOCK_STREAM)
    if not targets:
        raise OSError(
            f"no results found for hostname lookup: {format_host_port(host, port)}"
        )
    reorder_for_rfc_6555_section_5_4(targets)
    with close_all() as open_sockets:
        async with open_nursery() as nursery:
            race = _Race(nursery, open_sockets, local_address)
            for target in targets:
                failed = Event()
                nursery.start_soon(race.attempt, target, failed)
                with move_on_after(happy_eyeballs_delay):
                    await failed.wait()
        if race.winner is None:
            assert len(race.errors) == len(targets)
            msg = f"all attempts to connect to {format_host_port(host, port)} failed"
            raise OSError(msg) from ExceptionGroup(msg, race.errors)
        stream = SocketStream(race.winner)
        open_sockets.remove(race.winner)
        return stream


class _Race:
    """The attempts to connect to one host: what has come of them so far."""

    def __init__(
        self,
        nursery: Nursery,
        open_sockets: InOrder[SocketType],
        local_address: str | None,
    ) -> None:
        self.nursery = nursery
        self.open_sockets = open_sockets
        self.local_address = local_address
        self.winner: SocketType | None = None
        self.errors: list[OSError] = []

    async def attempt(self, target: _GetAddrInfoEntry, failed: Event) -> None:
        """Try one address, and end the race if it answers."""
        family, kind, proto, _, sockaddr = target
        try:
            sock = tsocket.socket(family, kind, proto)
            self.open_sockets.add(sock)
            if self.local_address is not None:
                await self._bind(sock, self.local_address, sockaddr)
            await sock.connect(sockaddr)
        except OSError as exc:
            self.errors.append(exc)
            failed.set()
            return
        # Another attempt may succeed before it is cancelled; then the last one wins,
        # and the other socket is closed with those of the losers.
        self.winner = sock
        self.nursery.cancel_scope.cancel(reason="successfully found a socket")

    async def _bind(self, sock: SocketType, local_address: str, sockaddr: Any) -> None:
        try:
            # No port is taken before it is known where the connection goes: there
            # are more ports then.
            sock.setsockopt(tsocket.IPPROTO_IP, tsocket.IP_BIND_ADDRESS_NO_PORT, 1)
        except (OSError, AttributeError):
            pass
        try:
            await sock.bind((local_address, 0))
        except OSError:
            raise OSError(
                f"local_address={local_address!r} is incompatible "
                f"with remote address {sockaddr!r}",
            ) from None
