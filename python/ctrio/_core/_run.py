"""The run loop as seen from Python: the C core, and the few cold parts around it.

The core reads `_r`, `_ALLOW_DETERMINISTIC_SCHEDULING`, `copy_context`,
`DEADLINE_HEAP_MIN_PRUNE_THRESHOLD` and `TheIOManager` from this module, so that
programs which replace them here (hypothesis, tests) get what they expect.
"""

from __future__ import annotations

import random
from contextvars import copy_context as copy_context
from gc import get_referents

from .. import _ctrio
from .._abc import Clock
from .._ctrio import (
    GLOBAL_RUN_CONTEXT as GLOBAL_RUN_CONTEXT,
    CancelScope as CancelScope,
    IOManagerBase,
    Nursery as Nursery,
    NurseryManager as NurseryManager,
    Runner as Runner,
    SystemClock as SystemClock,
    Task as Task,
    add_instrument as add_instrument,
    checkpoint as checkpoint,
    checkpoint_if_cancelled as checkpoint_if_cancelled,
    current_clock as current_clock,
    current_effective_deadline as current_effective_deadline,
    current_root_task as current_root_task,
    current_statistics as current_statistics,
    current_task as current_task,
    current_time as current_time,
    current_trio_token as current_trio_token,
    in_trio_run as in_trio_run,
    in_trio_task as in_trio_task,
    notify_closing as notify_closing,
    open_nursery as open_nursery,
    remove_instrument as remove_instrument,
    reschedule as reschedule,
    run as run,
    spawn_system_task as spawn_system_task,
    start_guest_run as start_guest_run,
    wait_all_tasks_blocked as wait_all_tasks_blocked,
    wait_readable as wait_readable,
    wait_writable as wait_writable,
)
from .._util import TYPE_CHECKING, final, import_later, overload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any, Protocol

    from typing_extensions import TypeVar

    from .._statistics import RunStatistics as RunStatistics

    StatusT_contra = TypeVar("StatusT_contra", contravariant=True, default=None)
else:
    from .._abc import Generic as Protocol

    StatusT_contra = object
    __getattr__, __dir__ = import_later(
        __name__, {"RunStatistics": "ctrio._statistics"}
    )

DEADLINE_HEAP_MIN_PRUNE_THRESHOLD = 1000
"""What Trio allows in stale deadlines. The core has none: its heap is intrusive."""

_ALLOW_DETERMINISTIC_SCHEDULING = False

NONSTRICT_EXCEPTIONGROUP_NOTE = (
    'This is a "loose" ExceptionGroup, and may be collapsed by Trio if it only '
    "contains one exception - typically after `Cancelled` has been stripped from it. "
    "Note this has consequences for exception handling, and "
    "strict_exception_groups=True is recommended."
)

MISNESTING_ADVICE = """
This is probably a bug in your code, that has caused Trio's internal state to
become corrupted. We'll do our best to recover, but from now on there are
no guarantees.

Typically this is caused by one of the following:
  - yielding within a generator or async generator that's opened a cancel
    scope or nursery (unless the generator is a @contextmanager or
    @asynccontextmanager); see https://github.com/python-trio/trio/issues/638
  - manually calling __enter__ or __exit__ on a trio.CancelScope, or
    __aenter__ or __aexit__ on the object returned by trio.open_nursery();
    doing so correctly is difficult and you should use @[async]contextmanager
    instead, or maybe [Async]ExitStack
  - using [Async]ExitStack to interleave the entries/exits of cancel scopes
    and/or nurseries in a way that couldn't be achieved by some nesting of
    'with' and 'async with' blocks
  - using the low-level coroutine object protocol to execute some parts of
    an async function in a different cancel scope/nursery context than
    other parts
If you don't believe you're doing any of these things, please report it as a bug
of ctrio.
"""


class _BatchOrder(random.Random):
    """The numbers that decide in which order runnable tasks run.

    Drawing them in Python would cost more than a task switch, so the core draws its
    own as long as nobody has seeded these.
    """

    _told = False

    def seed(self, *args: Any, **kwargs: Any) -> None:
        """Seed it, and have the core draw from it from now on."""
        super().seed(*args, **kwargs)
        self._tell_core()

    def setstate(self, state: Any) -> None:
        """Put it into a state, and have the core draw from it from now on."""
        super().setstate(state)
        self._tell_core()

    def _tell_core(self) -> None:
        if self._told:  # not by Random.__init__
            _ctrio.batch_order_touched(True)


_r = _BatchOrder()
_r._told = True


def _hypothesis_plugin_setup() -> None:
    """Make runs repeatable; hypothesis calls this when it is imported."""
    from hypothesis import register_random  # type: ignore[import-not-found]

    global _ALLOW_DETERMINISTIC_SCHEDULING
    _ALLOW_DETERMINISTIC_SCHEDULING = True
    register_random(_r)


Clock.register(SystemClock)


class _ToldWhenPatched(type):
    """Tells the core when a class attribute is replaced: it does not look otherwise."""

    def __setattr__(cls, name: str, value: object) -> None:
        super().__setattr__(name, value)
        _ctrio.io_manager_patched()

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        _ctrio.io_manager_patched()


class TheIOManager(IOManagerBase, metaclass=_ToldWhenPatched):
    """What waits for I/O; its methods may be replaced, on the class."""


class TaskStatus(Protocol[StatusT_contra]):
    """What a task gets as `task_status` from `Nursery.start`.

    `TaskStatus[int]` promises an int. It need not be inherited from: anything with such
    a `started` will do.
    """

    if not TYPE_CHECKING:  # Type checkers know it of a protocol.

        def __new__(cls, *args, **kwargs):
            """Refuse to make one of this class itself: it is a protocol, in Trio.

            Raises:
                TypeError: Somebody tries.
            """
            if cls is TaskStatus:
                raise TypeError("Protocols cannot be instantiated")
            return super().__new__(cls)

    @overload
    def started(self: TaskStatus[None]) -> None: ...

    @overload
    def started(self, value: StatusT_contra) -> None: ...

    def started(self, value: StatusT_contra | None = None) -> None:
        """Tell that the task is ready: `Nursery.start` returns, and the task goes on.

        To be called once. No checkpoint.

        Args:
            value: What `Nursery.start` is to return.

        Raises:
            RuntimeError: It was called already.
        """
        raise NotImplementedError


@final
class _TaskStatusIgnored(TaskStatus[object]):
    """The default for `task_status`, of tasks that `start_soon` may start as well."""

    def __repr__(self) -> str:
        return "TASK_STATUS_IGNORED"

    def started(self, value: object = None) -> None:
        """Do nothing: nobody waits for it."""


TASK_STATUS_IGNORED: TaskStatus[Any] = _TaskStatusIgnored()


def iter_await_frames(task: Task) -> Iterator[tuple[FrameType, int]]:
    """Go down the chain of what a task awaits.

    Args:
        task: Any task, not only the current one.

    Yields:
        Each frame and its current line, outermost first: what
        `traceback.StackSummary.extract` takes.
    """
    awaited: Any = task.coro
    while awaited is not None:
        if hasattr(awaited, "cr_frame"):
            frame, inner = awaited.cr_frame, awaited.cr_await
        elif hasattr(awaited, "gi_frame"):
            frame, inner = awaited.gi_frame, awaited.gi_yieldfrom
        else:
            # The awaitable of an async generator's method hides the generator from
            # everybody but the garbage collector.
            hidden: Any = next(
                (ref for ref in get_referents(awaited) if hasattr(ref, "ag_frame")),
                None,
            )
            if hidden is None:
                return
            frame, inner = hidden.ag_frame, hidden.ag_await
        if frame is not None:  # None: it has ended
            yield frame, frame.f_lineno
        awaited = inner


def _count_context_run_tb_frames() -> int:
    """Count the traceback entries that `Context.run` adds: none, it is C."""
    return 0
