"""What the `statistics()` methods return. Imported when the first of them is called.

They are attrs classes because Trio's are: people call `attrs.asdict` on them.
"""

from __future__ import annotations

import attrs

from ._util import TYPE_CHECKING, fixup_module_metadata

if TYPE_CHECKING:
    from ._core import Task


@attrs.frozen
class ParkingLotStatistics:
    """A parking lot, seen from outside.

    Attributes:
        tasks_waiting: How many tasks are parked.
    """

    tasks_waiting: int


@attrs.frozen
class EventStatistics:
    """An event, seen from outside.

    Attributes:
        tasks_waiting: How many tasks wait for it.
    """

    tasks_waiting: int


@attrs.frozen
class LockStatistics:
    """A lock, seen from outside.

    Attributes:
        locked: Whether a task has it.
        owner: That task, or None.
        tasks_waiting: How many others want it.
    """

    locked: bool
    owner: Task | None
    tasks_waiting: int


@attrs.frozen
class ConditionStatistics:
    """A condition variable, seen from outside.

    Attributes:
        tasks_waiting: How many tasks wait to be notified.
        lock_statistics: Its lock.
    """

    tasks_waiting: int
    lock_statistics: LockStatistics


@attrs.frozen
class CapacityLimiterStatistics:
    """A capacity limiter, seen from outside.

    Attributes:
        borrowed_tokens: How many tokens are lent.
        total_tokens: How many there are; fewer than are lent, if that was changed.
        borrowers: Who has one: tasks, or the objects that they borrowed for.
        tasks_waiting: How many tasks want one.
    """

    borrowed_tokens: int
    total_tokens: int | float
    borrowers: list[Task | object]
    tasks_waiting: int


@attrs.frozen
class MemoryChannelStatistics:
    """A memory channel, seen from outside.

    Attributes:
        current_buffer_used: How many objects are in the buffer.
        max_buffer_size: How many it takes.
        open_send_channels: How many clones of the sending end are open.
        open_receive_channels: How many clones of the receiving end are open.
        tasks_waiting_send: How many tasks wait for room.
        tasks_waiting_receive: How many tasks wait for an object.
        peak_buffer_used: The most objects that were ever in the buffer.
    """

    current_buffer_used: int
    max_buffer_size: int | float
    open_send_channels: int
    open_receive_channels: int
    tasks_waiting_send: int
    tasks_waiting_receive: int
    peak_buffer_used: int


@attrs.frozen
class UnboundedQueueStatistics:
    """An unbounded queue, seen from outside.

    Attributes:
        qsize: How many objects are in it.
        tasks_waiting: How many tasks wait for one.
    """

    qsize: int
    tasks_waiting: int


@attrs.frozen(eq=False)
class _EpollStatistics:
    """What waits for I/O.

    Attributes:
        tasks_waiting_read: How many tasks wait to read.
        tasks_waiting_write: How many tasks wait to write.
        backend: Always "epoll".
    """

    tasks_waiting_read: int
    tasks_waiting_write: int
    backend: str = attrs.field(init=False, default="epoll")


@attrs.frozen
class RunStatistics:
    """A run, seen from outside.

    Attributes:
        tasks_living: How many tasks there are.
        tasks_runnable: How many of them are about to run.
        seconds_to_next_deadline: The time to the next deadline of a cancel scope,
            infinite if there is none, negative if it is overdue.
        io_statistics: What waits for I/O. The attribute `backend` is always there.
        run_sync_soon_queue_size: How many callbacks are in the entry queue.
    """

    tasks_living: int
    tasks_runnable: int
    seconds_to_next_deadline: float
    io_statistics: _EpollStatistics
    run_sync_soon_queue_size: int


_IN_LOWLEVEL = ("ParkingLotStatistics", "RunStatistics", "UnboundedQueueStatistics")
fixup_module_metadata("trio.lowlevel", {name: globals()[name] for name in _IN_LOWLEVEL})
fixup_module_metadata(
    "trio", {name: value for name, value in globals().items() if name[0] in "CELM"}
)
