"""Runs inside another event loop: what the host may do, and what it may do wrong."""

from __future__ import annotations

import gc
import signal
import threading
import weakref
from collections.abc import Callable
from typing import Any

import outcome
import pytest
from host import Host, run_as_guest

import ctrio
from ctrio import CancelScope, Event, TrioInternalError
from ctrio.lowlevel import (
    checkpoint,
    current_root_task,
    current_trio_token,
    currently_ki_protected,
    in_trio_run,
    in_trio_task,
    spawn_system_task,
    start_guest_run,
    wait_readable,
)
from ctrio.testing import MockClock


async def returns(value: object) -> object:
    await checkpoint()
    return value


async def fails() -> None:
    await checkpoint()
    raise KeyError("failed")


# --- a whole life


def test_the_outcome_is_that_of_a_run() -> None:
    assert run_as_guest(returns, "value") == "value"
    with pytest.raises(KeyError, match="failed"):
        run_as_guest(fails)


def test_what_is_no_async_function_is_told_at_the_end() -> None:
    host = Host()
    host.start(len, ())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="appears to be synchronous"):
        host.finish()


def test_when_it_has_started_the_run_is_there_and_nothing_has_happened() -> None:
    happened: list[str] = []

    async def say(text: str) -> None:
        happened.append(text)

    host = Host()
    host.start(say, "main")
    assert happened == []
    assert in_trio_run() and not in_trio_task()
    spawn_system_task(say, "system")
    current_trio_token().run_sync_soon(happened.append, "soon")
    assert current_root_task() is not None
    assert ctrio.current_time() > 0
    host.finish()
    assert sorted(happened) == ["main", "soon", "system"]
    assert not in_trio_run()


def test_one_callback_is_enough_for_a_host() -> None:
    host = Host()
    start_guest_run(
        returns,
        1,
        run_sync_soon_threadsafe=lambda fn: host._todo.put(fn),
        done_callback=host.done,
    )
    assert host.finish() == 1


def test_a_run_is_over_before_its_host_hears_of_it() -> None:
    seen: list[bool] = []
    host = Host()
    start_guest_run(
        returns,
        1,
        run_sync_soon_threadsafe=host.soon_threadsafe,
        run_sync_soon_not_threadsafe=host.soon,
        done_callback=lambda result: (seen.append(in_trio_run()), host.done(result)),
    )
    host.finish()
    assert seen == [False]
    assert run_as_guest(returns, 2) == 2


def test_nothing_is_left_of_a_run() -> None:
    class Marked:
        pass

    marked = Marked()
    left = weakref.ref(marked)

    async def main(held: Marked) -> None:
        await ctrio.sleep(0)

    host = Host()
    host.start(main, marked)
    del marked
    host.finish()
    gone = weakref.ref(host)
    del host
    gc.collect()
    assert left() is None and gone() is None


# --- what the host does between two ticks


async def waits(event: Event) -> str:
    await event.wait()
    return "woken"


async def sleeps_in(scope: CancelScope) -> str:
    with scope:
        await ctrio.sleep_forever()
    assert scope.cancelled_caught
    return "cancelled"


async def sleeps_long_in(scope: CancelScope) -> str:
    with scope:
        await ctrio.sleep(1e6)
    return "cancelled"


def asleep(async_fn: Callable[..., Any], *args: object) -> Host:
    host = Host()
    host.start(async_fn, *args)
    host.until_quiet()
    assert host.outcome is None
    return host


def test_the_host_wakes_a_task() -> None:
    event = Event()
    host = asleep(waits, event)
    event.set()
    assert host.finish() == "woken"


def test_the_host_cancels() -> None:
    scope = CancelScope()
    host = asleep(sleeps_in, scope)
    scope.cancel()
    assert host.finish() == "cancelled"


@pytest.mark.parametrize("deadline", [float("-inf"), 0.0])
@pytest.mark.parametrize("main", [sleeps_in, sleeps_long_in])
def test_the_host_moves_a_deadline(
    main: Callable[[CancelScope], Any], deadline: float
) -> None:
    scope = CancelScope()
    host = asleep(main, scope)
    scope.deadline = deadline
    assert host.finish() == "cancelled"


def test_a_deadline_that_is_not_the_next_wakes_nobody() -> None:
    scope = CancelScope()
    host = asleep(sleeps_long_in, scope)
    before = host.from_thread
    scope.deadline = ctrio.current_time() + 2e6
    host.until_quiet()
    assert host.from_thread == before
    scope.cancel()
    host.finish()


def test_however_much_happens_one_tick_is_asked_for() -> None:
    events = [Event() for _ in range(100)]

    async def wait_for_all() -> None:
        async with ctrio.open_nursery() as nursery:
            for event in events:
                nursery.start_soon(event.wait)

    host = asleep(wait_for_all)
    before = host.from_thread
    for event in events:
        event.set()
    host.finish()
    assert host.from_thread == before + 1


def test_the_host_says_something_soon_in_the_run() -> None:
    event = Event()
    host = asleep(waits, event)
    current_trio_token().run_sync_soon(event.set)
    assert host.finish() == "woken"


def test_another_thread_says_something_soon_in_the_run() -> None:
    event = Event()
    host = asleep(waits, event)
    token = current_trio_token()
    thread = threading.Thread(target=lambda: token.run_sync_soon(event.set))
    thread.start()
    assert host.finish() == "woken"
    thread.join()


def test_the_host_sets_the_clock_jumping() -> None:
    clock = MockClock()

    async def sleep_a_day() -> float:
        await ctrio.sleep(86400)
        return ctrio.current_time()

    host = Host()
    host.start(sleep_a_day, clock=clock)
    host.until_quiet()
    clock.autojump_threshold = 0
    assert host.finish() == 86400


def test_a_task_hears_of_data_through_the_thread(
    pair: tuple[Any, Any],
) -> None:
    left, right = pair

    async def receive() -> bytes:
        await wait_readable(left)
        data: bytes = await left.recv(10)
        return data

    host = asleep(receive)
    right._sock.send(b"data")
    assert host.finish() == b"data"
    assert host.from_thread >= 1


def test_threads_of_the_run_work_as_in_any() -> None:
    async def main() -> list[str]:
        def work() -> str:
            return "thread, " + ctrio.from_thread.run(returns, "back")  # type: ignore[operator]

        return [await ctrio.to_thread.run_sync(work)]

    assert run_as_guest(main) == ["thread, back"]


def test_two_threads_have_a_run_each() -> None:
    event = Event()
    host = asleep(waits, event)
    results: list[object] = []
    thread = threading.Thread(
        target=lambda: results.append(run_as_guest(returns, "other"))
    )
    thread.start()
    thread.join()
    event.set()
    assert (results, host.finish()) == (["other"], "woken")


# --- instruments, interrupts, signals


class Tells(ctrio.abc.Instrument):
    def __init__(self) -> None:
        self.told: list[str] = []

    def before_run(self) -> None:
        self.told.append("before run")

    def after_run(self) -> None:
        self.told.append("after run")

    def before_io_wait(self, timeout: float) -> None:
        self.told.append("before wait")

    def after_io_wait(self, timeout: float) -> None:
        self.told.append("after wait")


def test_every_wait_is_told_at_both_ends() -> None:
    tells = Tells()
    run_as_guest(returns, 1, instruments=[tells])
    assert tells.told[0] == "before run" and tells.told[-1] == "after run"
    waits = tells.told[1:-1]
    assert waits == ["before wait", "after wait"] * (len(waits) // 2)
    assert len(waits) >= 6


def test_interrupts_strike_in_tasks_and_not_in_the_host() -> None:
    seen: list[bool] = []

    async def main() -> None:
        for _ in range(3):
            seen.append(currently_ki_protected())
            await checkpoint()

    host = Host()
    host.start(main)
    while host.outcome is None:
        host.soon(lambda: seen.append(currently_ki_protected()))
        host.turn()
        host.turn()
    assert seen.count(False) == 3 and seen.count(True) >= 3


def test_an_interrupt_of_the_sleeping_host_goes_to_the_main_task() -> None:
    host = asleep(ctrio.sleep_forever)
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        host.finish()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_hosts_wakeup_descriptor_stays_if_it_says_so(pair: tuple[Any, Any]) -> None:
    mine = pair[0].fileno()

    async def ask() -> int:
        found = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(found)
        return found

    before = signal.set_wakeup_fd(mine)
    try:
        assert run_as_guest(ask, host_uses_signal_set_wakeup_fd=True) == mine
    finally:
        signal.set_wakeup_fd(before)


# --- mistakes of the host


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "2 required keyword-only arguments: 'run_sync_soon_threadsafe' and"),
        ({"done_callback": print}, "argument: 'run_sync_soon_threadsafe'"),
        ({"run_sync_soon_threadsafe": print}, "argument: 'done_callback'"),
        ({"done": print}, "unexpected keyword argument 'done'"),
    ],
)
def test_callbacks_are_required(given: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        start_guest_run(returns, **given)
    with pytest.raises(TypeError, match="positional argument: 'async_fn'"):
        start_guest_run(run_sync_soon_threadsafe=print, done_callback=print)  # type: ignore[call-arg]


def test_one_run_a_thread() -> None:
    event = Event()
    host = asleep(waits, event)
    with pytest.raises(RuntimeError, match="from inside"):
        ctrio.run(returns, 1)
    with pytest.raises(RuntimeError, match="from inside"):
        Host().start(returns, 1)
    event.set()
    host.finish()

    async def starts_another() -> None:
        Host().start(returns, 1)

    with pytest.raises(RuntimeError, match="from inside"):
        ctrio.run(starts_another)


def test_a_tick_in_another_thread_is_refused() -> None:
    ticks: list[Callable[[], object]] = []
    host = Host()
    start_guest_run(
        returns,
        1,
        run_sync_soon_threadsafe=ticks.append,
        done_callback=host.done,
    )
    failures: list[outcome.Outcome[object]] = []
    thread = threading.Thread(target=lambda: failures.append(outcome.capture(ticks[0])))
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="in the thread in which it was started"):
        failures[0].unwrap()
    last = ticks[0]
    while ticks:
        last = ticks.pop()
        last()
    assert host.finish() == 1
    with pytest.raises(RuntimeError, match="has ended"):
        last()


def test_what_done_callback_raises_is_the_hosts_to_see() -> None:
    host = Host()

    def done(result: object) -> None:
        raise LookupError("done")

    start_guest_run(
        returns,
        1,
        run_sync_soon_threadsafe=host.soon_threadsafe,
        run_sync_soon_not_threadsafe=host.soon,
        done_callback=done,
    )
    with pytest.raises(LookupError, match="done"):
        host.finish()
    assert not in_trio_run()


NEVER = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")


def refuse(callback: object) -> None:
    raise LookupError("no")


@NEVER  # The main task has not begun.
def test_a_host_that_refuses_at_once_has_abandoned_the_run() -> None:
    with pytest.warns(RuntimeWarning, match="got abandoned"):
        with pytest.raises(LookupError, match="no"):
            start_guest_run(
                returns, 1, run_sync_soon_threadsafe=refuse, done_callback=print
            )
        gc.collect()
    assert run_as_guest(returns, 2) == 2


class Clock(ctrio.abc.Clock):
    """One that fails when it is asked for the n-th time."""

    def __init__(self, when: str, after: int) -> None:
        self.when, self.left = when, after

    def _asked(self, what: str) -> None:
        if what == self.when:
            self.left -= 1
            if self.left < 0:
                raise LookupError("clock")

    def start_clock(self) -> None:
        self._asked("start")

    def current_time(self) -> float:
        self._asked("time")
        return 0.0

    def deadline_to_sleep_time(self, deadline: float) -> float:
        self._asked("sleep")
        return 0.0


def test_a_run_that_cannot_begin_is_told_at_once() -> None:
    with pytest.raises(TrioInternalError) as info:
        Host().start(returns, 1, clock=Clock("start", 0))
    assert isinstance(info.value.__cause__, LookupError)
    assert not in_trio_run()
    assert run_as_guest(returns, 2) == 2


def test_a_run_that_breaks_later_is_told_by_the_callback() -> None:
    host = Host()
    host.start(ctrio.sleep, 5, clock=Clock("sleep", 2))
    with pytest.raises(TrioInternalError) as info:
        host.finish()
    assert isinstance(info.value.__cause__, LookupError)
    assert not in_trio_run()


# --- given up


async def cleans_up(record: list[str]) -> None:
    try:
        while True:
            await checkpoint()
    finally:
        record.append("cleaned up")


@NEVER  # The main task has not begun.
@pytest.mark.parametrize("turns", [0, 1, 2, 5])
def test_an_abandoned_run_warns_and_is_gone(turns: int) -> None:
    record: list[str] = []

    def abandon() -> None:
        host = Host()
        host.start(cleans_up, record)
        for _ in range(turns):
            host.turn()

    with pytest.warns(RuntimeWarning, match="guest run got abandoned"):
        abandon()
        gc.collect()
    gc.collect()  # Its tasks have been part of it until now.
    assert not in_trio_run()
    with pytest.raises(RuntimeError):
        ctrio.current_time()
    assert record == (["cleaned up"] if turns else [])
    assert run_as_guest(returns, 1) == 1


@NEVER  # The main task has not begun.
def test_a_run_that_is_collected_in_another_thread_leaves_that_ones_alone() -> None:
    def abandon() -> None:
        Host().start(returns, 1)

    async def collects() -> str:
        await checkpoint()
        gc.collect()
        await checkpoint()
        return "undisturbed"

    results: list[str] = []
    gc.disable()
    try:
        abandon()
        with pytest.warns(RuntimeWarning, match="guest run got abandoned"):
            thread = threading.Thread(
                target=lambda: results.append(ctrio.run(collects))
            )
            thread.start()
            thread.join()
    finally:
        gc.enable()
    assert results == ["undisturbed"]
