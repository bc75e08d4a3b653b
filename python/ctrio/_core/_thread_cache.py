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

from .._ctrio import Cell
from .._util import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias, TypeVar

    from outcome import Outcome

    RetT = TypeVar("RetT")
    Job: TypeAlias = tuple[Callable[[], Any], Callable[[Any], object], str | None]
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


def _set_os_thread_name(ident: int | None, name: str) -> None:
    """Find the way first, with ctypes: worth it only when a thread gets a name."""
    global set_os_thread_name
    set_os_thread_name = get_os_thread_name_func()
    if set_os_thread_name is not None:
        set_os_thread_name(ident, name)


set_os_thread_name: SetName | None = _set_os_thread_name


class WorkerThread:
    """A thread and the job that it has been given."""

    __slots__ = ("_default_name", "_job", "_thread", "_thread_cache", "_worker_lock")

    def __init__(self, thread_cache: ThreadCache) -> None:
        self._job: Job | None = None
        self._thread_cache = thread_cache
        # Free when there is a job: the worker sleeps by taking it.
        self._worker_lock = Lock()
        self._worker_lock.acquire()
        self._default_name = f"Trio thread {next(_numbers)}"
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

    def _set_name(self, name: str) -> None:
        self._thread.name = name
        if set_os_thread_name is not None:
            set_os_thread_name(self._thread.ident, name)

    def _handle_job(self) -> None:
        # In a function of its own, so that nothing of the job is left in a local.
        from outcome import capture

        assert self._job is not None
        fn, deliver, name = self._job
        self._job = None
        if name is not None:
            self._set_name(name)
        result = capture(fn)
        if name is not None:
            self._set_name(self._default_name)
        # Before delivering: the thread may be held up there for a long time, and
        # keep alive whatever the function refers to.
        del fn
        # Idle before delivering: what is delivered may lead to the next job, which
        # would otherwise start another thread.
        self._thread_cache._idle_workers[self] = None
        try:
            deliver(result)
        except BaseException as exc:
            from traceback import print_exception

            print("Exception while delivering result of thread", file=sys.stderr)
            print_exception(type(exc), exc, exc.__traceback__)

    def _work(self) -> None:
        while True:
            patience = 0 if self._thread_cache._ends else IDLE_TIMEOUT
            if self._worker_lock.acquire(timeout=patience):
                if self._job is None:
                    return  # the cache ends
                self._handle_job()
                continue
            try:
                del self._thread_cache._idle_workers[self]
            except KeyError:
                continue  # somebody has taken it out to give it a job: wait for it
            return


class ThreadCache:
    """The idle threads."""

    __slots__ = ("_ends", "_ends_with_us", "_idle_workers")

    def __init__(self) -> None:
        self._idle_workers: dict[WorkerThread, None] = {}
        self._ends = False
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
        self._ends = True
        while self._idle_workers:
            try:
                worker, _ = self._idle_workers.popitem()
            except KeyError:
                return
            worker._worker_lock.release()

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
        worker._job = (fn, deliver, name)
        worker._worker_lock.release()


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
