"""Makes several tasks take turns."""

from __future__ import annotations

from collections import defaultdict
from contextlib import asynccontextmanager

from .._core import Cancelled
from .._sync import Event
from .._util import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@final
class Sequencer:
    """Puts blocks of code in different tasks into one order.

    Each block is an `async with sequencer(n):`, with each number from 0 on once. A
    block begins when the one before has ended.
    """

    def __init__(self) -> None:
        self._sequence_points: defaultdict[int, Event] = defaultdict(Event)
        self._claimed: set[int] = set()
        self._broken = False

    def __repr__(self) -> str:
        return (
            f"Sequencer(_sequence_points={self._sequence_points!r}, "
            f"_claimed={self._claimed!r}, _broken={self._broken!r})"
        )

    @asynccontextmanager
    async def __call__(self, position: int) -> AsyncGenerator[None, None]:
        """Wait for this block's turn.

        Args:
            position: Its number.

        Raises:
            RuntimeError: The number has been used, or a block was cancelled while it
                waited: the sequence cannot be completed then.
        """
        if position in self._claimed:
            raise RuntimeError(f"Attempted to reuse sequence point {position}")
        if self._broken:
            raise RuntimeError("sequence broken!")
        self._claimed.add(position)
        if position != 0:
            try:
                await self._sequence_points[position].wait()
            except Cancelled:
                self._break()
                raise RuntimeError(
                    "Sequencer wait cancelled -- sequence broken",
                ) from None
            if self._broken:
                raise RuntimeError("sequence broken!")
        try:
            yield
        finally:
            self._sequence_points[position + 1].set()

    def _break(self) -> None:
        self._broken = True
        for event in self._sequence_points.values():
            event.set()
