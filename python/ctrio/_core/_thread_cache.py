"""Worker threads that stay around for a while when they have nothing to do.

The thread that became idle last gets the next job: a few threads do most of the work,
the others notice that nobody needs them and end. There is one cache for all runs of
the process. What a worker sleeps in is the core's cell and nothing else.

An interpreter with a GIL of its own refuses daemon threads, and waits at its end for
the others. There the cache ends what is idle when the interpreter begins to end.

The cache relies on what the GIL gives dictionaries: setting, deleting and `popitem`
are atomic, and `popitem` takes what was put in last.
"""

from __future__ import annotations

import os
import sys
from contextvars import Context
from itertools import count
from threading import Thread

from .._ctrio import Cell, WorkerBase, after_fork, end_workers
from .._util import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias, TypeVar

    from outcome import Outcome

    RetT = TypeVar("RetT")
    SetName: TypeAlias = Callable[[int | None, str], None]

IDLE_TIMEOUT = 10
"""For how many seconds a thread waits for a job before it ends."""

_numbers = count()


class Lock:
    """A `threading.Lock`, as far as needed here, in a cell of the core."""

    def __init__(self) -> None:
        self._cell = Cell()
        self._cell.post()

    def acquire(self, timeout: float = -1) -> bool:
        """Wait until it is free and take it; tell whether that came to pass."""
        return self._cell.wait(None if timeout < 0 else timeout)

    def release(self) -> None:
        """Give it back; any thread may."""
        self._cell.post()


def get_os_thread_name_func() -> SetName | None:
    """Find a way to tell the operating system the name of a thread, if it has any."""
    try:
        import ctypes  # 3.12 has it in the main interpreter only

        # None is this process, which has threads and so the function. PyDLL and not
        # CDLL: to give up the GIL would take longer than the call.
        setname = ctypes.PyDLL(None).pthread_setname_np
    except (AttributeError, ImportError, OSError, TypeError):  # not there; Windows
        return None
    setname.restype = ctypes.c_int

    def encode(name: str) -> bytes:
        return name.encode("ascii", errors="replace")[:15]

    if sys.platform == "darwin":  # a thread can only name itself there
        setname.argtypes = [ctypes.c_char_p]

        def set_own_name(ident: int | None, name: str) -> None:
            if ident is not None:
                setname(encode(name))

        return set_own_name

    setname.argtypes = [ctypes.c_void_p, ctypes.c_char_p]

    def set_name(ident: int | None, name: str) -> None:
        if ident is not None:  # None: the thread has not been started
            setname(ident, encode(name))

    return set_name


_OwnLock = Lock  # `Lock` may be another one by the time a worker looks


class WorkerThread(WorkerBase):
    """A thread and the job that it has been given; what it does is in C."""

    __slots__ = ()

    def __init__(self, thread_cache: ThreadCache) -> None:
        # Free when there is a job: the worker sleeps by taking it.
        lock = Lock()
        lock.acquire()
        cell = lock._cell if type(lock) is _OwnLock else None
        name = f"Trio thread {next(_numbers)}"
        super().__init__(thread_cache._idle_workers, lock, cell, globals(), name)
        try:
            self._thread = self._new_thread(daemon=True)
        except RuntimeError:  # not in this interpreter
            self._thread = self._new_thread(daemon=False)
            thread_cache.end_with_the_interpreter()
        self._thread.start()

    def _new_thread(self, *, daemon: bool) -> Thread:
        kwargs: dict[str, Any] = {}
        if sys.version_info >= (3, 14):
            kwargs["context"] = Context()  # not that of whoever needs it first
        name = self._default_name
        return Thread(target=self._work, name=name, daemon=daemon, **kwargs)

    def _complain(self, exc: BaseException) -> None:
        """Tell of what was raised while an outcome was delivered."""
        from traceback import print_exception

        print("Exception while delivering result of thread", file=sys.stderr)
        print_exception(type(exc), exc, exc.__traceback__)


class ThreadCache:
    """The idle threads."""

    __slots__ = ("_ends_with_us", "_idle_workers")

    def __init__(self) -> None:
        self._idle_workers: dict[WorkerThread, None] = {}
        self._ends_with_us = False

    def end_with_the_interpreter(self) -> None:
        """See to it that `end` is called before the interpreter waits for threads."""
        if self._ends_with_us:
            return
        import threading

        # Private, but there is no other way to be called so early; concurrent.futures
        # has it too.
        threading._register_atexit(self.end)  # type: ignore[attr-defined]
        self._ends_with_us = True

    def end(self) -> None:
        """Let the idle threads end, and each other one when it has done its job."""
        end_workers()
        while self._idle_workers:
            try:
                worker, _ = self._idle_workers.popitem()
            except KeyError:
                return
            worker.dismiss()

    def start_thread_soon(
        self,
        fn: Callable[[], RetT],
        deliver: Callable[[Outcome[RetT]], object],
        name: str | None = None,
    ) -> None:
        """See the function of the same name."""
        try:
            worker, _ = self._idle_workers.popitem()
        except KeyError:
            worker = WorkerThread(self)
        worker.give(fn, deliver, name)


THREAD_CACHE = ThreadCache()


def start_thread_soon(
    fn: Callable[[], RetT],
    deliver: Callable[[Outcome[RetT]], object],
    name: str | None = None,
) -> None:
    """Have a worker thread do something and hand over the outcome; from any thread.

    Threads are used again, so neither function may leave anything behind in a
    `threading.local` or the like. They are daemon threads: if `fn` has to complete,
    the main thread has to wait for it.

    Args:
        fn: Does something that takes time.
        deliver: Hands the outcome to whoever wants it. It must not take time: when
            it is called, the thread already counts as idle.
        name: What the thread is called meanwhile.
    """
    THREAD_CACHE.start_thread_soon(fn, deliver, name)


if hasattr(os, "register_at_fork"):
    # Threads do not go along into the child.
    os.register_at_fork(after_in_child=THREAD_CACHE._idle_workers.clear)
    os.register_at_fork(after_in_child=after_fork)
