"""ParkingLot, and who answers for one."""

from __future__ import annotations

import gc
import math
import re
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import ctrio
from ctrio._core._parking_lot import GLOBAL_PARKING_LOT_BREAKER
from ctrio.lowlevel import (
    ParkingLot,
    Task,
    add_parking_lot_breaker,
    current_task,
    remove_parking_lot_breaker,
)
from ctrio.testing import assert_no_checkpoints, trio_test, wait_all_tasks_blocked


def test_a_lot_is_trios_and_final() -> None:
    names = (ParkingLot.__module__, ParkingLot.__qualname__)
    assert names == ("trio.lowlevel", "ParkingLot")
    with pytest.raises(TypeError):
        type("Sub", (ParkingLot,), {})
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        ParkingLot(1)  # type: ignore[call-arg]
    lot = ParkingLot()
    assert lot != ParkingLot() and hash(lot) is not None
    ref = weakref.ref(lot)
    del lot
    assert ref() is None


async def park(lot: ParkingLot, woken: list[int], number: int) -> None:
    await lot.park()
    woken.append(number)


async def fill(
    nursery: ctrio.Nursery, lot: ParkingLot, woken: list[int], count: int
) -> None:
    for number in range(count):
        nursery.start_soon(park, lot, woken, number)
        await wait_all_tasks_blocked()


@trio_test
async def test_a_lot_tells_who_is_in_it() -> None:
    lot = ParkingLot()
    assert (bool(lot), len(lot), lot.statistics().tasks_waiting) == (False, 0, 0)
    async with ctrio.open_nursery() as nursery:
        await fill(nursery, lot, [], 2)
        assert (bool(lot), len(lot), lot.statistics().tasks_waiting) == (True, 2, 2)
        tasks = list(lot._parked)
        assert set(tasks) == nursery.child_tasks
        assert repr(lot) == f"ParkingLot(_parked={lot._parked!r}, broken_by=[])"
        lot._parked.clear()  # a copy
        assert lot.unpark_all() == tasks
        assert not lot


@trio_test
async def test_tasks_leave_in_the_order_they_came() -> None:
    lot = ParkingLot()
    woken: list[int] = []
    async with ctrio.open_nursery() as nursery:
        await fill(nursery, lot, woken, 6)
        order = list(lot._parked)
        with assert_no_checkpoints():
            assert lot.unpark() == order[:1]
            assert lot.unpark(count=2) == order[1:3]
            assert lot.unpark(count=0) == lot.unpark(count=-3) == []
        await wait_all_tasks_blocked()
        assert sorted(woken) == [0, 1, 2]
        assert lot.unpark(count=math.inf) == order[3:]
        assert lot.unpark(count=10**30) == []
    assert sorted(woken) == list(range(6))


def test_a_number_of_tasks_is_a_whole_number() -> None:
    lot = ParkingLot()
    for number in (1.5, 2.0, math.nan):
        with pytest.raises(
            ValueError, match=r"^Cannot pop a non-integer number of tasks\.$"
        ):
            lot.unpark(count=number)
        with pytest.raises(ValueError, match="Cannot pop"):
            lot.repark(ParkingLot(), count=number)
    for wrong in ("1", None, [1]):
        with pytest.raises(TypeError):
            lot.unpark(count=wrong)  # type: ignore[arg-type]
    positional = r"takes 1 positional argument but 2 were given$"
    with pytest.raises(TypeError, match=r"^ParkingLot\.unpark\(\) " + positional):
        lot.unpark(1)  # type: ignore[misc]
    with pytest.raises(TypeError, match="2 positional arguments but 3 were given"):
        lot.repark(ParkingLot(), 1)  # type: ignore[misc]
    with pytest.raises(TypeError, match="unexpected keyword argument 'n'"):
        lot.unpark(n=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing 1 required .*'new_lot'"):
        lot.repark()  # type: ignore[call-arg]


@trio_test
async def test_a_parked_task_can_be_cancelled() -> None:
    lot = ParkingLot()
    with ctrio.move_on_after(0) as scope:
        await lot.park()
    assert scope.cancelled_caught
    assert len(lot) == 0


# --- repark ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["repark", "repark_all"])
def test_repark_wants_a_lot(method: str) -> None:
    with pytest.raises(TypeError, match=r"^new_lot must be a ParkingLot$"):
        getattr(ParkingLot(), method)([])


@trio_test
async def test_tasks_move_without_waking_and_queue_behind_others() -> None:
    one, other = ParkingLot(), ParkingLot()
    woken: list[int] = []
    async with ctrio.open_nursery() as nursery:
        await fill(nursery, one, woken, 3)
        nursery.start_soon(park, other, woken, 9)
        await wait_all_tasks_blocked()
        one.repark(other)
        one.repark(new_lot=other, count=math.inf)
        await wait_all_tasks_blocked()
        assert (len(one), len(other), woken) == (0, 4, [])
        for _ in range(4):
            other.unpark()
            await wait_all_tasks_blocked()
    assert woken == [9, 0, 1, 2]


@trio_test
async def test_a_moved_task_can_be_cancelled() -> None:
    one, other = ParkingLot(), ParkingLot()
    async with ctrio.open_nursery() as nursery:
        await fill(nursery, one, [], 2)
        one.repark_all(other)
        nursery.cancel_scope.cancel()
    assert len(one) == len(other) == 0


@trio_test
async def test_tasks_may_be_moved_to_where_they_are() -> None:
    lot = ParkingLot()
    woken: list[int] = []
    async with ctrio.open_nursery() as nursery:
        await fill(nursery, lot, woken, 3)
        lot.repark(lot)
        for _ in range(3):
            lot.unpark()
            await wait_all_tasks_blocked()
    assert woken == [1, 2, 0]


@trio_test
async def test_a_lot_lives_as_long_as_tasks_that_were_moved_there() -> None:
    one = ParkingLot()
    others = [ParkingLot() for _ in range(3)]
    refs = [weakref.ref(lot) for lot in others]
    async with ctrio.open_nursery() as nursery:
        await fill(nursery, one, [], 1)
        one.repark(others[0])
        others[0].repark(others[1])
        others[1].repark(others[2])
        others[2].repark(others[1])  # a cycle
        del others
        gc.collect()
        middle = refs[1]()
        assert middle is not None and len(middle) == 1
        nursery.cancel_scope.cancel()
    assert len(middle) == 0
    del one, middle
    gc.collect()
    gc.collect()  # what the first one emptied
    assert [ref() for ref in refs] == [None] * 3


@trio_test
async def test_a_lot_forgets_where_nobody_of_its_tasks_is_any_more() -> None:
    one = ParkingLot()
    others = [ParkingLot() for _ in range(4)]
    refs = [weakref.ref(lot) for lot in others]
    async with ctrio.open_nursery() as nursery:
        await fill(nursery, one, [], 5)
        for lot in others:
            one.repark(lot)
        for lot in others[:3]:
            lot.unpark()
        del lot, others
        one.repark(ParkingLot())
        assert [ref() is None for ref in refs] == [True, True, True, False]
        nursery.cancel_scope.cancel()


@trio_test
async def test_the_garbage_of_moved_tasks_is_collected() -> None:
    lots = [ParkingLot() for _ in range(2)]
    refs = [weakref.ref(lot) for lot in lots]

    async def wait(lots: list[ParkingLot]) -> None:
        here = [current_task().coro, lots]  # a cycle through our own frame
        await lots[0].park()
        assert here

    async def nothing() -> None:
        pass

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(wait, lots)
        await wait_all_tasks_blocked()
        lots[0].repark(lots[1])
        lots[1].repark(lots[0])
        lots[0].repark(lots[1])
        (task,) = nursery.child_tasks
        task.coro = nothing()
        del lots
        for _ in range(3):
            gc.collect()
        assert [ref() for ref in refs] == [None] * 2
        nursery.cancel_scope.cancel()


@trio_test
async def test_a_cycle_through_a_moved_coroutine_is_collected() -> None:
    lock, lot = ctrio.Lock(), ParkingLot()
    lock.acquire_nowait()
    for _ in range(2):  # so that what is older than the coroutine leads to it
        coro = lock._lot.park()
        next(coro.__await__())
        lock._lot.repark(lot)
    lock.coro = coro  # type: ignore[attr-defined]
    refs: list[weakref.ref[Any]] = [weakref.ref(one) for one in (lock, lot, coro)]
    del lock, lot, coro
    gc.collect()
    gc.collect()  # what the first one emptied
    assert [ref() for ref in refs] == [None] * 3


# --- lots of other objects ------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [ctrio.Lock, ctrio.StrictFIFOLock, ctrio.Condition, lambda: ctrio.Semaphore(1)],
)
def test_an_objects_lot_is_the_same_while_somebody_has_it(
    make: Callable[[], Any],
) -> None:
    owner = make()
    lot = owner._lot
    assert type(lot) is ParkingLot
    assert owner._lot is lot
    assert len(lot) == 0 and lot.broken_by == []
    ref = weakref.ref(owner)
    del owner
    assert ref() is not None  # by its lot
    del lot
    assert ref() is None


@trio_test
async def test_the_lot_of_a_lock_is_its_queue() -> None:
    lock = ctrio.Lock()
    async with ctrio.open_nursery() as nursery:
        await lock.acquire()
        nursery.start_soon(lock.acquire)
        nursery.start_soon(lock.acquire)
        await wait_all_tasks_blocked()
        assert len(lock._lot) == 2
        assert set(lock._lot._parked) == nursery.child_tasks
        nursery.cancel_scope.cancel()
        lock.release()


@pytest.mark.parametrize(
    "owner", [ctrio.Lock(), ctrio.StrictFIFOLock(), ctrio.Semaphore(1)]
)
@trio_test
async def test_nobody_parks_where_nobody_would_be_unparked(owner: Any) -> None:
    text = re.escape(f"this parking lot belongs to {owner!r}, which nobody has")
    with pytest.raises(RuntimeError, match=text):
        await owner._lot.park()
    lot = ParkingLot()
    lot.repark_all(owner._lot)  # nobody is moved
    async with ctrio.open_nursery() as nursery:
        await fill(nursery, lot, [], 1)
        with pytest.raises(RuntimeError, match=text):
            lot.repark(owner._lot)
        assert len(lot) == 1
        nursery.cancel_scope.cancel()


@trio_test
async def test_a_task_can_be_moved_to_a_lock_that_is_held() -> None:
    """As a condition variable of somebody else's would do it."""
    lock, lot = ctrio.Lock(), ParkingLot()
    owners: list[object] = []

    async def wait() -> None:
        await lot.park()
        owners.append(lock._owner)
        lock.release()

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        await lock.acquire()
        lot.repark(lock._lot)
        lock.release()
    assert owners == [task]
    assert not lock.locked()


# --- broken ---------------------------------------------------------------------------


@trio_test
async def test_a_broken_lot_lets_nobody_in() -> None:
    lot = ParkingLot()
    me = current_task()
    errors: list[str] = []

    async def wait() -> None:
        with pytest.raises(ctrio.BrokenResourceError) as caught:
            await lot.park()
        errors.append(str(caught.value))

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        lot.break_lot()
        assert len(lot) == 0
    assert lot.broken_by == [me]
    lot.break_lot(task=me)
    assert lot.broken_by == [me, me]
    await wait()
    assert errors == [
        f"Parking lot broken by {me}",
        f"Attempted to park in parking lot broken by [{me}, {me}]",
    ]
    with pytest.raises(TypeError, match=r"task must be a trio\.lowlevel\.Task"):
        lot.break_lot(3)  # type: ignore[arg-type]


def test_breaking_a_lot_needs_a_task() -> None:
    with pytest.raises(RuntimeError, match=r"^must be called from async context$"):
        ParkingLot().break_lot()


@trio_test
async def test_a_task_learns_who_broke_the_lot_it_was_moved_to() -> None:
    lots = [ParkingLot() for _ in range(4)]
    errors: list[str] = []

    async def wait() -> None:
        with pytest.raises(ctrio.BrokenResourceError) as caught:
            await lots[0].park()
        errors.append(str(caught.value))

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        for i in range(3):
            lots[i].repark(lots[i + 1])
        lots[-1].break_lot()
    assert errors == [f"Parking lot broken by {current_task()}"]


# --- breakers -------------------------------------------------------------------------


async def with_breakers(*lots: ParkingLot) -> Task:
    """Run a task that answers for these lots, to its end."""
    tasks: list[Task] = []

    async def answer() -> None:
        tasks.append(current_task())
        for lot in lots:
            add_parking_lot_breaker(current_task(), lot)

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(answer)
    return tasks[0]


@trio_test
async def test_of_two_broken_lots_the_one_counts_where_the_task_was() -> None:
    first, second = ParkingLot(), ParkingLot()

    async def parks() -> None:
        with pytest.raises(ctrio.BrokenResourceError, match="'breaks second'"):
            await first.park()

    async def breaks(lot: ParkingLot) -> None:
        lot.break_lot()

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(parks)
        await wait_all_tasks_blocked()
        first.repark(second)
        nursery.start_soon(breaks, first, name="breaks first")
        await wait_all_tasks_blocked()
        breaker = await nursery.start(waits, name="breaks second")
        second.break_lot(breaker)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def waits(task_status: ctrio.TaskStatus[Task]) -> None:
    task_status.started(current_task())
    await ctrio.sleep_forever()


@trio_test
async def test_a_lot_breaks_when_a_task_exits_that_answers_for_it() -> None:
    lots = [ParkingLot() for _ in range(2)]
    errors: list[str] = []

    async def wait(lot: ParkingLot) -> None:
        with pytest.raises(ctrio.BrokenResourceError) as caught:
            await lot.park()
        errors.append(str(caught.value))

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(wait, lots[0])
        await wait_all_tasks_blocked()
        task = await with_breakers(lots[0], lots[0], lots[1])
    assert lots[0].broken_by == [task, task]
    assert lots[1].broken_by == [task]
    assert errors == [f"Parking lot broken by {task}"]
    with pytest.raises(
        ctrio.BrokenResourceError,
        match=r"^Attempted to add already exited task as lot breaker\.$",
    ):
        add_parking_lot_breaker(task, lots[0])
    ParkingLot().break_lot(task)


@trio_test
async def test_a_registration_can_be_taken_back_once() -> None:
    lot, me = ParkingLot(), current_task()
    text = "^Attempted to remove task as breaker for a lot it is not registered for$"
    for _ in range(2):
        add_parking_lot_breaker(task=me, lot=lot)
    for _ in range(2):
        remove_parking_lot_breaker(me, lot)
    with pytest.raises(RuntimeError, match=text) as caught:
        remove_parking_lot_breaker(me, lot)
    assert caught.value.__suppress_context__  # As if it were raised `from None`.
    assert me not in GLOBAL_PARKING_LOT_BREAKER
    lock = ctrio.Lock()
    async with lock:  # which answers for itself
        with pytest.raises(RuntimeError, match=text):
            remove_parking_lot_breaker(me, lock._lot)


@trio_test
async def test_breakers_are_tasks_and_lots() -> None:
    class Odd:
        coro = None

    add: Any = add_parking_lot_breaker
    for wrong in ((current_task(), ctrio.Lock()), (Odd(), ParkingLot())):
        with pytest.raises(TypeError, match="(task|lot) must be a"):
            add(*wrong)
        with pytest.raises(RuntimeError, match="not registered"):
            remove_parking_lot_breaker(*wrong)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        add(3, ParkingLot())
    with pytest.raises(TypeError, match="missing 1 required"):
        add(current_task())


@trio_test
async def test_a_registered_lot_lives_until_the_task_exits() -> None:
    refs: list[weakref.ref[ParkingLot]] = []

    async def answer() -> None:
        lot = ParkingLot()
        refs.append(weakref.ref(lot))
        add_parking_lot_breaker(current_task(), lot)
        del lot
        gc.collect()
        assert refs[0]() is not None

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(answer)
    gc.collect()
    assert refs[0]() is None


@trio_test
async def test_the_table_of_breakers_is_like_trios_dictionary() -> None:
    table, me = GLOBAL_PARKING_LOT_BREAKER, current_task()
    lock, lot = ctrio.Lock(), ParkingLot()
    assert not table and len(table) == 0 and table == {} and list(table) == []
    await lock.acquire()
    add_parking_lot_breaker(me, lot)
    expected = {me: [lock._lot, lot]}
    view = lock._lot
    assert table == expected and expected == table
    assert (table != expected) is False and table != {}
    assert (list(table), len(table), me in table) == ([me], 1, True)
    assert table[me] == [view, lot] and table[me][0] is view
    assert list(table.items()) == [(me, [view, lot])]
    assert (list(table.keys()), list(table.values())) == ([me], [[view, lot]])
    assert (table.get(me), table.get(3), table.get(3, 4)) == ([view, lot], None, 4)
    assert table.copy() == expected and type(table.copy()) is dict
    assert repr(table) == repr(expected)
    for key in (3, lot):
        assert key not in table
        with pytest.raises(KeyError):
            table[key]
    lock.release()
    remove_parking_lot_breaker(me, lot)
    assert not table
    with pytest.raises(KeyError):
        table[me]


def test_outside_of_a_run_nobody_answers_for_anything() -> None:
    assert GLOBAL_PARKING_LOT_BREAKER == {}
