"""The smallest event loop that a guest run can live in."""

from __future__ import annotations

import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from outcome import Outcome

from ctrio.lowlevel import start_guest_run

Callback = Callable[[], object]


class Host:
    """A queue of callbacks, and what the run came to.

    Attributes:
        ticks: How many callbacks have been made of the guest's.
        from_thread: How many of them the run's thread has asked for.
        outcome: The run's, once it has ended.
    """

    def __init__(self) -> None:
        self.ticks = 0
        self.from_thread = 0
        self.outcome: Outcome[Any] | None = None
        self._todo: queue.SimpleQueue[Callback] = queue.SimpleQueue()
        self._thread = threading.get_ident()

    def soon(self, callback: Callback) -> None:
        """Call it before the host sleeps again; only from the host's own thread."""
        assert threading.get_ident() == self._thread
        self._todo.put(callback)

    def soon_threadsafe(self, callback: Callback) -> None:
        """The same from any thread but the host's own."""
        assert threading.get_ident() != self._thread
        self.from_thread += 1
        self._todo.put(callback)

    def done(self, outcome: Outcome[Any]) -> None:
        self.outcome = outcome

    def start(
        self,
        async_fn: Callable[..., Awaitable[object]],
        *args: object,
        **options: Any,
    ) -> None:
        """Start the run, of which nothing has happened when this returns."""
        start_guest_run(
            async_fn,
            *args,
            run_sync_soon_threadsafe=self.soon_threadsafe,
            run_sync_soon_not_threadsafe=self.soon,
            done_callback=self.done,
            **options,
        )

    def turn(self) -> None:
        """Make one callback, waiting for it."""
        self.ticks += 1
        self._todo.get()()

    def until_quiet(self) -> None:
        """Until there is nothing to do: the run has ended, or its thread sleeps."""
        while not self._todo.empty():
            self.turn()

    def finish(self) -> Any:
        """Until the run has ended; its result."""
        while self.outcome is None:
            self.turn()
        return self.outcome.unwrap()


def run_as_guest(
    async_fn: Callable[..., Awaitable[object]], *args: object, **options: Any
) -> Any:
    """What ctrio.run() would give, by way of a host."""
    host = Host()
    host.start(async_fn, *args, **options)
    return host.finish()
