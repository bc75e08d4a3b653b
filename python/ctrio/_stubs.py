"""The functions of the C core as Python has them: never run, only looked at.

`inspect`, `help()`, Sphinx, `unittest.mock` and debuggers ask a function for its code,
its signature, its annotations, its docstring. The functions of the core answer with
what stands here under the same name. Nothing imports this before somebody asks.
"""

from __future__ import annotations

from math import inf

from ._stubs_io import (
    IOManagerBase as IOManagerBase,
    SocketBase as SocketBase,
    SocketStreamBase as SocketStreamBase,
)
from ._util import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Any, NoReturn

    from outcome import Outcome

    from . import _core, _ctrio
    from ._core import Abort, RaiseCancelT
    from ._ctrio import _Waitable

    def abort_fn(raise_cancel: RaiseCancelT, /) -> Abort: ...


__all__: list[str] = []


async def checkpoint() -> None:
    """Let other tasks run, and let this one be cancelled.

    Raises:
        trio.Cancelled: A cancel scope around it has been cancelled.
    """


async def checkpoint_if_cancelled() -> None:
    """Let this task be cancelled, if it is to be; else do nothing.

    With `cancel_shielded_checkpoint` after it this makes a whole checkpoint.
    """


async def cancel_shielded_checkpoint() -> None:
    """Let other tasks run; this one is not cancelled here."""


async def sleep(seconds: float) -> None:
    """Sleep, while other tasks run.

    Args:
        seconds: How long, at least. 0 is a checkpoint.

    Raises:
        ValueError: It is negative or no number.
    """


async def sleep_until(deadline: float) -> None:
    """Sleep until a certain time, while other tasks run.

    Args:
        deadline: The time, in seconds by `trio.current_time`. One in the past makes it
            a checkpoint.

    Raises:
        ValueError: It is no number.
    """


async def sleep_forever() -> NoReturn:
    """Sleep until cancelled, while other tasks run.

    Raises:
        RuntimeError: Somebody has rescheduled the task.
    """
    raise NotImplementedError


async def wait_all_tasks_blocked(cushion: float = 0.0) -> None:
    """Wait until all other tasks wait for something; for tests.

    Args:
        cushion: For how many real seconds they have to. Tasks that ask with the
            shortest time are woken first, and then the others start anew.
    """


async def wait_task_rescheduled(
    abort_func: Callable[[RaiseCancelT], Abort],
) -> Any:
    """Sleep until somebody calls `reschedule`: what all waiting is made of.

    Whoever calls this has made sure that somebody will, exactly once.

    Args:
        abort_func: Called at most once, if the task is cancelled meanwhile. It undoes
            what would have led to the rescheduling, and returns `Abort.SUCCEEDED`;
            or it returns `Abort.FAILED`, and the task sleeps on. Its argument raises
            the `Cancelled` when called; to be kept for later if it failed.

    Returns:
        The value that the task is rescheduled with; if it is an error, it is raised.
    """


async def permanently_detach_coroutine_object(
    final_outcome: Outcome[object],
) -> object:
    """Take the coroutine of this task away from Trio, for another library to run.

    Args:
        final_outcome: What the task is to exit with, at once.

    Returns:
        What the other library sends.

    Raises:
        RuntimeError: The task has nurseries.
    """


async def temporarily_detach_coroutine_object(
    abort_func: Callable[[RaiseCancelT], Abort],
) -> object:
    """Lend the coroutine of this task to another library.

    The task sleeps until `reattach_detached_coroutine_object` is called in it.

    Args:
        abort_func: As for `wait_task_rescheduled`, but must return `Abort.FAILED`.

    Returns:
        What the other library sends.
    """


async def reattach_detached_coroutine_object(
    task: _ctrio.Task, yield_value: object
) -> None:
    """Give a coroutine back to its task; to be called in that coroutine.

    Args:
        task: The task.
        yield_value: What the library that has it gets, to tell it to let go.

    Raises:
        RuntimeError: It is not this task's coroutine.
    """


async def wait_readable(fd: _Waitable) -> None:
    """Wait until there is something to read.

    A checkpoint. It may return too early: reading then would still block.

    Args:
        fd: A descriptor, or something that has one as its `fileno()`.

    Raises:
        trio.BusyResourceError: Another task is waiting for the same.
        trio.ClosedResourceError: Somebody has called `notify_closing`.
    """


async def wait_writable(fd: _Waitable) -> None:
    """Wait until there is room to write.

    A checkpoint. It may return too early: writing then would still block.

    Args:
        fd: A descriptor, or something that has one as its `fileno()`.

    Raises:
        trio.BusyResourceError: Another task is waiting for the same.
        trio.ClosedResourceError: Somebody has called `notify_closing`.
    """


class _NotMade:
    """Stands for all that has no public constructor."""

    def __init__(self, *args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError


class TrioToken(_NotMade):
    pass


class Task(_NotMade):
    pass


class RunVarToken(_NotMade):
    pass


class RunVar:
    def __init__(self, name: str, default: Any = ...) -> None:
        pass


class _Acquirable:
    """Stands for all that can be acquired and released."""

    async def __aenter__(self) -> None:
        """Acquire it; a checkpoint."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it; no checkpoint."""


class CancelScope:
    """Stands for the class of the same name, and so on."""

    def __init__(
        self,
        *,
        relative_deadline: float = inf,
        deadline: float = inf,
        shield: bool = False,
    ) -> None:
        pass

    def __enter__(self) -> _ctrio.CancelScope:
        """Open the scope, around what follows in this task; no checkpoint."""
        raise NotImplementedError

    def __exit__(
        self,
        etype: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool:
        """Close the scope, and catch the cancellation if it is this scope's.

        No checkpoint. Returns True if nothing is left of the exception.
        """
        raise NotImplementedError


class NurseryManager:
    def __enter__(self) -> NoReturn:
        """Refuse: a nursery is opened by `async with`."""
        raise NotImplementedError

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> NoReturn:
        """Refuse: it is never called."""
        raise NotImplementedError

    async def __aenter__(self) -> _ctrio.Nursery:
        """Open the nursery; no checkpoint."""
        raise NotImplementedError

    async def __aexit__(
        self,
        etype: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool:
        """Wait for all tasks in the nursery, and raise what they have raised."""
        raise NotImplementedError


class Nursery(_NotMade):
    async def start(
        self,
        async_fn: Callable[..., Awaitable[object]],
        *args: object,
        name: object = None,
    ) -> Any:
        """Start a task, and wait until it says that it is ready.

        Until then it runs as if it had been called here: its errors are raised here,
        and cancelling this cancels it.

        Args:
            async_fn: What the task runs. It gets a keyword argument `task_status`,
                whose `started` it has to call.
            args: Its arguments.
            name: The name of the task; by default that of the function.

        Returns:
            What it has passed to `started`.

        Raises:
            RuntimeError: It has ended without calling `started`; or the nursery is
                closed.
        """


class ParkingLot:
    def __init__(self) -> None:
        pass

    async def park(self) -> None:
        """Wait until woken by `unpark`.

        Cancelled meanwhile, the task is out of the lot and takes no wake from others.

        Raises:
            trio.BrokenResourceError: The lot is broken, or breaks meanwhile.
        """


class Event:
    def __init__(self) -> None:
        pass

    async def wait(self) -> None:
        """Wait until the event has happened.

        A checkpoint, even if it has already.
        """
        # The line that a stack viewer shows. Tests of stackscope know Trio's.
        await _core.wait_task_rescheduled(abort_fn)


class CapacityLimiter(_Acquirable):
    def __init__(self, total_tokens: float) -> None:
        pass

    async def acquire(self) -> None:
        """Borrow a token for this task, waiting until there is one.

        A checkpoint, even if there is one at once; cancelled, it has borrowed none.

        Raises:
            RuntimeError: It has one already.
        """

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Borrow a token for something else, waiting until there is one.

        As `acquire`, but whoever waits is not who will have the token.

        Args:
            borrower: Anything hashable.

        Raises:
            RuntimeError: It has one already.
        """


class Semaphore(_Acquirable):
    def __init__(self, initial_value: int, *, max_value: int | None = None) -> None:
        pass

    async def acquire(self) -> None:
        """Count down, waiting until the count is above zero.

        A checkpoint, even if it is at once; cancelled, it has not counted.
        """


class _Lock(_Acquirable):
    def __init__(self) -> None:
        pass

    async def acquire(self) -> None:
        """Take the lock, waiting until it is free.

        A checkpoint, even if it is free at once; cancelled, this task does not hold
        it. Tasks get it in the order in which they ask.

        Raises:
            trio.BrokenResourceError: The task that has it has ended.
            RuntimeError: This task has it.
        """


class Lock(_Lock):
    pass


class StrictFIFOLock(_Lock):
    pass


class Condition(_Lock):
    def __init__(self, lock: _ctrio.Lock | None = None) -> None:
        pass

    async def wait(self) -> None:
        """Release the lock, wait to be notified, and take the lock again.

        Also when cancelled: this then waits for the lock, and is cancelled after.

        Raises:
            RuntimeError: This task does not have the lock.
        """


class MemorySendChannel(_NotMade):
    def __enter__(self) -> _ctrio.MemorySendChannel[Any]:
        """Return the channel itself."""
        raise NotImplementedError

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close this end."""

    async def __aenter__(self) -> _ctrio.MemorySendChannel[Any]:
        """Return the channel itself; no checkpoint."""
        raise NotImplementedError

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close this end."""

    async def send(self, value: Any) -> None:
        """Send an object, waiting until there is room or somebody takes it.

        A checkpoint. Cancelled or failing, it has not sent the object.

        Args:
            value: The object; None is one as well.

        Raises:
            trio.BrokenResourceError: All receiving ends are closed.
            trio.ClosedResourceError: This end was closed, perhaps meanwhile.
        """

    async def aclose(self) -> None:
        """Close this end; a checkpoint."""


class MemoryReceiveChannel(_NotMade):
    def __enter__(self) -> _ctrio.MemoryReceiveChannel[Any]:
        """Return the channel itself."""
        raise NotImplementedError

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close this end."""

    async def __aenter__(self) -> _ctrio.MemoryReceiveChannel[Any]:
        """Return the channel itself; no checkpoint."""
        raise NotImplementedError

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close this end."""

    async def __anext__(self) -> Any:
        """Return the next object."""

    async def receive(self) -> Any:
        """Wait for an object and return it; the tasks that wait get one in turn.

        A checkpoint. Cancelled or failing, it has taken nothing out of the channel.

        Raises:
            trio.EndOfChannel: All sending ends are closed, nothing is left.
            trio.ClosedResourceError: This end was closed, perhaps meanwhile.
        """

    async def aclose(self) -> None:
        """Close this end; a checkpoint."""
