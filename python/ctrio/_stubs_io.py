"""Those of the stubs that are of sockets and streams; see `_stubs`."""

from __future__ import annotations

from ._util import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from typing_extensions import Buffer

    from ._ctrio import _Waitable


class SocketBase:
    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        """Receive some data.

        What it takes is told by `trio.socket.SocketType.recv`.
        """
        raise NotImplementedError

    async def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """Receive some data into a buffer; return how much.

        What it takes is told by `trio.socket.SocketType.recv_into`.
        """
        raise NotImplementedError

    async def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Send some of the data; return how much.

        What it takes is told by `trio.socket.SocketType.send`.
        """
        raise NotImplementedError

    async def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """Receive some data; return where it is from as well.

        What it takes is told by `trio.socket.SocketType.recvfrom`.
        """
        raise NotImplementedError

    async def recvfrom_into(
        self, buffer: Buffer, nbytes: int = 0, flags: int = 0
    ) -> tuple[int, Any]:
        """Receive some data into a buffer; return how much, and where it is from.

        What it takes is told by `trio.socket.SocketType.recvfrom_into`.
        """
        raise NotImplementedError

    async def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
        """Receive some data with what the system has to say about it.

        Args:
            bufsize: How much data, at most.
            ancbufsize: How many bytes of ancillary data, at most; see
                `socket.CMSG_SPACE`. What does not fit is lost.
            flags: As for the system's `recvmsg`.

        Returns:
            The data; a list of ancillary data, each with its level, its type and its
            bytes; flags, which tell whether something was lost; where it is from.
        """
        raise NotImplementedError

    async def recvmsg_into(
        self, buffers: Iterable[Buffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Any]:
        """Receive some data into buffers with what the system has to say about it.

        Args:
            buffers: They are filled one after the other.
            ancbufsize: As for `recvmsg`.
            flags: As for `recvmsg`.

        Returns:
            As `recvmsg`, but how much data there was instead of the data.
        """
        raise NotImplementedError

    async def sendto(self, *args: Any) -> int:
        """Send data to an address; return how much.

        Args:
            args: The data; flags, if any; the address. A name in it is looked up.
        """
        raise NotImplementedError

    async def sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancdata: Iterable[tuple[int, int, Buffer]] = (),
        flags: int = 0,
        address: Any = None,
        /,
    ) -> int:
        """Send data with something for the system; return how much.

        Args:
            buffers: The data, which is sent as one.
            ancdata: Ancillary data, each with its level, its type and its bytes.
            flags: As for the system's `sendmsg`.
            address: Where to; a name in it is looked up.
        """
        raise NotImplementedError

    async def _sendto(self, *args: Any) -> int:
        """Do what `sendto` does once names have been looked up."""
        raise NotImplementedError

    async def _sendmsg(
        self,
        buffers: Iterable[Buffer],
        ancdata: Iterable[tuple[int, int, Buffer]] = (),
        flags: int = 0,
        address: Any = None,
        /,
    ) -> int:
        """Do what `sendmsg` does once names have been looked up."""
        raise NotImplementedError

    async def _accept(self) -> tuple[int, Any]:
        raise NotImplementedError

    async def _connect(self, address: Any) -> None:
        raise NotImplementedError


class SocketStreamBase:
    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of the data; see `trio.abc.SendStream.send_all`.

        Args:
            data: The data; nothing is a checkpoint all the same.
        """

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there may be room for more data."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for data and return some; nothing is returned at the end only.

        Cancelled, it has taken nothing.

        Args:
            max_bytes: Return no more than this; by default what suits the system.
        """
        raise NotImplementedError


class IOManagerBase:
    async def wait_readable(self, fd: _Waitable) -> None:
        """Wait until there is something to read."""

    async def wait_writable(self, fd: _Waitable) -> None:
        """Wait until there is room to write."""
