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

from ._abc import Generic
from ._core import (
    RunFinishedError,
    RunVar,
    TrioToken,
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    current_task,
    disable_ki_protection,
    enable_ki_protection,
    in_trio_task,
    spawn_system_task,
    start_thread_soon,
    wait_task_rescheduled,
)
from ._ctrio import (
    Cell,
    ThreadPlaceholder as ThreadPlaceholder,
    coroutine_types as _c_coroutines,
    reschedule_with,
    thread_count,
)
from ._sync import CapacityLimiter, Event
from ._util import TYPE_CHECKING, coroutine_or_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeVar

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


_completed_local: RunVar[Event] = RunVar("threads_completed")


async def wait_all_threads_completed() -> None:
    """Wait until no task is waiting for a thread any more; for tests.

    What the tasks do then may start others.
    """
    await checkpoint()
    while thread_count():
        event = _completed_local.get(None)
        if event is None:
            event = Event()
            _completed_local.set(event)
        await event.wait()


def _tell_completed() -> None:
    """Wake those who wait for this moment."""
    event = _completed_local.get(None)
    if event is not None:
        event.set()
        _completed_local.set(Event())


def active_thread_count() -> int:
    """Return how many threads are working for tasks just now."""
    return thread_count()


def current_default_thread_limiter() -> CapacityLimiter:
    """Return the limiter of the threads of this run; its total may be changed."""
    limiter = _limiter_local.get(None)
    if limiter is None:
        limiter = CapacityLimiter(DEFAULT_LIMIT)
        _limiter_local.set(limiter)
    return limiter


class _Message(Generic[RetT]):
    """Something that a thread wants to have run in the run's thread.

    Attributes:
        context: The thread's context variables, for it to run with.
    """

    def __init__(self) -> None:
        self.context = contextvars.copy_context()
        self._value: RetT | None = None
        self._error: BaseException | None = None
        self._answered = Cell()

    def answer(self) -> None:
        """Wake the thread, in the run's thread; value or error are there."""
        self._answered.post()

    def wait_for_answer(self) -> RetT:
        """Wait, in the thread, and return or raise what comes."""
        while not self._answered.wait():
            pass
        if self._error is not None:
            # The error's traceback will lead to this frame and its callers', which
            # must not lead back to the error.
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        return self._value  # type: ignore[return-value]

    def run_in_host_task(self, token: TrioToken) -> None:
        """Have it run in the task that waits for this thread."""
        token.run_sync_soon(_wake_host_task, PARENT_TASK_DATA.task_register, self)


def _wake_host_task(task_register: list[Task | None], message: object) -> None:
    task = task_register[0]
    assert task is not None, "it only leaves if it may be abandoned"
    reschedule_with(task, message)


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

    async def _capture(self) -> None:
        """Keep what it returns or raises: here, not in a frame below the error's."""
        __tracebackhide__ = True  # stackscope hides the others, by Trio's names
        try:
            self._value = await self.unprotected_afn()
        except BaseException as exc:
            self._error = _without_this_frame(exc)

    async def run(self) -> None:
        """Run it in this task, for the time with the thread's context."""
        task = current_task()
        own_context = task.context
        task.context = self.context.copy()
        await cancel_shielded_checkpoint()  # a new context is entered with a new step
        await self._capture()
        task.context = own_context
        await cancel_shielded_checkpoint()
        self.answer()

    async def run_system(self) -> None:
        """Run it in a task of its own."""
        await self._capture()
        self.answer()

    def run_in_system_nursery(self, token: TrioToken) -> None:
        """Have it run in a system task."""

        def in_trio_thread() -> None:
            try:
                spawn_system_task(self.run_system, name=self.afn, context=self.context)
            except RuntimeError:  # too late
                self._error = RunFinishedError("system nursery is closed")
                self.answer()

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
        try:
            self._value = self.unprotected_fn()
        except BaseException as exc:
            self._error = _without_this_frame(exc)
        self.answer()

    def run_in_system_nursery(self, token: TrioToken) -> None:
        """Have it run by the run loop."""
        token.run_sync_soon(self.run_sync)


def _without_this_frame(exc: BaseException) -> BaseException:
    """Take the frame that has caught it off its traceback."""
    traceback = exc.__traceback__
    return exc.with_traceback(None if traceback is None else traceback.tb_next)


_COROUTINES: tuple[type[Any], ...] = (types.CoroutineType, *_c_coroutines)


def _refuse_coroutine(ret: object, fn: object, wanted: str) -> None:
    """Raise TypeError if a function that should be a plain one turns out async."""
    if isinstance(ret, _COROUTINES):
        ret.close()  # or it would also complain that nobody awaited it
        name = getattr(fn, "__qualname__", fn)
        raise TypeError(
            f"Trio expected a {wanted} function, but {name!r} appears to be "
            "asynchronous"
        )


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
    if limiter is None:
        limiter = current_default_thread_limiter()
    call = ThreadPlaceholder(limiter, abandon_on_cancel)
    if thread_name is None:
        function_name = getattr(sync_fn, "__name__", None)
        thread_name = f"{function_name} from {current_task().name}"

    def worker_fn() -> RetT:
        ret: RetT = call.run(PARENT_TASK_DATA, sync_fn, args)
        if type(ret) in _COROUTINES:
            _refuse_coroutine(ret, sync_fn, "sync")
        return ret

    await limiter.acquire_on_behalf_of(call)
    call.enter()
    try:
        try:
            start_thread_soon(worker_fn, call.deliver, thread_name)
        except BaseException:
            limiter.release_on_behalf_of(call)
            raise
        while True:
            message: Any = await wait_task_rescheduled(call.abort)
            if call.done:
                return message  # type: ignore[no-any-return]
            if isinstance(message, Run):
                await message.run()
            else:
                message.run_sync()
            del message  # or it would live on until the next one comes
    finally:
        if call.leave():
            _tell_completed()


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
    return message_to_trio.wait_for_answer()


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
