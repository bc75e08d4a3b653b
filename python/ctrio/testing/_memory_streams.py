"""Streams within this process: no operating system, no delays but the test's own."""

from __future__ import annotations

from operator import index

from .._abc import ReceiveStream, SendStream
from .._core import (
    BrokenResourceError,
    ClosedResourceError,
    ParkingLot,
    WouldBlock,
    checkpoint,
)
from .._highlevel_generic import StapledStream
from .._util import TYPE_CHECKING, ConflictDetector, final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias, TypeVar

    AsyncHook: TypeAlias = Callable[[], Awaitable[object]]
    SyncHook: TypeAlias = Callable[[], object]
    SendStreamT = TypeVar("SendStreamT", bound=SendStream)
    ReceiveStreamT = TypeVar("ReceiveStreamT", bound=ReceiveStream)


def _check_max_bytes(max_bytes: int | None) -> None:
    if max_bytes is not None and index(max_bytes) < 1:
        raise ValueError("max_bytes must be >= 1")


class _UnboundedByteQueue:
    """Bytes on the way. Closing it closes the way in; what is inside comes out."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._closed = False
        self._lot = ParkingLot()
        self._fetch_lock = ConflictDetector("another task is already fetching data")

    def close(self) -> None:
        self._closed = True
        self._lot.unpark_all()

    def close_and_wipe(self) -> None:
        self._data = bytearray()
        self.close()

    def put(self, data: bytes | bytearray | memoryview) -> None:
        if self._closed:
            raise ClosedResourceError("virtual connection closed")
        self._data += data
        self._lot.unpark_all()

    def _take(self, max_bytes: int | None) -> bytearray:
        """Take what is there; nothing only at the end."""
        assert self._closed or self._data
        taken = self._data[:max_bytes]
        del self._data[:max_bytes]
        return taken

    def get_nowait(self, max_bytes: int | None = None) -> bytearray:
        with self._fetch_lock:
            _check_max_bytes(max_bytes)
            if not self._closed and not self._data:
                raise WouldBlock
            return self._take(max_bytes)

    async def get(self, max_bytes: int | None = None) -> bytearray:
        with self._fetch_lock:
            _check_max_bytes(max_bytes)
            if not self._closed and not self._data:
                await self._lot.park()
            else:
                await checkpoint()
            return self._take(max_bytes)


@final
class MemorySendStream(SendStream):
    """Keeps what is sent, for the test to take out.

    Attributes:
        send_all_hook: An async function that `send_all` calls at its end, or None.
        wait_send_all_might_not_block_hook: The same for
            `wait_send_all_might_not_block`.
        close_hook: A function that `close` calls at its end, or None.
    """

    def __init__(
        self,
        send_all_hook: AsyncHook | None = None,
        wait_send_all_might_not_block_hook: AsyncHook | None = None,
        close_hook: SyncHook | None = None,
    ) -> None:
        self._conflict_detector = ConflictDetector("another task is using this stream")
        self._outgoing = _UnboundedByteQueue()
        self.send_all_hook = send_all_hook
        self.wait_send_all_might_not_block_hook = wait_send_all_might_not_block_hook
        self.close_hook = close_hook

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the data, and call the hook.

        Args:
            data: The data, which is copied.
        """
        # Two checkpoints: tasks that do this at the same time do not get away with it.
        with self._conflict_detector:
            await checkpoint()
            await checkpoint()
            self._outgoing.put(data)
            if self.send_all_hook is not None:
                await self.send_all_hook()

    async def wait_send_all_might_not_block(self) -> None:
        """Call the hook; without one there is always room."""
        with self._conflict_detector:
            await checkpoint()
            await checkpoint()
            self._outgoing.put(b"")  # raises if closed
            if self.wait_send_all_might_not_block_hook is not None:
                await self.wait_send_all_might_not_block_hook()

    def close(self) -> None:
        """Close it, and call the hook. Hooks that are waiting are left alone."""
        self._outgoing.close()
        if self.close_hook is not None:
            self.close_hook()

    async def aclose(self) -> None:
        """Close it, as a checkpoint."""
        self.close()
        await checkpoint()

    async def get_data(self, max_bytes: int | None = None) -> bytearray:
        """Take out what was sent; wait until something was.

        Args:
            max_bytes: Take no more than this. By default all there is.

        Returns:
            The data; nothing if the stream has been closed.
        """
        return await self._outgoing.get(max_bytes)

    def get_data_nowait(self, max_bytes: int | None = None) -> bytearray:
        """Take out what was sent, without waiting; see `get_data`.

        Args:
            max_bytes: Take no more than this. By default all there is.

        Raises:
            trio.WouldBlock: Nothing was.
        """
        return self._outgoing.get_nowait(max_bytes)


@final
class MemoryReceiveStream(ReceiveStream):
    """Gives what the test puts in.

    Attributes:
        receive_some_hook: An async function that `receive_some` calls first, or None.
        close_hook: A function that `close` calls at its end, or None.
    """

    def __init__(
        self,
        receive_some_hook: AsyncHook | None = None,
        close_hook: SyncHook | None = None,
    ) -> None:
        self._conflict_detector = ConflictDetector("another task is using this stream")
        self._incoming = _UnboundedByteQueue()
        self._closed = False
        self.receive_some_hook = receive_some_hook
        self.close_hook = close_hook

    async def receive_some(self, max_bytes: int | None = None) -> bytearray:
        """Call the hook, and return what was put in; wait until something was.

        Args:
            max_bytes: Return no more than this. By default all there is.
        """
        with self._conflict_detector:
            await checkpoint()
            await checkpoint()
            if self._closed:
                raise ClosedResourceError
            if self.receive_some_hook is not None:
                await self.receive_some_hook()
            data = await self._incoming.get(max_bytes)
            if self._closed:  # meanwhile; it then looks like the end of the data
                raise ClosedResourceError
            return data

    def close(self) -> None:
        """Close it, drop what is inside, and call the hook."""
        self._closed = True
        self._incoming.close_and_wipe()
        if self.close_hook is not None:
            self.close_hook()

    async def aclose(self) -> None:
        """Close it, as a checkpoint."""
        self.close()
        await checkpoint()

    def put_data(self, data: bytes | bytearray | memoryview) -> None:
        """Put data in; no checkpoint.

        Args:
            data: The data, which is copied.
        """
        self._incoming.put(data)

    def put_eof(self) -> None:
        """Let the data end here."""
        self._incoming.close()


def memory_stream_pump(
    memory_send_stream: MemorySendStream,
    memory_receive_stream: MemoryReceiveStream,
    *,
    max_bytes: int | None = None,
) -> bool:
    """Move what was sent into the stream that receives.

    Args:
        memory_send_stream: Where to take it out.
        memory_receive_stream: Where to put it in.
        max_bytes: Move no more than this. By default all there is.

    Returns:
        Whether there was anything to move, the end of the data included.
    """
    try:
        data = memory_send_stream.get_data_nowait(max_bytes)
    except WouldBlock:
        return False
    try:
        if data:
            memory_receive_stream.put_data(data)
        else:
            memory_receive_stream.put_eof()
    except ClosedResourceError:
        raise BrokenResourceError("MemoryReceiveStream was closed") from None
    return True


def memory_stream_one_way_pair() -> tuple[MemorySendStream, MemoryReceiveStream]:
    """Make two streams, one of which gives what the other is sent.

    Hooks of the sending one do it, by `memory_stream_pump`: replace them to make the
    data stall, trickle, ...
    """
    send_stream = MemorySendStream()
    receive_stream = MemoryReceiveStream()

    def pump() -> None:
        memory_stream_pump(send_stream, receive_stream)

    async def async_pump() -> None:
        pump()

    send_stream.send_all_hook = async_pump
    send_stream.close_hook = pump
    return send_stream, receive_stream


def _make_stapled_pair(
    one_way_pair: Callable[[], tuple[SendStreamT, ReceiveStreamT]],
) -> tuple[
    StapledStream[SendStreamT, ReceiveStreamT],
    StapledStream[SendStreamT, ReceiveStreamT],
]:
    send_there, receive_there = one_way_pair()
    send_back, receive_back = one_way_pair()
    return (
        StapledStream(send_there, receive_back),
        StapledStream(send_back, receive_there),
    )


def memory_stream_pair() -> tuple[
    StapledStream[MemorySendStream, MemoryReceiveStream],
    StapledStream[MemorySendStream, MemoryReceiveStream],
]:
    """Make two connected streams, with buffers that hold everything.

    See `memory_stream_one_way_pair`, of which these are two.
    """
    return _make_stapled_pair(memory_stream_one_way_pair)


class _LockstepByteQueue:
    """No buffer: the sender waits until all it has sent was received."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._sender_closed = False
        self._receiver_closed = False
        self._receiver_waiting = False
        self._waiters = ParkingLot()
        self._send_conflict_detector = ConflictDetector(
            "another task is already sending"
        )
        self._receive_conflict_detector = ConflictDetector(
            "another task is already receiving"
        )

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, or either side has closed; a checkpoint."""
        while not (condition() or self._sender_closed or self._receiver_closed):
            await self._waiters.park()
        await checkpoint()

    def close_sender(self) -> None:
        self._sender_closed = True
        self._waiters.unpark_all()

    def close_receiver(self) -> None:
        self._receiver_closed = True
        self._waiters.unpark_all()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with self._send_conflict_detector:
            if self._sender_closed:
                raise ClosedResourceError
            if self._receiver_closed:
                raise BrokenResourceError
            assert not self._data
            self._data += data
            self._waiters.unpark_all()
            await self._wait_for(lambda: not self._data)
            if self._sender_closed:
                raise ClosedResourceError
            if self._data and self._receiver_closed:
                raise BrokenResourceError

    async def wait_send_all_might_not_block(self) -> None:
        with self._send_conflict_detector:
            if self._sender_closed:
                raise ClosedResourceError
            if self._receiver_closed:
                await checkpoint()
                return
            await self._wait_for(lambda: self._receiver_waiting)
            if self._sender_closed:
                raise ClosedResourceError

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        with self._receive_conflict_detector:
            _check_max_bytes(max_bytes)
            if self._receiver_closed:
                raise ClosedResourceError
            self._receiver_waiting = True
            self._waiters.unpark_all()
            try:
                await self._wait_for(lambda: bool(self._data))
            finally:
                self._receiver_waiting = False
            if self._receiver_closed:
                raise ClosedResourceError
            if not self._data:
                assert self._sender_closed
                return b""
            received = self._data[:max_bytes]
            del self._data[:max_bytes]
            self._waiters.unpark_all()
            return received


class _LockstepSendStream(SendStream):
    def __init__(self, queue: _LockstepByteQueue) -> None:
        self._queue = queue

    def close(self) -> None:
        self._queue.close_sender()

    async def aclose(self) -> None:
        self.close()
        await checkpoint()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._queue.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._queue.wait_send_all_might_not_block()


class _LockstepReceiveStream(ReceiveStream):
    def __init__(self, queue: _LockstepByteQueue) -> None:
        self._queue = queue

    def close(self) -> None:
        self._queue.close_receiver()

    async def aclose(self) -> None:
        self.close()
        await checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._queue.receive_some(max_bytes)


def lockstep_stream_one_way_pair() -> tuple[SendStream, ReceiveStream]:
    """Make two connected streams without any buffer.

    Sending waits until all of the data was received. Both also have a synchronous
    `close`.
    """
    queue = _LockstepByteQueue()
    return _LockstepSendStream(queue), _LockstepReceiveStream(queue)


def lockstep_stream_pair() -> tuple[
    StapledStream[SendStream, ReceiveStream],
    StapledStream[SendStream, ReceiveStream],
]:
    """Make two connected streams for both directions without any buffer."""
    return _make_stapled_pair(lockstep_stream_one_way_pair)
