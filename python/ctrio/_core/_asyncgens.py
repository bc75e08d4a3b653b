"""Async generators that nobody closed.

Python tells the run loop of each async generator when it is first iterated, and of
each that is dropped half way. Trio closes them in a cancelled scope, where they can
clean up but not wait: dropped ones at once, the others when the run ends.
"""

from __future__ import annotations

import sys
import warnings
import weakref

from .. import _ctrio
from .._util import TYPE_CHECKING, InOrder, name_asyncgen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import AsyncGeneratorType
    from typing import Any, NoReturn, TypeAlias

    from .._ctrio import Runner

    AsyncGenerator: TypeAlias = AsyncGeneratorType[object, NoReturn]
    Hooks: TypeAlias = tuple[Callable[[Any], object] | None, ...]


@_ctrio.disable_ki_protection
def _call_unprotected(fn: Callable[..., object], *args: object) -> object:
    return fn(*args)


class _Alive(weakref.WeakSet["AsyncGenerator"]):
    """A WeakSet that is walked in the order in which its members came.

    A set's own order is that of addresses: the same program would close its async
    generators in another order each time. Trio's own tests tell by the class whether
    the run still holds them weakly.
    """

    def __init__(self) -> None:
        super().__init__()
        self.order: weakref.WeakKeyDictionary[AsyncGenerator, None]
        self.order = weakref.WeakKeyDictionary()

    def add(self, agen: AsyncGenerator) -> None:
        self.order[agen] = None

    def __iter__(self) -> Iterator[AsyncGenerator]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)

    def __contains__(self, agen: object) -> bool:
        return agen in self.order


class AsyncGenerators:
    """The async generators of one run.

    Attributes:
        alive: Those that have been iterated in a task and not been closed, in the
            order of their first iteration. Weak during the run, and at its end not,
            so that none is collected while they are being closed.
        foreign: The `id` of each that was first iterated outside a task, in guest
            mode; the finalizer takes it out before the id can be used again.
        too_late: Those collected after the system nursery has closed.
        prev_hooks: Whoever had the hooks before.
    """

    def __init__(self) -> None:
        self.alive: _Alive | InOrder[AsyncGenerator] = _Alive()
        self.foreign: set[int] = set()
        self.too_late: InOrder[AsyncGenerator] = InOrder()
        self.prev_hooks = sys.get_asyncgen_hooks()

    def install_hooks(self, runner: Runner) -> tuple[Callable[..., None], Hooks]:
        """Have Python report async generators of this thread to a run.

        Args:
            runner: The run, which is just beginning.

        Returns:
            A function and its arguments, which give the hooks back. The end of a run
            may have no memory for making them, and needs none for the call.
        """
        undo = (sys.set_asyncgen_hooks, tuple(self.prev_hooks))

        def firstiter(agen: AsyncGenerator) -> None:
            if _ctrio.in_trio_task():
                self.alive.add(agen)
                return
            self.foreign.add(id(agen))
            if self.prev_hooks.firstiter is not None:
                self.prev_hooks.firstiter(agen)

        @_ctrio.enable_ki_protection
        def finalizer(agen: AsyncGenerator) -> None:
            if id(agen) in self.foreign:
                self.foreign.remove(id(agen))
                self._finalize_foreign(agen)
            else:
                self._finalize_ours(agen, runner)

        sys.set_asyncgen_hooks(
            firstiter=firstiter,  # type: ignore[arg-type]  # typeshed has the ABC
            finalizer=finalizer,  # type: ignore[arg-type]
        )
        return undo

    def _finalize_ours(self, agen: AsyncGenerator, runner: Runner) -> None:
        name = name_asyncgen(agen)
        # The garbage collector may be in any thread, in the middle of anything.
        runner.entry_queue.run_sync_soon(self._close_abandoned, agen, name, runner)
        # Last, because a filter may turn the warning into an exception.
        warnings.warn(
            f"Async generator {name!r} was garbage collected before it "
            "had been exhausted. Surround its use in 'async with "
            "aclosing(...):' to ensure that it gets cleaned up as soon as "
            "you're done using it.",
            ResourceWarning,
            stacklevel=3,
            source=agen,
        )

    def _close_abandoned(self, agen: AsyncGenerator, name: str, runner: Runner) -> None:
        try:
            runner.spawn_system_task(
                self._finalize_one,
                agen,
                name,
                name=f"close asyncgen {name} (abandoned)",
            )
        except RuntimeError:
            # The system nursery is closed and finalize_remaining has not begun.
            self.too_late.add(agen)

    def _finalize_foreign(self, agen: AsyncGenerator) -> None:
        finalizer = self.prev_hooks.finalizer
        if finalizer is not None:
            _call_unprotected(finalizer, agen)
            return
        # Nobody is there: do as Python does without hooks, which is one step.
        closer: Any = agen.aclose()
        try:
            # A checkpoint in there must show: it may not go on without a turn.
            _ctrio.without_shortcuts(_call_unprotected, closer.send, None)
        except StopIteration:
            return
        raise RuntimeError(
            f"Non-Trio async generator {name_asyncgen(agen)!r} awaited something "
            "during finalization; install a finalization hook to "
            "support this, or wrap it in 'async with aclosing(...):'",
        )

    async def finalize_remaining(self, runner: Runner) -> None:
        """Close all that are left.

        Args:
            runner: The run, of which only the init task and the one that serves the
                entry queue are left.
        """
        assert len(runner.tasks) == 2
        self.alive = InOrder(dict.fromkeys(self.alive))
        # Let the finalizers that are in the entry queue by now run.
        runner.entry_queue.run_sync_soon(runner.reschedule, runner.init_task)
        await _ctrio.wait_task_rescheduled(_never_aborted)
        self.alive.update(self.too_late)
        self.too_late.clear()
        # One at a time: closing one may iterate another, which must not be in the
        # middle of being closed then. Closing may also begin new ones.
        while self.alive:
            batch, self.alive = self.alive, InOrder()
            for agen in batch:
                await self._finalize_one(agen, name_asyncgen(agen))

    async def _finalize_one(self, agen: AsyncGenerator, name: str) -> None:
        try:
            # Cancelled inside, so it cannot take long; shielded, so nothing comes out.
            with _ctrio.CancelScope(shield=True) as scope:
                scope.cancel(
                    reason="disallow async work when closing async generators "
                    "during trio shutdown"
                )
                await agen.aclose()
        except BaseException:
            import logging

            logging.getLogger("trio.async_generator_errors").exception(
                "Exception ignored during finalization of async generator %r -- "
                "surround your use of the generator in 'async with aclosing(...):' "
                "to raise exceptions like this in the context where they're generated",
                name,
            )


def _never_aborted(raise_cancel: Callable[[], NoReturn]) -> Any:
    from ._traps import Abort

    return Abort.FAILED
