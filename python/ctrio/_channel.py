"""Memory channels, and async generators behind one."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from functools import wraps

from ._abc import ReceiveChannel, SendChannel, T
from ._core import BrokenResourceError, open_nursery
from ._ctrio import (
    MemoryChannelState as MemoryChannelState,
    MemoryReceiveChannel as MemoryReceiveChannel,
    MemorySendChannel as MemorySendChannel,
    Semaphore,
    open_memory_channel as open_memory_channel,
)
from ._util import (
    TYPE_CHECKING,
    MultipleExceptionError,
    import_later,
    raise_single_exception_from_group,
)

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager

    from typing_extensions import ParamSpec, Self

    from ._core import TaskStatus
    from ._statistics import MemoryChannelStatistics as MemoryChannelStatistics

    P = ParamSpec("P")
else:
    __getattr__, __dir__ = import_later(
        __name__, {"MemoryChannelStatistics": "ctrio._statistics"}
    )
    SendChannel.register(MemorySendChannel)
    ReceiveChannel.register(MemoryReceiveChannel)


class RecvChanWrapper(ReceiveChannel[T]):
    """The receiving end of an `as_safe_channel`: asks for each object it wants."""

    def __init__(
        self, recv_chan: MemoryReceiveChannel[T], send_semaphore: Semaphore
    ) -> None:
        self._recv_chan = recv_chan
        self._send_semaphore = send_semaphore

    async def receive(self) -> T:
        """Let the generator go on to its next `yield`, and return what it yields."""
        self._send_semaphore.release()
        return await self._recv_chan.receive()

    async def aclose(self) -> None:
        """Close it; the generator is closed at its next `yield`."""
        await self._recv_chan.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._recv_chan.close()


def as_safe_channel(
    fn: Callable[P, AsyncGenerator[T, None]],
) -> Callable[P, AbstractAsyncContextManager[ReceiveChannel[T]]]:
    """Decorate an async generator function to run it in a task of its own.

    `async with fn() as channel: async for value in channel:` then takes the place of
    `async for value in fn():`. Cancel scopes and nurseries inside the generator are
    safe, and it is closed when the block is left.

    Args:
        fn: The function. It computes a value when one is asked for, not before.

    Returns:
        A function that returns an async context manager, which gives a
        `trio.abc.ReceiveChannel`.
    """

    @asynccontextmanager
    @wraps(fn)
    async def context_manager(
        *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[RecvChanWrapper[T], None]:
        send_chan, recv_chan = open_memory_channel[T](0)
        try:
            async with open_nursery(strict_exception_groups=True) as nursery:
                agen = fn(*args, **kwargs)
                wanted = Semaphore(0)
                # start(), so that the task is there to close the generator
                # whatever happens from here on.
                await nursery.start(_move_elems_to_channel, agen, send_chan, wanted)
                # Closed synchronously: at an `async with` a cancellation would
                # take the place of the error that the block ended with.
                with RecvChanWrapper(recv_chan, wanted) as wrapped:
                    yield wrapped
                nursery.cancel_scope.cancel(
                    "exited trio.as_safe_channel context manager"
                )
        except BaseExceptionGroup as group:
            _raise_what_happened(group)

    return context_manager


def _raise_what_happened(group: BaseExceptionGroup[BaseException]) -> None:
    """Raise the one error of the block or the generator without the nursery's group."""
    try:
        raise_single_exception_from_group(group)
    except MultipleExceptionError:
        if sys.version_info >= (3, 11):
            group.add_note(
                "Encountered exception during cleanup of generator object, as "
                "well as exception in the contextmanager body - unable to unwrap."
            )
        raise group from None


async def _move_elems_to_channel(
    agen: AsyncGenerator[T, None],
    send_chan: MemorySendChannel[T],
    wanted: Semaphore,
    task_status: TaskStatus[None],
) -> None:
    with send_chan:  # not `async with`: see above
        try:
            task_status.started()
            while True:
                await wanted.acquire()
                if not send_chan._state.open_receive_channels:
                    return  # before the generator computes what nobody can get
                try:
                    value = await agen.__anext__()
                except StopAsyncIteration:
                    return
                try:
                    await send_chan.send(value)
                except BrokenResourceError:
                    return
        finally:
            await _close_generator(agen)


async def _close_generator(agen: AsyncGenerator[T, None]) -> None:
    """Close a generator, whose own nurseries may have wrapped the GeneratorExit.

    `aclose` takes GeneratorExit for a good end, but not a group with one inside.
    """
    try:
        await agen.aclose()
    except BaseExceptionGroup as group:
        exits, others = group.split(GeneratorExit)
        if exits is not None and _count_leaves(exits) > 1:
            surplus = AssertionError("More than one GeneratorExit found.")
            rest = [] if others is None else others.exceptions
            others = (others or group).derive([*rest, surplus])
        if others is not None:
            raise others from None


def _count_leaves(exc: BaseException) -> int:
    count = 0
    pending = [exc]
    while pending:
        exc = pending.pop()
        if isinstance(exc, BaseExceptionGroup):
            pending.extend(exc.exceptions)
        else:
            count += 1
    return count
