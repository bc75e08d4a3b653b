"""A queue that takes everything and hands it out in batches. Deprecated."""

from __future__ import annotations

from .. import _ctrio
from .._abc import Generic, T
from .._deprecate import deprecated
from .._util import TYPE_CHECKING, final, import_later
from ._exceptions import WouldBlock

if TYPE_CHECKING:
    from typing_extensions import Self

    from .._statistics import UnboundedQueueStatistics as UnboundedQueueStatistics
else:
    __getattr__, __dir__ = import_later(
        __name__, {"UnboundedQueueStatistics": "ctrio._statistics"}
    )


@final
class UnboundedQueue(Generic[T]):
    """A queue without limit, for producers that cannot wait.

    Consumers get all there is at once: `async for batch in queue`.
    `trio.open_memory_channel(math.inf)` does the same, and more.
    """

    @deprecated(
        "0.9.0",
        issue=497,
        thing="trio.lowlevel.UnboundedQueue",
        instead="trio.open_memory_channel(math.inf)",
        use_triodeprecationwarning=True,
    )
    def __init__(self) -> None:
        self._lot = _ctrio.ParkingLot()
        self._data: list[T] = []
        # False while nothing is there, or all of it is promised to a woken task.
        self._can_get = False

    def __repr__(self) -> str:
        return f"<UnboundedQueue holding {len(self._data)} items>"

    def qsize(self) -> int:
        """Return the number of items in the queue."""
        return len(self._data)

    def empty(self) -> bool:
        """Tell whether there are none.

        A task that has been woken for a batch may not have taken it yet: False does
        not mean that `get_batch_nowait` would succeed.
        """
        return not self._data

    @_ctrio.enable_ki_protection
    def put_nowait(self, obj: T) -> None:
        """Put an object into the queue; no checkpoint.

        Args:
            obj: The object.
        """
        if not self._data:
            assert not self._can_get
            if self._lot:
                self._lot.unpark(count=1)
            else:
                self._can_get = True
        self._data.append(obj)

    def _take_all(self) -> list[T]:
        batch, self._data = self._data, []
        self._can_get = False
        return batch

    def get_batch_nowait(self) -> list[T]:
        """Return all items in the queue, in order.

        Raises:
            trio.WouldBlock: There are none.
        """
        if not self._can_get:
            raise WouldBlock
        return self._take_all()

    async def get_batch(self) -> list[T]:
        """Wait until there are items, and return all of them, in order.

        A checkpoint; cancelled, it has taken none.
        """
        await _ctrio.checkpoint_if_cancelled()
        if not self._can_get:
            await self._lot.park()
            return self._take_all()
        try:
            return self._take_all()
        finally:
            await _ctrio.cancel_shielded_checkpoint()

    def statistics(self) -> UnboundedQueueStatistics:
        """Return the number of items and of waiting tasks."""
        from .._statistics import UnboundedQueueStatistics

        return UnboundedQueueStatistics(
            qsize=len(self._data), tasks_waiting=len(self._lot)
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[T]:
        """Return the next batch."""
        return await self.get_batch()
