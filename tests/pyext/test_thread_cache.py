"""Worker threads."""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref

import pytest

from ctrio._core import _thread_cache
from ctrio._core._thread_cache import ThreadCache
from ctrio.lowlevel import start_thread_soon


class Delivery:
    """Where a thread delivers to, for the test to wait."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.outcome: object = None

    def __call__(self, outcome: object) -> None:
        self.outcome = outcome
        self.done.set()

    def wait(self) -> object:
        assert self.done.wait(30)
        return self.outcome


def run(cache: ThreadCache, fn: object, name: str | None = None) -> object:
    delivery = Delivery()
    cache.start_thread_soon(fn, delivery, name)  # type: ignore[arg-type]
    return delivery.wait()


def test_the_outcome_is_delivered() -> None:
    from outcome import Error, Value

    cache = ThreadCache()
    assert run(cache, lambda: 3) == Value(3)
    failure = run(cache, lambda: 1 // 0)
    assert isinstance(failure, Error)
    assert isinstance(failure.error, ZeroDivisionError)
    delivery = Delivery()
    start_thread_soon(threading.current_thread, delivery)
    assert delivery.wait().value.daemon  # type: ignore[attr-defined]


def test_the_thread_that_was_idle_last_is_next() -> None:
    cache = ThreadCache()
    go = [threading.Event() for _ in range(3)]
    deliveries = [Delivery() for _ in range(3)]
    for event, delivery in zip(go, deliveries, strict=True):

        def work(event: threading.Event = event) -> threading.Thread:
            event.wait(30)
            return threading.current_thread()

        cache.start_thread_soon(work, delivery)
    threads = []
    for number in (2, 0, 1):
        go[number].set()
        threads.append(deliveries[number].wait().value)  # type: ignore[attr-defined]
    assert len(set(threads)) == 3
    again = run(cache, threading.current_thread)
    assert again.value is threads[-1]  # type: ignore[attr-defined]


def test_a_thread_counts_as_idle_when_it_delivers() -> None:
    cache = ThreadCache()
    threads: list[threading.Thread] = []
    done = threading.Event()

    def deliver(outcome: object) -> None:
        threads.append(outcome.value)  # type: ignore[attr-defined]
        if len(threads) == 5:
            done.set()
        else:
            cache.start_thread_soon(threading.current_thread, deliver)

    cache.start_thread_soon(threading.current_thread, deliver)
    assert done.wait(30)
    assert len(set(threads)) == 1


def test_the_function_is_dropped_before_its_outcome_is_delivered() -> None:
    class Held:
        def __call__(self) -> None: ...

    held = Held()
    ref = weakref.ref(held)
    alive: list[object] = []
    delivery = Delivery()

    def deliver(outcome: object) -> None:
        alive.append(ref())
        delivery(outcome)

    cache = ThreadCache()
    cache.start_thread_soon(held, deliver)
    del held
    delivery.wait()
    assert alive == [None]


def test_a_thread_has_the_name_for_the_time_of_the_job() -> None:
    def name() -> str:
        with open(f"/proc/self/task/{threading.get_native_id()}/comm") as comm:
            return f"{threading.current_thread().name}/{comm.read().strip()}"

    cache = ThreadCache()
    own = run(cache, lambda: threading.current_thread().name).value  # type: ignore[attr-defined]
    assert own.startswith("Trio thread ")
    named = run(cache, name, "a name that-is rather long").value  # type: ignore[attr-defined]
    assert named == "a name that-is rather long/a name that-is"
    assert run(cache, name).value.startswith(own)  # type: ignore[attr-defined]


def test_an_error_in_delivering_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    cache = ThreadCache()
    second = Delivery()

    def deliver(outcome: object) -> None:
        # This thread is idle, so it gets the second job after this one.
        cache.start_thread_soon(lambda: None, second)
        raise ValueError("nobody is in")

    cache.start_thread_soon(lambda: None, deliver)
    second.wait()
    err = capfd.readouterr().err
    assert "Exception while delivering result of thread" in err
    assert "ValueError: nobody is in" in err


def test_a_thread_that_stays_idle_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_thread_cache, "IDLE_TIMEOUT", 0.001)
    cache = ThreadCache()
    thread = run(cache, threading.current_thread).value  # type: ignore[attr-defined]
    thread.join(30)
    assert not thread.is_alive()
    assert not cache._idle_workers


class Doubtful(_thread_cache.Lock):
    """Says a few times that it has waited in vain when it has not."""

    def __init__(self) -> None:
        super().__init__()
        self.denials = 3

    def acquire(self, timeout: float = -1) -> bool:
        taken = super().acquire(timeout)
        if taken and timeout >= 0 and self.denials:
            self.denials -= 1
            self.release()
            return False
        return taken


def test_a_job_that_comes_just_when_the_thread_gives_up_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_thread_cache, "Lock", Doubtful)
    cache = ThreadCache()
    first = run(cache, threading.current_thread).value  # type: ignore[attr-defined]
    (worker,) = cache._idle_workers
    assert worker._worker_lock.denials == 0  # type: ignore[attr-defined]
    assert run(cache, threading.current_thread).value is first  # type: ignore[attr-defined]


def test_a_child_process_begins_with_no_threads() -> None:
    program = """if True:
        import os, threading, warnings
        from ctrio._core._thread_cache import THREAD_CACHE
        from ctrio.lowlevel import start_thread_soon

        warnings.simplefilter("ignore")  # of forking where threads are
        def work():
            done = threading.Event()
            start_thread_soon(int, lambda outcome: done.set())
            assert done.wait(30)
        work()
        assert len(THREAD_CACHE._idle_workers) == 1
        child = os.fork()
        if child == 0:
            assert len(THREAD_CACHE._idle_workers) == 0
            work()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
