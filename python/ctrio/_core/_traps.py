"""The ways in which a task hands over to the run loop."""

from __future__ import annotations

import enum

from .._ctrio import (
    cancel_shielded_checkpoint as cancel_shielded_checkpoint,
    permanently_detach_coroutine_object as permanently_detach_coroutine_object,
    reattach_detached_coroutine_object as reattach_detached_coroutine_object,
    temporarily_detach_coroutine_object as temporarily_detach_coroutine_object,
    wait_task_rescheduled as wait_task_rescheduled,
)
from .._util import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, TypeAlias

    RaiseCancelT: TypeAlias = Callable[[], NoReturn]
else:

    def __getattr__(name):
        if name != "RaiseCancelT":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # The same object each time: `typing` keeps what it has made.
        from typing import Callable, NoReturn  # noqa: UP035

        return Callable[[], NoReturn]


class Abort(enum.Enum):
    """What an abort function answers; see `wait_task_rescheduled`.

    Attributes:
        SUCCEEDED: The wait is over, nobody else will wake the task.
        FAILED: The task stays asleep, somebody else will wake it.
    """

    SUCCEEDED = 1
    FAILED = 2
