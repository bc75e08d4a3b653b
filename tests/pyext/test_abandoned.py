"""Awaitables that are left while they wait, by whoever steps them by hand.

A runner of coroutines that takes one step and gives up is a usual way to find out
whether something would block. The task that does so goes on; what it has left is out
of every queue.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import outcome
import pytest
from leavings import ELSEWHERE, LEAVINGS, Coro, collect
from mock_clock import run_on_mock_clock

import ctrio
from ctrio import (
    CapacityLimiter,
    Condition,
    Event,
    Lock,
    Semaphore,
    StrictFIFOLock,
    open_memory_channel,
)
from ctrio.lowlevel import (
    Abort,
    ParkingLot,
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    current_task,
    permanently_detach_coroutine_object,
    reschedule,
    temporarily_detach_coroutine_object,
    wait_task_rescheduled,
)
from ctrio.testing import trio_test, wait_all_tasks_blocked


class Place:
    """What there is to wait for, and what shows whether somebody still waits."""

    def __init__(self) -> None:
        self.event = Event()
        self.lock = Lock()
        self.fifo = StrictFIFOLock()
        self.semaphore = Semaphore(0)
        self.condition = Condition()
        self.limiter = CapacityLimiter(1)
        self.lot = ParkingLot()
        self.full_send, self.full_receive = open_memory_channel[int](0)
        self.send, self.receive = open_memory_channel[int](0)

    def waiting(self) -> list[int]:
        sends = self.full_send.statistics().tasks_waiting_send
        return [
            self.event.statistics().tasks_waiting,
            self.lock.statistics().tasks_waiting,
            self.fifo.statistics().tasks_waiting,
            self.semaphore.statistics().tasks_waiting,
            self.condition.statistics().tasks_waiting,
            self.limiter.statistics().tasks_waiting,
            self.lot.statistics().tasks_waiting,
            sends,
            self.receive.statistics().tasks_waiting_receive,
        ]

    async def hold(self, ready: Event) -> None:
        """Keep what can be held, so that whoever wants it waits."""
        async with self.lock, self.fifo, self.limiter:
            ready.set()
            await ctrio.sleep_forever()


@asynccontextmanager
async def held() -> AsyncIterator[Place]:
    """A place where another task keeps what can be held."""
    place, ready = Place(), Event()
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(place.hold, ready)
        await ready.wait()
        yield place
        nursery.cancel_scope.cancel()


WAITS: dict[str, Callable[[Place], Coro]] = {
    "sleep": lambda place: ctrio.sleep(5),
    "sleep_until": lambda place: ctrio.sleep_until(ctrio.current_time() + 5),
    "sleep_forever": lambda place: ctrio.sleep_forever(),
    "wait_task_rescheduled": lambda place: wait_task_rescheduled(
        lambda _: Abort.SUCCEEDED
    ),
    "temporarily_detach": lambda place: temporarily_detach_coroutine_object(
        lambda _: Abort.FAILED
    ),
    "wait_all_tasks_blocked": lambda place: wait_all_tasks_blocked(),
    "Event.wait": lambda place: place.event.wait(),
    "Lock.acquire": lambda place: place.lock.acquire(),
    "StrictFIFOLock.acquire": lambda place: place.fifo.acquire(),
    "Semaphore.acquire": lambda place: place.semaphore.acquire(),
    "CapacityLimiter.acquire": lambda place: place.limiter.acquire(),
    "CapacityLimiter.on_behalf": lambda place: place.limiter.acquire_on_behalf_of("x"),
    "ParkingLot.park": lambda place: place.lot.park(),
    "send": lambda place: place.full_send.send(1),
    "receive": lambda place: place.receive.receive(),
    "anext": lambda place: place.receive.__anext__(),
}


async def still_works(place: Place) -> None:
    """Everything can be waited for, and gives what it should."""
    assert place.waiting() == [0] * len(place.waiting())
    start = ctrio.current_time()
    await checkpoint()
    await ctrio.sleep(1)
    assert ctrio.current_time() == start + 1
    with ctrio.move_on_after(1) as scope:
        await place.event.wait()
    assert scope.cancelled_caught
    place.semaphore.release()
    await place.semaphore.acquire()
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(place.send.send, 3)
        assert await place.receive.receive() == 3
        nursery.start_soon(place.full_send.send, 4)
        assert await place.full_receive.receive() == 4
    assert place.waiting() == [0] * len(place.waiting())


@pytest.mark.parametrize("leave", LEAVINGS)
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_one_that_is_left_waits_no_more(
    wait: Callable[[Place], Coro], leave: Callable[[Coro], None]
) -> None:
    async def main() -> None:
        async with held() as place:
            for _ in range(2):
                coro = wait(place)
                coro.send(None)
                leave(coro)
                del coro
                collect()
                await still_works(place)

    run_on_mock_clock(main)


@pytest.mark.parametrize("leave", ELSEWHERE)
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_one_that_is_left_on_another_thread_waits_no_more(
    wait: Callable[[Place], Coro], leave: Callable[[list[Coro]], None]
) -> None:
    async def main() -> None:
        async with held() as place:
            for _ in range(2):
                holder = [wait(place)]
                holder[0].send(None)
                leave(holder)
                assert holder == []
                await still_works(place)

    run_on_mock_clock(main)


@pytest.mark.parametrize("leave", LEAVINGS)
def test_a_condition_that_is_left_can_be_waited_for_again(
    leave: Callable[[Coro], None],
) -> None:
    async def main() -> None:
        place = Place()
        for _ in range(3):
            await place.condition.acquire()
            coro = place.condition.wait()
            coro.send(None)
            leave(coro)
            del coro
            collect()
            assert place.condition.statistics().tasks_waiting == 0
            if place.condition.locked():
                place.condition.release()
        await still_works(place)

    run_on_mock_clock(main)


def step_once(coro: Coro) -> bool:
    """Whether it wanted to wait."""
    try:
        coro.send(None)
    except StopIteration:
        return False
    return True


@pytest.mark.parametrize("leave", LEAVINGS)
@pytest.mark.parametrize(
    "point", [checkpoint, cancel_shielded_checkpoint, checkpoint_if_cancelled]
)
@pytest.mark.parametrize("cancelled", [False, True])
def test_a_checkpoint_that_is_left_takes_no_turn(
    cancelled: bool,
    point: Callable[[], Coro],
    leave: Callable[[Coro], None],
) -> None:
    async def main() -> None:
        with ctrio.CancelScope() as scope:
            if cancelled:
                scope.cancel()
            for _ in range(3):
                coro = point()
                if step_once(coro):
                    leave(coro)
                del coro
                collect()
        assert not scope.cancelled_caught
        await still_works(Place())

    run_on_mock_clock(main)


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_one_that_is_only_forgotten_does_not_keep_its_task_from_ending(
    wait: Callable[[Place], Coro],
) -> None:
    kept: list[Coro] = []

    async def steps_and_ends(place: Place) -> str:
        kept.append(wait(place))
        kept[-1].send(None)
        return "ended"

    async def main() -> None:
        async with held() as place:
            async with ctrio.open_nursery() as inner:
                inner.start_soon(steps_and_ends, place)
            for coro in kept:
                coro.close()
            await still_works(place)

    run_on_mock_clock(main)
    assert len(kept) == 1


@pytest.mark.parametrize("leave", LEAVINGS)
@trio_test
async def test_a_task_that_left_its_detaching_stays(
    leave: Callable[[Coro], None],
) -> None:
    coro = permanently_detach_coroutine_object(outcome.Value("not yet"))
    died = weakref.ref(coro)
    coro.send(None)
    leave(coro)
    del coro
    gc.collect()
    assert died() is None
    await checkpoint()
    await wait_all_tasks_blocked()


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_one_that_outlives_its_run_can_be_closed_and_collected(
    wait: Callable[[Place], Coro],
) -> None:
    kept: list[Coro] = []

    async def main() -> None:
        for _ in range(2):
            place = Place()
            place.limiter.acquire_on_behalf_of_nowait(place)
            kept.append(wait(place))
            step_once(kept[-1])

    run_on_mock_clock(main)
    died = [weakref.ref(coro) for coro in kept]
    kept[0].close()
    kept.clear()
    gc.collect()
    assert [coro() for coro in died] == [None, None]


@trio_test
async def test_a_wake_that_comes_for_one_that_was_left_is_nobody_s() -> None:
    event = Event()
    coro = event.wait()
    coro.send(None)
    event.set()  # it would run next; but it is running
    coro.close()
    for _ in range(3):
        await checkpoint()
    with ctrio.CancelScope() as scope:
        scope.cancel()
        await ctrio.sleep_forever()
    assert scope.cancelled_caught


@trio_test
async def test_stepping_it_twice_by_hand_is_refused() -> None:
    event = Event()
    coro = event.wait()
    coro.send(None)
    with pytest.raises((RuntimeError, AttributeError)):
        coro.send(None)
    coro.close()
    assert event.statistics().tasks_waiting == 0
    await checkpoint()


@trio_test
async def test_another_task_may_drop_a_coroutine_that_waits() -> None:
    """It leaves the queue; the task itself sleeps on, until it is cancelled."""
    lot = ParkingLot()
    tasks = []

    async def child() -> None:
        tasks.append(current_task())
        await lot.park()

    with pytest.raises(BaseException) as caught:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(child)
            await wait_all_tasks_blocked()
            tasks[0].coro.close()
            assert lot.statistics().tasks_waiting == 0
            await wait_all_tasks_blocked()
            assert nursery.child_tasks == {tasks[0]}
            nursery.cancel_scope.cancel()
    [error] = caught.value.exceptions  # type: ignore[attr-defined]
    assert str(error) == "cannot reuse already awaited coroutine"


@trio_test
async def test_a_task_whose_coroutine_was_replaced_goes_on_in_the_new_one() -> None:
    lot = ParkingLot()
    done = []

    async def old() -> None:
        await lot.park()

    async def new() -> None:
        done.append(current_task())
        await checkpoint()
        done.append(current_task())

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(old)
        await wait_all_tasks_blocked()
        [task] = nursery.child_tasks
        task.coro = new()
        gc.collect()
        assert lot.statistics().tasks_waiting == 0
        reschedule(task)
    assert done == [task, task]


# --- nurseries ------------------------------------------------------------------------

CORRUPTED = "Nursery stack corrupted: Nursery surrounding"


async def fails_of(text: str, async_fn: Callable[..., Any], *args: object) -> None:
    """Run it in a task of its own, which must fail so and harm nobody else."""
    with pytest.raises(BaseException) as caught:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(async_fn, *args)
    [error] = caught.value.exceptions  # type: ignore[attr-defined]
    assert type(error) is RuntimeError
    assert str(error).startswith(text)
    await wait_all_tasks_blocked()  # what it has left behind is cancelled


async def note_the_end(ended: list[str], task_status: Any = None) -> None:
    try:
        await ctrio.sleep_forever()
    finally:
        ended.append("child")


@pytest.mark.parametrize("leave", LEAVINGS)
@trio_test
async def test_an_exit_that_is_left_can_be_asked_for_again(
    leave: Callable[[Coro], None],
) -> None:
    event, ended = Event(), []

    async def child() -> None:
        await event.wait()
        ended.append("child")

    manager: Any = ctrio.open_nursery()
    nursery = await manager.__aenter__()
    nursery.start_soon(child)
    for _ in range(3):
        coro = manager.__aexit__(None, None, None)
        coro.send(None)
        leave(coro)
        del coro
        collect()
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
    assert ended == []
    event.set()
    assert await manager.__aexit__(None, None, None) is True
    assert ended == ["child"]


@pytest.mark.parametrize("leave", LEAVINGS)
@trio_test
async def test_an_exit_that_is_left_for_good_takes_the_children_along(
    leave: Callable[[Coro], None],
) -> None:
    ended: list[str] = []

    async def leaver() -> None:
        manager: Any = ctrio.open_nursery()
        nursery = await manager.__aenter__()
        nursery.start_soon(note_the_end, ended)
        await wait_all_tasks_blocked()
        coro = manager.__aexit__(None, None, None)
        coro.send(None)
        leave(coro)
        del coro
        collect()
        await wait_all_tasks_blocked()
        ended.append("parent")

    await fails_of(CORRUPTED, leaver)
    assert ended == ["parent", "child"]


@pytest.mark.parametrize("leave", LEAVINGS)
@trio_test
async def test_a_start_that_is_left_starts_nothing_in_the_nursery(
    leave: Callable[[Coro], None],
) -> None:
    ended: list[str] = []

    async def leaver(nursery: ctrio.Nursery) -> None:
        coro = nursery.start(note_the_end, ended)
        coro.send(None)
        leave(coro)
        del coro
        collect()
        await wait_all_tasks_blocked()
        [inner] = current_task().child_nurseries
        [child] = inner.child_tasks
        assert child.eventual_parent_nursery is None
        ended.append("parent")

    async with ctrio.open_nursery() as nursery:
        await fails_of(CORRUPTED, leaver, nursery)
        assert ended == ["parent", "child"]
        assert nursery.child_tasks == frozenset()
        assert await nursery.start(starts_at_once) == "started"


async def starts_at_once(task_status: Any) -> None:
    task_status.started("started")
