"""Signals that come while the loop sleeps, and the descriptor that is rung then."""

from __future__ import annotations

import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

import ctrio
from ctrio import TrioInternalError
from ctrio.lowlevel import checkpoint, current_trio_token

COLLISION = "It looks like Trio's signal handling code might have collided"
USR1, INT = signal.SIGUSR1, signal.SIGINT
ROUNDS = 50


@contextmanager
def handler_for(
    number: int, handler: Callable[[int, FrameType | None], object]
) -> Iterator[None]:
    previous = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, previous)


class Sends(ctrio.abc.Instrument):
    """A thread that sends a signal whenever the loop is about to sleep for long.

    Args:
        number: The signal.
        to_main: To the thread of the run, whose wait the system then ends. Else to the
            sending thread: only the byte in the bell can end the wait.
        times: How often.
    """

    def __init__(self, number: int, to_main: bool, times: int = 1) -> None:
        self.number, self.left = number, times
        self.target = threading.get_ident() if to_main else 0
        self.goes_to_sleep = threading.Semaphore(0)
        self.thread = threading.Thread(target=self._send_all)

    def before_io_wait(self, timeout: float) -> None:
        if timeout > 1:
            self.goes_to_sleep.release()

    def _send_all(self) -> None:
        while self.left and self.goes_to_sleep.acquire(timeout=20):
            self.left -= 1
            signal.pthread_kill(self.target or threading.get_ident(), self.number)

    def __enter__(self) -> Sends:
        self.thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.thread.join()
        assert self.left == 0


TARGETS = pytest.mark.parametrize("to_main", [True, False], ids=["main", "elsewhere"])


@TARGETS
def test_a_signal_ends_the_wait_and_its_handler_runs(to_main: bool) -> None:
    heard: list[int] = []
    events: list[ctrio.Event] = []

    def handler(number: int, frame: object) -> None:
        heard.append(number)
        current_trio_token().run_sync_soon(events[-1].set)

    async def main() -> None:
        with ctrio.fail_after(60):
            for _ in range(ROUNDS):
                events.append(ctrio.Event())
                await events[-1].wait()

    with handler_for(USR1, handler), Sends(USR1, to_main, ROUNDS) as sends:
        ctrio.run(main, instruments=[sends])
    assert heard == [USR1] * ROUNDS


@TARGETS
def test_an_interrupt_ends_the_wait_of_the_main_task(to_main: bool) -> None:
    async def main() -> int:
        interrupts = 0
        with ctrio.fail_after(60):
            while interrupts < ROUNDS:
                try:
                    await ctrio.sleep_forever()
                except KeyboardInterrupt:
                    interrupts += 1
        return interrupts

    with Sends(INT, to_main, ROUNDS) as sends:
        assert ctrio.run(main, instruments=[sends]) == ROUNDS


def test_one_that_nobody_catches_ends_the_run() -> None:
    with Sends(INT, to_main=True) as sends, pytest.raises(KeyboardInterrupt):
        ctrio.run(ctrio.sleep_forever, instruments=[sends])


@TARGETS
def test_a_handler_that_raises_in_the_wait_breaks_the_run(to_main: bool) -> None:
    def handler(number: int, frame: object) -> None:
        raise ZeroDivisionError

    with handler_for(USR1, handler), Sends(USR1, to_main) as sends:
        with pytest.raises(TrioInternalError) as caught:
            ctrio.run(ctrio.sleep_forever, instruments=[sends])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert signal.getsignal(INT) is signal.default_int_handler
    assert signal.set_wakeup_fd(-1) == -1


# --- the descriptor -------------------------------------------------------------------


@pytest.fixture
def theirs() -> Iterator[int]:
    """A descriptor of somebody else's, set to be rung."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        before = signal.set_wakeup_fd(theirs.fileno())
        try:
            yield theirs.fileno()
        finally:
            signal.set_wakeup_fd(before)


async def ask() -> int:
    """Say which one is set."""
    present = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(present)
    return present


def test_a_run_sets_its_own_and_takes_it_away() -> None:
    assert signal.set_wakeup_fd(-1) == -1
    assert ctrio.run(ask) >= 0
    assert signal.set_wakeup_fd(-1) == -1


def test_one_of_somebody_else_s_is_warned_of_and_put_back(theirs: int) -> None:
    with pytest.warns(RuntimeWarning, match=COLLISION) as caught:
        during = ctrio.run(ask)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert during not in (-1, theirs)
    assert signal.set_wakeup_fd(-1) == theirs


def test_a_warning_that_is_an_error_breaks_the_run_and_it_is_put_back(
    theirs: int,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TrioInternalError) as caught:
            ctrio.run(ask)
    assert COLLISION in str(caught.value.__cause__)
    assert signal.set_wakeup_fd(-1) == theirs


def test_one_that_is_set_during_the_run_stays() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)

        async def main() -> None:
            signal.set_wakeup_fd(theirs.fileno())
            await checkpoint()

        ctrio.run(main)
        assert signal.set_wakeup_fd(-1) == theirs.fileno()


def test_one_that_was_closed_meanwhile_is_not_put_back() -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno())

    async def main() -> None:
        ours.close()
        theirs.close()

    with pytest.warns(RuntimeWarning, match=COLLISION):
        ctrio.run(main)
    assert signal.set_wakeup_fd(-1) == -1


def test_it_is_put_back_after_a_run_that_fails(theirs: int) -> None:
    async def main() -> None:
        raise KeyError

    with pytest.warns(RuntimeWarning, match=COLLISION), pytest.raises(KeyError):
        ctrio.run(main)
    assert signal.set_wakeup_fd(-1) == theirs


def test_a_run_in_another_thread_leaves_it_alone(theirs: int) -> None:
    done: list[object] = []
    thread = threading.Thread(target=lambda: done.append(ctrio.run(checkpoint)))
    thread.start()
    thread.join()
    assert done == [None]
    assert signal.set_wakeup_fd(-1) == theirs
