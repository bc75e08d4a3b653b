"""The interfaces: what a stream, a channel, a clock ... is made of.

Documented here in short; the conditions are those of Trio's documentation.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod

from ._util import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Generic as Generic, Literal, TypeAlias, TypeVar

    from typing_extensions import Self

    from ._core._run import Task
    from ._socket import SocketType

    T = TypeVar("T")
    ReceiveType = TypeVar("ReceiveType", covariant=True)
    SendType = TypeVar("SendType", contravariant=True)
    T_resource = TypeVar("T_resource", bound="AsyncResource", covariant=True)

    Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
    AddressInfo: TypeAlias = (
        tuple[
            Literal[socket.AddressFamily.AF_INET],
            socket.SocketKind,
            int,
            str,
            tuple[str, int],
        ]
        | tuple[
            Literal[socket.AddressFamily.AF_INET6],
            socket.SocketKind,
            int,
            str,
            tuple[str, int, int, int] | tuple[int, bytes],
        ]
    )
else:
    from types import GenericAlias

    class Generic:
        """Stands in for `typing.Generic`, without importing typing."""

        __slots__ = ()

        __class_getitem__ = classmethod(GenericAlias)

    T = ReceiveType = SendType = T_resource = object


class Clock(ABC):
    """What a run takes its time from.

    All times and deadlines of the run are by this clock. It may go at any speed, but
    never backwards.
    """

    __slots__ = ()

    @abstractmethod
    def start_clock(self) -> None:
        """Get ready: a run with this clock begins."""

    @abstractmethod
    def current_time(self) -> float:
        """Return the time by this clock, in seconds."""

    @abstractmethod
    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Tell how many real seconds to wait for I/O if nothing is due before.

        Args:
            deadline: A time by this clock. May be infinite or in the past.
        """


class Instrument(ABC):  # noqa: B024  # nothing that an instrument must have
    """Sees what the run loop does; every method is optional.

    An instrument need not inherit from this. One that raises is removed, and the
    error logged.
    """

    __slots__ = ()

    def before_run(self) -> None:  # noqa: B027
        """The run begins."""

    def after_run(self) -> None:  # noqa: B027
        """The run is about to return."""

    def task_spawned(self, task: Task) -> None:  # noqa: B027
        """A task has been created.

        Args:
            task: The new task, which has not run yet.
        """

    def task_scheduled(self, task: Task) -> None:  # noqa: B027
        """A task has become runnable; it may be a while before it runs.

        Args:
            task: The task.
        """

    def before_task_step(self, task: Task) -> None:  # noqa: B027
        """A task is about to run.

        Args:
            task: The task.
        """

    def after_task_step(self, task: Task) -> None:  # noqa: B027
        """A task has come back to the run loop.

        Args:
            task: The task, which waits for something now, or has ended.
        """

    def task_exited(self, task: Task) -> None:  # noqa: B027
        """A task has ended.

        Args:
            task: The task, which will not run any more.
        """

    def before_io_wait(self, timeout: float) -> None:  # noqa: B027
        """The run loop is about to wait for I/O.

        Args:
            timeout: For how many real seconds, at most.
        """

    def after_io_wait(self, timeout: float) -> None:  # noqa: B027
        """The run loop has waited for I/O.

        Args:
            timeout: As for `before_io_wait`; it may have been less.
        """


class HostnameResolver(ABC):
    """A resolver for `trio.socket.set_custom_hostname_resolver`."""

    __slots__ = ()

    @abstractmethod
    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """Do what `trio.socket.getaddrinfo` does.

        It is not asked for numeric addresses.

        Args:
            host: The name, encoded as the name system wants it; None for this machine.
            port: A number, or the name of a service.
            family: Only addresses of this family, if not 0.
            type: Only for sockets of this type, if not 0.
            proto: Only for this protocol, if not 0.
            flags: `trio.socket.AI_...`.
        """

    @abstractmethod
    async def getnameinfo(self, sockaddr: Address, flags: int) -> tuple[str, str]:
        """Do what `trio.socket.getnameinfo` does.

        Args:
            sockaddr: The address.
            flags: `trio.socket.NI_...`.
        """


class SocketFactory(ABC):
    """Makes the sockets, after `trio.socket.set_custom_socket_factory`."""

    __slots__ = ()

    @abstractmethod
    def socket(
        self,
        family: socket.AddressFamily | int = socket.AF_INET,
        type: socket.SocketKind | int = socket.SOCK_STREAM,  # noqa: A002
        proto: int = 0,
    ) -> SocketType:
        """Return a new object that inherits from `trio.socket.SocketType`.

        Args:
            family: `trio.socket.AF_...`.
            type: `trio.socket.SOCK_...`.
            proto: By which protocol; 0 leaves it to the system.
        """


class AsyncResource(ABC):
    """Something to be closed, which may take a while.

    Used as `async with resource:` it is closed at the end.
    """

    __slots__ = ()

    @abstractmethod
    async def aclose(self) -> None:
        """Close it, if possible in good order.

        A checkpoint. Cancelled or failing, it still closes, only less politely.
        Closing what is closed does nothing.
        """

    async def __aenter__(self) -> Self:
        """Return the resource itself; no checkpoint."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.aclose()


class SendStream(AsyncResource):
    """Takes bytes.

    Only one task may send at a time: two would garble each other's data.
    """

    __slots__ = ()

    @abstractmethod
    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of the data.

        A checkpoint. If this is cancelled or fails, some of it may have been sent:
        nobody knows.

        Args:
            data: The data; it must not be changed meanwhile.

        Raises:
            trio.BusyResourceError: Another task is sending.
            trio.BrokenResourceError: It cannot be sent.
            trio.ClosedResourceError: This end was closed, perhaps meanwhile.
        """

    @abstractmethod
    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there may be room for more data.

        A checkpoint. It may return too early, but never too late.

        Raises:
            trio.BusyResourceError: Another task is sending.
            trio.BrokenResourceError: Nothing can be sent any more.
            trio.ClosedResourceError: This end was closed, perhaps meanwhile.
        """


class ReceiveStream(AsyncResource):
    """Gives bytes; `async for` gives them chunk by chunk up to the end of the file."""

    __slots__ = ()

    @abstractmethod
    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Wait for data and return some; nothing is returned at the end only.

        A checkpoint.

        Args:
            max_bytes: Return no more than this. Left to the stream if not given.

        Raises:
            trio.BusyResourceError: Another task is receiving.
            trio.BrokenResourceError: Nothing can be received any more.
            trio.ClosedResourceError: This end was closed, perhaps meanwhile.
        """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes | bytearray:
        """Return the next chunk."""
        data = await self.receive_some()
        if not data:
            raise StopAsyncIteration
        return data


class Stream(SendStream, ReceiveStream):
    """Takes and gives bytes."""

    __slots__ = ()


class HalfCloseableStream(Stream):
    """A stream that can be closed for sending alone."""

    __slots__ = ()

    @abstractmethod
    async def send_eof(self) -> None:
        """Let the other side see the end of the file; go on receiving.

        Doing it again does nothing.

        Raises:
            trio.BusyResourceError: Another task is sending.
            trio.BrokenResourceError: It cannot be sent.
            trio.ClosedResourceError: This end was closed, perhaps meanwhile.
        """


class Listener(AsyncResource, Generic[T_resource]):
    """Waits for others to connect."""

    __slots__ = ()

    @abstractmethod
    async def accept(self) -> T_resource:
        """Wait for somebody to connect and return the connection.

        A checkpoint.

        Raises:
            trio.BusyResourceError: Another task is accepting, and one has to.
            trio.ClosedResourceError: This listener was closed, perhaps meanwhile.
        """


class SendChannel(AsyncResource, Generic[SendType]):
    """Takes objects."""

    __slots__ = ()

    @abstractmethod
    async def send(self, value: SendType) -> None:
        """Send an object, waiting if nobody can take it yet.

        A checkpoint.

        Args:
            value: The object.

        Raises:
            trio.BrokenResourceError: Nobody will ever take it.
            trio.ClosedResourceError: This end was closed, perhaps meanwhile.
            trio.BusyResourceError: Another task is sending, and one has to.
        """


class ReceiveChannel(AsyncResource, Generic[ReceiveType]):
    """Gives objects; `async for` gives all of them."""

    __slots__ = ()

    @abstractmethod
    async def receive(self) -> ReceiveType:
        """Wait for an object and return it.

        A checkpoint.

        Raises:
            trio.EndOfChannel: There will be no more.
            trio.ClosedResourceError: This end was closed, perhaps meanwhile.
            trio.BrokenResourceError: Something went wrong at the other end.
            trio.BusyResourceError: Another task is receiving, and one has to.
        """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ReceiveType:
        """Return the next object."""
        from ._core import EndOfChannel

        try:
            return await self.receive()
        except EndOfChannel:
            raise StopAsyncIteration from None


class Channel(SendChannel[T], ReceiveChannel[T]):
    """Takes objects and gives others."""

    __slots__ = ()
