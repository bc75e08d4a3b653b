"""Signals as something to wait for."""

from __future__ import annotations

import signal
from collections import OrderedDict
from contextlib import contextmanager

from ._core import ParkingLot, checkpoint, current_trio_token
from ._util import TYPE_CHECKING, ConflictDetector, is_main_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterable
    from types import FrameType
    from typing import Any

    from typing_extensions import Self


@contextmanager
def _signal_handler(
    signals: Iterable[int],
    handler: Callable[[int, FrameType | None], object] | int | signal.Handlers | None,
) -> Generator[None, None, None]:
    """Handle some signals otherwise for a while."""
    before: dict[int, Any] = {}
    try:
        for signum in set(signals):
            original = signal.getsignal(signum)
            try:
                signal.signal(signum, handler)
            except MemoryError:  # afterwards, perhaps
                before[signum] = original
                raise
            before[signum] = original
        yield
    finally:
        # Also if one of them could not be set.
        for signum, original in before.items():
            try:
                signal.signal(signum, original)
            except MemoryError:  # nobody else will do it
                signal.signal(signum, original)


class SignalReceiver:
    """The signals that have come and not been asked for yet, each once."""

    def __init__(self) -> None:
        self._pending: OrderedDict[int, None] = OrderedDict()
        self._lot = ParkingLot()
        self._conflict_detector = ConflictDetector(
            "only one task can iterate on a signal receiver at a time",
        )
        self._closed = False

    def _add(self, signum: int) -> None:
        if self._closed:  # it was in the entry queue when the block ended
            signal.raise_signal(signum)
        else:
            self._pending[signum] = None
            self._lot.unpark()

    def _redeliver_remaining(self) -> None:
        """Raise what nobody has asked for again, for whoever handles it now."""
        self._closed = True
        if self._pending:
            signum, _ = self._pending.popitem(last=False)
            try:
                signal.raise_signal(signum)
            finally:
                # The others too, even if that raised; the errors then form a chain.
                self._redeliver_remaining()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> int:
        """Wait for a signal and return its number."""
        if self._closed:
            raise RuntimeError("open_signal_receiver block already exited")
        # One task only: several would have to agree on who gets a signal that one
        # of them was woken for and, being cancelled, cannot take.
        with self._conflict_detector:
            if self._pending:
                await checkpoint()
            else:
                await self._lot.park()
            signum, _ = self._pending.popitem(last=False)
            return signum


def get_pending_signal_count(rec: AsyncIterator[int]) -> int:
    """Return how many signals a receiver has got and not given out."""
    assert isinstance(rec, SignalReceiver)
    return len(rec._pending)


@contextmanager
def open_signal_receiver(
    *signals: signal.Signals | int,
) -> Generator[AsyncIterator[int], None, None]:
    """Catch signals for the time of a block.

    A signal that has come when the block ends and was not asked for is raised again,
    for whoever handled it before.

    Args:
        signals: Which.

    Yields:
        An iterator that waits for them: `async for signum in receiver`.

    Raises:
        TypeError: There are no signals.
        RuntimeError: This is not Python's main thread, which alone can do that.
    """
    if not signals:
        raise TypeError("No signals were provided")
    if not is_main_thread():
        raise RuntimeError(
            "Sorry, open_signal_receiver is only possible when running in "
            "Python interpreter's main thread",
        )
    token = current_trio_token()
    receiver = SignalReceiver()

    def handler(signum: int, frame: FrameType | None) -> None:
        token.run_sync_soon(receiver._add, signum, idempotent=True)

    try:
        with _signal_handler(signals, handler):
            yield receiver
    finally:
        receiver._redeliver_remaining()
