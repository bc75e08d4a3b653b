"""The things that tasks wait for each other with."""

from __future__ import annotations

from ._core import enable_ki_protection
from ._ctrio import (
    CapacityLimiter as CapacityLimiter,
    Condition as Condition,
    Event as Event,
    Lock as Lock,
    Semaphore as Semaphore,
    StrictFIFOLock as StrictFIFOLock,
)
from ._util import TYPE_CHECKING, import_later

if TYPE_CHECKING:
    from typing import Protocol

    from ._statistics import (
        CapacityLimiterStatistics as CapacityLimiterStatistics,
        ConditionStatistics as ConditionStatistics,
        EventStatistics as EventStatistics,
        LockStatistics as LockStatistics,
    )

    class _HasAcquireRelease(Protocol):
        async def acquire(self) -> object: ...

        def release(self) -> object: ...

else:
    __getattr__, __dir__ = import_later(
        __name__,
        {
            "CapacityLimiterStatistics": "ctrio._statistics",
            "ConditionStatistics": "ctrio._statistics",
            "EventStatistics": "ctrio._statistics",
            "LockStatistics": "ctrio._statistics",
        },
    )


class AsyncContextManagerMixin:
    """`async with` for a class that has `acquire` and `release`."""

    @enable_ki_protection
    async def __aenter__(self: _HasAcquireRelease) -> None:
        """Acquire it."""
        await self.acquire()

    @enable_ki_protection
    async def __aexit__(self: _HasAcquireRelease, *exc_info: object) -> None:
        """Release it."""
        self.release()
