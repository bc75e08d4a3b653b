"""What works with any stream."""

from __future__ import annotations

from ._abc import AsyncResource, Generic, HalfCloseableStream, ReceiveStream, SendStream
from ._core import CancelScope
from ._util import TYPE_CHECKING, final

if TYPE_CHECKING:
    from typing import TypeVar

    SendStreamT = TypeVar("SendStreamT", bound=SendStream)
    ReceiveStreamT = TypeVar("ReceiveStreamT", bound=ReceiveStream)
else:
    SendStreamT = ReceiveStreamT = object


async def aclose_forcefully(resource: AsyncResource) -> None:
    """Close something at once, in whatever state that leaves the other side.

    It is a checkpoint, but does not wait: the resource is closed in a scope that is
    cancelled already.

    Args:
        resource: What is to be closed.
    """
    with CancelScope() as scope:
        scope.cancel(reason="cancelled during aclose_forcefully")
        await resource.aclose()


@final
class StapledStream(HalfCloseableStream, Generic[SendStreamT, ReceiveStreamT]):
    """Two streams of one direction each, as one of both.

    Attributes:
        send_stream: Takes what is sent.
        receive_stream: Gives what is received.
    """

    def __init__(
        self, send_stream: SendStreamT, receive_stream: ReceiveStreamT
    ) -> None:
        self.send_stream = send_stream
        self.receive_stream = receive_stream

    def __repr__(self) -> str:
        return (
            f"StapledStream(send_stream={self.send_stream!r}, "
            f"receive_stream={self.receive_stream!r})"
        )

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of the data to `send_stream`.

        Args:
            data: The data.
        """
        await self.send_stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until `send_stream` may have room."""
        await self.send_stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """End `send_stream`: by its own `send_eof` if it has one, else close it."""
        send_stream = self.send_stream
        if hasattr(send_stream, "send_eof"):
            await send_stream.send_eof()
        else:
            await send_stream.aclose()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive from `receive_stream`.

        Args:
            max_bytes: Return no more than this; by default up to that stream.
        """
        return await self.receive_stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        """Close both; the second even if the first fails."""
        try:
            await self.send_stream.aclose()
        finally:
            await self.receive_stream.aclose()
