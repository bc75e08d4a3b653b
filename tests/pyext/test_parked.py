"""Coroutines of every primitive that come to a bad end, and that nothing is lost by it.

A task is parked in a primitive. Then its coroutine is closed, dropped or collected,
before or after somebody has woken it: it must be out of every queue, and what it was
handed must be there for others.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import CoroutineType
from typing import Any

import pytest

import ctrio
from ctrio.lowlevel import ParkingLot, Task, current_task
from ctrio.testing import trio_test, wait_all_tasks_blocked


@dataclass
class Case:
    """A primitive in which tasks can be parked."""

    subject: object
    wait: Callable[[], Awaitable[object]]
    wake: Callable[[], object]
    """Let out the task that has waited longest."""
    count: Callable[[], int]
    """How many tasks wait."""
    is_whole: Callable[[], object] = lambda: True
    """Whether nothing was lost: to be called when nobody waits any more."""


def event() -> Case:
    made = ctrio.Event()
    return Case(made, made.wait, made.set, lambda: made.statistics().tasks_waiting)


def of_lock(made: ctrio.Lock | ctrio.StrictFIFOLock) -> Case:
    made.acquire_nowait()

    async def wait() -> None:
        async with made:
            pass

    def wake() -> None:
        if made._owner is current_task():
            made.release()

    return Case(
        made,
        wait,
        wake,
        lambda: made.statistics().tasks_waiting,
        lambda: (wake(), made.acquire_nowait(), made.release()),
    )


def semaphore() -> Case:
    made = ctrio.Semaphore(0)
    return Case(
        made,
        made.acquire,
        made.release,
        lambda: made.statistics().tasks_waiting,
        lambda: (made.release(), made.acquire_nowait()),
    )


def condition() -> Case:
    made = ctrio.Condition()

    async def wait() -> None:
        if made.locked():
            await made.acquire()
        else:
            made.acquire_nowait()  # no checkpoint: the first one is in wait()
        try:
            await made.wait()
        except ctrio.Cancelled:
            made.release()
            raise
        made.release()

    def wake() -> None:
        made.acquire_nowait()
        made.notify()
        made.release()

    def count() -> int:
        statistics = made.statistics()
        return statistics.tasks_waiting + statistics.lock_statistics.tasks_waiting

    def is_whole() -> bool:
        made.acquire_nowait()
        made.release()
        return True

    return Case(made, wait, wake, count, is_whole)


def limiter() -> Case:
    made = ctrio.CapacityLimiter(0)

    async def wait() -> None:
        async with made:
            pass

    def is_whole() -> bool:
        return made.borrowed_tokens == 0 and made._pending_borrowers == {}

    def wake() -> None:
        made.total_tokens = 1

    return Case(made, wait, wake, lambda: made.statistics().tasks_waiting, is_whole)


def lot() -> Case:
    made = ParkingLot()
    return Case(made, made.park, made.unpark, lambda: len(made))


def moved_lot() -> Case:
    first, second = ParkingLot(), ParkingLot()

    def wake() -> None:
        first.repark_all(second)
        second.unpark()

    return Case(first, first.park, wake, lambda: len(first) + len(second))


def sender() -> Case:
    send, receive = ctrio.open_memory_channel[Item](0)
    return Case(
        send,
        lambda: send.send(Item()),
        receive.receive_nowait,
        lambda: send.statistics().tasks_waiting_send,
        lambda: len(Item.living) == 0,
    )


def receiver() -> Case:
    send, receive = ctrio.open_memory_channel[Item](0)
    return Case(
        receive,
        receive.receive,
        lambda: send.send_nowait(Item()),
        lambda: send.statistics().tasks_waiting_receive,
        lambda: len(Item.living) == 0,
    )


def iteration() -> Case:
    case = receiver()
    case.wait = case.subject.__anext__  # type: ignore[attr-defined]
    return case


class Item:
    """Something sent, counted while it lives."""

    living: set[int] = set()

    def __init__(self) -> None:
        self.living.add(id(self))

    def __del__(self) -> None:
        self.living.discard(id(self))


CASES: dict[str, Callable[[], Case]] = {
    "Event": event,
    "Lock": lambda: of_lock(ctrio.Lock()),
    "StrictFIFOLock": lambda: of_lock(ctrio.StrictFIFOLock()),
    "Semaphore": semaphore,
    "Condition": condition,
    "CapacityLimiter": limiter,
    "ParkingLot": lot,
    "moved-ParkingLot": moved_lot,
    "send": sender,
    "receive": receiver,
    "anext": iteration,
}
each_case = pytest.mark.parametrize("make", CASES.values(), ids=CASES)


async def nothing() -> None:
    """What a task does whose coroutine was taken away."""


def close(task: Task) -> None:
    assert isinstance(task.coro, CoroutineType)
    task.coro.close()
    task.coro = nothing()


def drop(task: Task) -> None:
    task.coro = nothing()


def collect(task: Task) -> None:
    frame = task.coro.cr_frame
    frame.f_locals["cycle"].append(task.coro)
    del frame
    task.coro = nothing()
    gc.collect()


def throw(task: Task) -> None:
    with pytest.raises(ZeroDivisionError):
        task.coro.throw(ZeroDivisionError())
    task.coro = nothing()


each_end = pytest.mark.parametrize("end", [close, drop, collect, throw])


async def park(case: Case) -> None:
    """Wait as a task; the local is for `collect`."""
    cycle: list[object] = []
    await case.wait()
    del cycle


@each_end
@each_case
@trio_test
async def test_a_parked_coroutine_may_end(
    make: Callable[[], Case], end: Callable[[Task], None]
) -> None:
    case = make()
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(park, case)
        await wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        nursery.start_soon(park, case)
        await wait_all_tasks_blocked()
        assert case.count() == 2
        end(task)
        assert case.count() == 1
        case.wake()  # not the one that is gone
        await wait_all_tasks_blocked()
        assert (case.count(), nursery.child_tasks) == (0, {task})
        nursery.cancel_scope.cancel()
    assert case.is_whole()
    assert not Item.living


@each_end
@each_case
@trio_test
async def test_a_woken_coroutine_may_end_before_it_runs(
    make: Callable[[], Case], end: Callable[[Task], None]
) -> None:
    case = make()
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(park, case)
        await wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        case.wake()
        assert case.count() == 0
        end(task)
        gc.collect()
        assert not Item.living
    assert case.count() == 0
    assert case.is_whole()


@each_case
@trio_test
async def test_what_a_woken_coroutine_leaves_goes_to_the_next(
    make: Callable[[], Case],
) -> None:
    case = make()
    if isinstance(case.subject, ParkingLot | ctrio.Event) or case.count is None:
        return  # a wake-up there is for this task, or for everybody
    async with ctrio.open_nursery() as nursery:
        tasks: list[Task] = []
        for _ in range(2):
            nursery.start_soon(park, case)
            await wait_all_tasks_blocked()
            tasks += nursery.child_tasks - set(tasks)
        case.wake()
        drop(tasks[0])
        await wait_all_tasks_blocked()
        if isinstance(case.subject, ctrio.Condition):
            assert case.count() == 1  # a notification is used up
            case.wake()
        elif case.count():  # an item has found its way, or died with the task
            case.wake()
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks
    assert case.count() == 0


def cycle_of(start: Callable[[Any], Awaitable[object]]) -> weakref.ref[Item]:
    """Park a coroutine to which only what it was given refers; nobody closes it."""
    item = Item()
    item.coro = start(item)  # type: ignore[attr-defined]
    next(item.coro.__await__())  # type: ignore[attr-defined]
    return weakref.ref(item)


@trio_test
async def test_an_item_that_refers_to_its_sender_is_collected() -> None:
    send, _ = ctrio.open_memory_channel[Item](0)
    ref = cycle_of(send.send)
    assert ref() is not None
    assert send.statistics().tasks_waiting_send == 1
    gc.collect()
    assert ref() is None
    assert send.statistics().tasks_waiting_send == 0


@trio_test
async def test_a_borrower_that_refers_to_who_asked_is_collected() -> None:
    limiter = ctrio.CapacityLimiter(0)
    ref = cycle_of(limiter.acquire_on_behalf_of)
    assert ref() is not None
    assert len(limiter._pending_borrowers) == 1
    gc.collect()
    assert ref() is None
    assert limiter._pending_borrowers == {}


@each_case
@trio_test
async def test_a_coroutine_driven_by_hand_may_be_given_up(
    make: Callable[[], Case],
) -> None:
    """As those do who run an async function that they expect never to wait."""
    case = make()
    counts: list[int] = []

    async def drive() -> None:
        for _ in range(2):
            iterator = case.wait().__await__()
            next(iterator)
            counts.append(case.count())
            iterator.close()  # type: ignore[attr-defined]
            counts.append(case.count())
            await ctrio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(drive)
    assert counts == [1, 0] * 2
    assert case.is_whole()


@each_case
@trio_test
async def test_a_task_can_be_cancelled_at_any_point(make: Callable[[], Case]) -> None:
    case = make()
    for steps in range(4):
        with ctrio.CancelScope() as scope:
            async with ctrio.open_nursery() as nursery:
                nursery.start_soon(park, case)
                for _ in range(steps):
                    await ctrio.lowlevel.cancel_shielded_checkpoint()
                scope.cancel()
        assert case.count() == 0
    assert case.is_whole()
    assert not Item.living


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@each_case
def test_a_run_may_break_with_tasks_parked(make: Callable[[], Case]) -> None:
    """A TrioInternalError gives up all tasks; what they waited for lives on."""
    cases: list[Case] = []

    async def main() -> None:
        cases.append(make())
        async with ctrio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(park, cases[0])
            await wait_all_tasks_blocked()
            current_task()._schedule_points = "poison"
            await ctrio.lowlevel.checkpoint()

    with pytest.raises(ctrio.TrioInternalError):
        ctrio.run(main)
    for _ in range(3):
        gc.collect()
    case = cases.pop()
    assert case.count() == 0
    assert not Item.living

    async def use_again() -> None:
        scope = ctrio.CancelScope()
        async with ctrio.open_nursery() as nursery:

            async def wait() -> None:
                with scope, pytest.raises(BaseException) as caught:
                    await case.wait()
                if not isinstance(caught.value, ctrio.Cancelled):
                    return
                raise caught.value

            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            scope.cancel()

    ctrio.run(use_again)


def growth(use: Callable[[], Awaitable[object]]) -> tuple[int, int, int]:
    """What a hundred uses leave: objects, references to our types, all references.

    There may be fewer objects than before: idle workers of earlier tests end in their
    own time.
    """

    async def use_often() -> None:
        for _ in range(50):
            await use()

    def measure() -> tuple[int, int, int]:
        ctrio.run(use_often)
        gc.collect()
        types = [ctrio.Event, ctrio.Lock, ctrio.Semaphore, ctrio.Condition, ParkingLot]
        types += [ctrio.CapacityLimiter, ctrio.MemorySendChannel, Task, Case]
        references = sum(sys.getrefcount(cls) for cls in types)
        total = getattr(sys, "gettotalrefcount", int)()
        return len(gc.get_objects()), references, total

    measure()
    before = measure()
    measure()
    after = measure()
    return tuple(b - a for a, b in zip(before, after, strict=True))  # type: ignore[return-value]


@each_case
def test_a_hundred_uses_leave_nothing_behind(make: Callable[[], Case]) -> None:
    async def use() -> None:
        case = make()
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(park, case)
            await wait_all_tasks_blocked()
            case.wake()
        with ctrio.CancelScope() as scope:
            async with ctrio.open_nursery() as nursery:
                nursery.start_soon(park, make())
                await wait_all_tasks_blocked()
                scope.cancel()

    objects, references, total = growth(use)
    assert objects <= 0  # an idle worker of an earlier test may end meanwhile
    assert references == 0
    assert total < 50  # less than one every other time; a few are the interpreter's


def test_a_hundred_uses_of_the_rest_leave_nothing_behind() -> None:
    async def use() -> None:
        lot, lock = ParkingLot(), ctrio.Lock()
        ctrio.lowlevel.add_parking_lot_breaker(current_task(), lot)
        ctrio.lowlevel.remove_parking_lot_breaker(current_task(), lot)
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(answer_for, lock._lot)
        async with lock:
            repr((lot, lock, lock.statistics(), lot.statistics()))
        lot.break_lot()
        with pytest.raises(ctrio.BrokenResourceError):
            await lot.park()
        var = ctrio.lowlevel.RunVar("x", lot)
        var.reset(var.set(lock))
        send, receive = ctrio.open_memory_channel[object](1)
        with send.clone(), receive.clone():
            await send.send(receive)
            repr((send._state, send.statistics()))
        with pytest.raises(ctrio.WouldBlock):
            send.send_nowait(1)
        receive.close()
        limiter = ctrio.CapacityLimiter(1)
        await limiter.acquire_on_behalf_of("a")
        with pytest.raises(RuntimeError):
            await limiter.acquire_on_behalf_of("a")
        repr((limiter, limiter.statistics(), limiter._pending_borrowers))

    async def answer_for(lot: ParkingLot) -> None:
        ctrio.lowlevel.add_parking_lot_breaker(current_task(), lot)

    objects, references, total = growth(use)
    assert objects <= 0
    assert references == 0
    assert total < 50
