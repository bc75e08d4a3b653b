"""Between tasks and threads: `trio.to_thread` and `trio.from_thread`.

A task that runs a function in a thread sleeps in a loop: what wakes it is either the
outcome of the function, or a message by which the thread asks for something to be run
in the task meanwhile. stackscope and greenback read names of functions, classes and
local variables in here.
"""

from __future__ import annotations

import contextvars
import threading
import types
from itertools import count

from ._abc import Generic
from ._core import (
    Abort,
    RunFinishedError,
    RunVar,
    TrioToken,
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    current_task,
    current_trio_token,
    disable_ki_protection,
    enable_ki_protection,
    in_trio_task,
    reschedule,
    spawn_system_task,
    start_thread_soon,
    wait_task_rescheduled,
)
from ._ctrio import Cell, coroutine as _c_coroutine
from ._sync import CapacityLimiter, Event
from ._util import TYPE_CHECKING, coroutine_or_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeVar

    from outcome import Outcome
    from typing_extensions import TypeVarTuple, Unpack

    from ._core import RaiseCancelT, Task

    Ts = TypeVarTuple("Ts")
    RetT = TypeVar("RetT")
else:
    RetT = object

DEFAULT_LIMIT = 40
"""How many threads a run has at most, unless told otherwise. Trio's number."""


class _ParentTaskData(threading.local):
    """What a worker thread knows of the task that waits for it.

    Attributes:
        token: The run.
        abandon_on_cancel: Whether the task may have left.
        cancel_register: Holds what raises Cancelled, once the task was cancelled.
        task_register: Holds the task; None if it has left.
    """

    token: TrioToken
    abandon_on_cancel: bool
    cancel_register: list[RaiseCancelT | None]
    task_register: list[Task | None]


PARENT_TASK_DATA = _ParentTaskData()

_limiter_local: RunVar[CapacityLimiter] = RunVar("limiter")
_thread_counter = count()


class _ActiveThreads:
    """The threads of a run that a task waits for, and an event: they are no more."""

    def __init__(self) -> None:
        self.count = 0
        self.event = Event()

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *exc_info: object) -> None:
        self.count -= 1
        if self.count == 0:
            self.event.set()
            self.event = Event()


_active_threads_local: RunVar[_ActiveThreads] = RunVar("active_threads")


def _active_threads() -> _ActiveThreads:
    active = _active_threads_local.get(None)
    if active is None:
        active = _ActiveThreads()
        _active_threads_local.set(active)
    return active


async def wait_all_threads_completed() -> None:
    """Wait until no task is waiting for a thread any more; for tests.

    What the tasks do then may start others.
    """
    await checkpoint()
    active = _active_threads_local.get(None)
    while active is not None and active.count:
        await active.event.wait()


def active_thread_count() -> int:
    """Return how many threads are working for tasks just now."""
    active = _active_threads_local.get(None)
    return 0 if active is None else active.count


def current_default_thread_limiter() -> CapacityLimiter:
    """Return the limiter of the threads of this run; its total may be changed."""
    limiter = _limiter_local.get(None)
    if limiter is None:
        limiter = CapacityLimiter(DEFAULT_LIMIT)
        _limiter_local.set(limiter)
    return limiter


class ThreadPlaceholder:
    """Borrows a token on behalf of a thread, which may outlive the task."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"ThreadPlaceholder(name={self.name!r})"


class _Message(Generic[RetT]):
    """Something that a thread wants to have run in the run's thread.

    Attributes:
        context: The thread's context variables, for it to run with.
    """

    def __init__(self) -> None:
        self.context = contextvars.copy_context()
        self._answer: Outcome[RetT] | None = None
        self._answered = Cell()

    def answer(self, answer: Outcome[RetT]) -> None:
        """Wake the thread, in the run's thread."""
        self._answer = answer
        self._answered.post()

    def wait_for_answer(self) -> Outcome[RetT]:
        """Wait, in the thread."""
        while not self._answered.wait():
            pass
        assert self._answer is not None
        return self._answer

    def run_in_host_task(self, token: TrioToken) -> None:
        """Have it run in the task that waits for this thread."""
        from outcome import Error, Value

        task_register = PARENT_TASK_DATA.task_register

        def in_trio_thread() -> None:
            task = task_register[0]
            assert task is not None, "it only leaves if it may be abandoned"
            try:
                message = Value(self)
            except MemoryError as exc:  # the thread waits, and the task for the thread
                self.answer(Error(exc))
            else:
                reschedule(task, message)

        token.run_sync_soon(in_trio_thread)


class Run(_Message[RetT]):
    """An async function to be run."""

    def __init__(
        self, afn: Callable[..., Awaitable[RetT]], args: tuple[object, ...]
    ) -> None:
        super().__init__()
        self.afn = afn
        self.args = args

    @disable_ki_protection
    async def unprotected_afn(self) -> RetT:
        """Run it as the user's code that it is."""
        return await coroutine_or_error(self.afn, *self.args)

    async def capture(
        self, context: Callable[[], contextvars.Context] | None = None
    ) -> Outcome[RetT]:
        """Run it; its outcome, or what kept it from being run. See `_capture`."""
        from outcome import Error, acapture

        try:
            if context is not None:  # a new one is entered with a new step
                current_task().context = context()
                await cancel_shielded_checkpoint()
            return await acapture(self.unprotected_afn)
        except BaseException as exc:
            return Error(exc)

    async def run(self) -> None:
        """Run it in this task, for the time with the thread's context."""
        task = current_task()
        own_context = task.context
        result = await self.capture(self.context.copy)
        task.context = own_context
        try:
            await cancel_shielded_checkpoint()
        finally:
            self.answer(result)

    async def run_system(self) -> None:
        """Run it in a task of its own."""
        self.answer(await self.capture())

    def run_in_system_nursery(self, token: TrioToken) -> None:
        """Have it run in a system task."""

        def in_trio_thread() -> None:
            try:
                spawn_system_task(self.run_system, name=self.afn, context=self.context)
            except RuntimeError:  # too late
                from outcome import Error

                self.answer(Error(RunFinishedError("system nursery is closed")))

        token.run_sync_soon(in_trio_thread)


class RunSync(_Message[RetT]):
    """A function to be run."""

    def __init__(self, fn: Callable[..., RetT], args: tuple[object, ...]) -> None:
        super().__init__()
        self.fn = fn
        self.args = args

    @disable_ki_protection
    def unprotected_fn(self) -> RetT:
        """Run it as the user's code that it is."""
        ret = self.context.run(self.fn, *self.args)
        _refuse_coroutine(ret, self.fn, "synchronous")
        return ret

    def run_sync(self) -> None:
        """Run it here."""
        self.answer(_capture(self.unprotected_fn))

    def run_in_system_nursery(self, token: TrioToken) -> None:
        """Have it run by the run loop."""
        token.run_sync_soon(self.run_sync)


def _capture(fn: Callable[[], RetT]) -> Outcome[RetT]:
    """As `outcome.capture`, for whoever must have an outcome.

    Somebody waits for it and for nothing else. Where there is no memory for the
    outcome there is some for one without the call.
    """
    from outcome import Error, capture

    try:
        return capture(fn)
    except BaseException as exc:
        return Error(exc)


def _refuse_coroutine(ret: object, fn: object, wanted: str) -> None:
    """Raise TypeError if a function that should be a plain one turns out async."""
    if isinstance(ret, (types.CoroutineType, _c_coroutine)):
        ret.close()  # or it would also complain that nobody awaited it
        name = getattr(fn, "__qualname__", fn)
        raise TypeError(
            f"Trio expected a {wanted} function, but {name!r} appears to be "
            "asynchronous"
        )


def _copy_context_for_thread() -> contextvars.Context:
    """Copy this task's context, less what sniffio knows."""
    from sniffio import current_async_library_cvar

    # Trio does not set this variable; somebody else may have, and in the thread
    # there would be nothing left to hide it.
    context = contextvars.copy_context()
    context.run(current_async_library_cvar.set, None)
    return context


class _Call(Generic[RetT]):
    """A function in a thread: what its task and the thread know of each other.

    The block `with call:`, in the thread, is where the thread knows it.
    """

    def __init__(self, limiter: CapacityLimiter, abandon_on_cancel: bool) -> None:
        self.limiter = limiter
        self.abandon_on_cancel = abandon_on_cancel
        self.token = current_trio_token()
        self.task_register: list[Task | None] = [current_task()]
        self.cancel_register: list[RaiseCancelT | None] = [None]
        self.has_ended = False
        name = f"trio.to_thread.run_sync-{next(_thread_counter)}"
        self.placeholder = ThreadPlaceholder(name)

    def __enter__(self) -> None:
        PARENT_TASK_DATA.token = self.token
        PARENT_TASK_DATA.abandon_on_cancel = self.abandon_on_cancel
        PARENT_TASK_DATA.cancel_register = self.cancel_register
        PARENT_TASK_DATA.task_register = self.task_register

    def __exit__(self, *exc_info: object) -> None:
        PARENT_TASK_DATA.__dict__.clear()

    def abort(self, raise_cancel: RaiseCancelT) -> Abort:
        """Let the task go, if it may leave the thread alone."""
        self.cancel_register[0] = raise_cancel
        if not self.abandon_on_cancel:
            return Abort.FAILED
        self.task_register[0] = None
        return Abort.SUCCEEDED

    async def wait(self) -> object:
        """Wait for a message from the thread, or for its end."""
        while True:
            try:
                return await wait_task_rescheduled(self.abort)
            except MemoryError:
                # Not before there is nothing to wait for: else the thread's next
                # message finds a task that does something else.
                if self.has_ended or self.task_register[0] is None:
                    raise

    def deliver(self, result: Outcome[RetT]) -> None:
        """Bring the function's outcome to the run, from the thread."""
        try:
            self.token.run_sync_soon(self._report_back, result)
        except RunFinishedError:
            pass  # abandoned, so long ago that the whole run has ended

    def _report_back(self, result: Outcome[RetT]) -> None:
        """Bring the function's outcome to the task, if it is still there."""
        self.has_ended = True
        try:
            message: Outcome[Outcome[RetT]] = self._release(result)
        except BaseException as exc:  # no memory, and nothing else will wake the task
            from outcome import Error

            message = Error(exc)
        task = self.task_register[0]
        if task is not None:
            reschedule(task, message)

    def _release(self, result: Outcome[RetT]) -> Outcome[Outcome[RetT]]:
        """Give the limiter its token back; what the task is to be told."""
        from outcome import Value

        def release_and_unwrap() -> RetT:
            # The limiter may be the user's. If it fails, both errors are to be seen.
            try:
                return result.unwrap()
            finally:
                self.limiter.release_on_behalf_of(self.placeholder)

        return Value(_capture(release_and_unwrap))


@enable_ki_protection
async def to_thread_run_sync(
    sync_fn: Callable[[Unpack[Ts]], RetT],
    *args: Unpack[Ts],
    thread_name: str | None = None,
    abandon_on_cancel: bool = False,
    limiter: CapacityLimiter | None = None,
) -> RetT:
    """Run a function that takes its time in a thread, and wait for it.

    The function sees this task's context variables, and can call back by
    `trio.from_thread`.

    Args:
        sync_fn: The function.
        args: Its arguments.
        thread_name: What the thread is called meanwhile; by default after the
            function and this task.
        abandon_on_cancel: What to do when cancelled meanwhile. False: wait for the
            function all the same. True: leave it alone with what it is doing, and
            drop what comes of it.
        limiter: Limits how many threads there are; anything that has
            `acquire_on_behalf_of` and `release_on_behalf_of`. A token is held until
            the function ends, even if nobody waits for it any more.

    Returns:
        What the function returns.
    """
    await checkpoint_if_cancelled()
    may_abandon = bool(abandon_on_cancel)  # its __bool__ may raise: now, if at all
    if limiter is None:
        limiter = current_default_thread_limiter()
    call: _Call[RetT] = _Call(limiter, may_abandon)
    context = _copy_context_for_thread()
    if thread_name is None:
        function_name = getattr(sync_fn, "__name__", None)
        thread_name = f"{function_name} from {current_task().name}"

    def worker_fn() -> RetT:
        with call:
            ret = context.run(sync_fn, *args)
            _refuse_coroutine(ret, sync_fn, "sync")
            return ret

    await limiter.acquire_on_behalf_of(call.placeholder)
    with _active_threads():
        try:
            start_thread_soon(worker_fn, call.deliver, thread_name)
        except BaseException:
            limiter.release_on_behalf_of(call.placeholder)
            raise
        while True:
            message: Any = await call.wait()
            if isinstance(message, Run):
                await message.run()
            elif isinstance(message, RunSync):
                message.run_sync()
            else:
                return message.unwrap()  # type: ignore[no-any-return]
            del message  # or it would live on until the next one comes


def from_thread_check_cancelled() -> None:
    """Raise Cancelled if the task that waits for this thread was cancelled.

    More exactly: since it last did something for this thread.

    Raises:
        Cancelled: It was, whether or not it may abandon the thread.
        RuntimeError: This thread is not one of `trio.to_thread.run_sync`.
    """
    try:
        raise_cancel = PARENT_TASK_DATA.cancel_register[0]
    except AttributeError:
        raise RuntimeError(
            "this thread wasn't created by Trio, can't check for cancellation",
        ) from None
    if raise_cancel is not None:
        raise_cancel()


def _send_message_to_trio(
    trio_token: TrioToken | None, message_to_trio: Run[RetT] | RunSync[RetT]
) -> RetT:
    """Have a message's function run, and wait for what comes of it."""
    token_provided = trio_token is not None
    if trio_token is None:
        try:
            trio_token = PARENT_TASK_DATA.token
        except AttributeError:
            raise RuntimeError(
                "this thread wasn't created by Trio, pass kwarg trio_token=...",
            ) from None
    elif not isinstance(trio_token, TrioToken):
        raise RuntimeError("Passed kwarg trio_token is not of type TrioToken")
    if in_trio_task():
        raise RuntimeError("this is a blocking function; call it from a thread")
    if token_provided or PARENT_TASK_DATA.abandon_on_cancel:
        message_to_trio.run_in_system_nursery(trio_token)
    else:
        message_to_trio.run_in_host_task(trio_token)
    return message_to_trio.wait_for_answer().unwrap()


def from_thread_run(
    afn: Callable[[Unpack[Ts]], Awaitable[RetT]],
    *args: Unpack[Ts],
    trio_token: TrioToken | None = None,
) -> RetT:
    """Run an async function in the run's thread, and wait for it in this one.

    It runs in the task that waits for this thread, under its cancel scopes; or else
    in a system task, if the thread may be abandoned or a token is given.

    Args:
        afn: The function.
        args: Its arguments.
        trio_token: Which run, for threads that do not come from
            `trio.to_thread.run_sync`.

    Returns:
        What the function returns.

    Raises:
        RunFinishedError: The run has ended, or is about to.
        Cancelled: The task was cancelled.
        RuntimeError: This is the run's thread; or no token is given and none known.
        TypeError: It is no async function.
    """
    return _send_message_to_trio(trio_token, Run(afn, args))


def from_thread_run_sync(
    fn: Callable[[Unpack[Ts]], RetT],
    *args: Unpack[Ts],
    trio_token: TrioToken | None = None,
) -> RetT:
    """Run a function in the run's thread, and wait for it in this one.

    Args:
        fn: The function.
        args: Its arguments.
        trio_token: Which run, for threads that do not come from
            `trio.to_thread.run_sync`.

    Returns:
        What the function returns.

    Raises:
        RunFinishedError: The run has ended.
        RuntimeError: This is the run's thread; or no token is given and none known.
        TypeError: It is an async function.
    """
    return _send_message_to_trio(trio_token, RunSync(fn, args))
