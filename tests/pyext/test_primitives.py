"""What the classes of the primitives have in common."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest

import ctrio
from ctrio.testing import trio_test, wait_all_tasks_blocked

WITH_A_DICT: list[Callable[[], object]] = [
    ctrio.Lock,
    ctrio.StrictFIFOLock,
    ctrio.Condition,
    lambda: ctrio.Semaphore(1),
    lambda: ctrio.CapacityLimiter(1),
    lambda: ctrio.open_memory_channel(1)[0],
    lambda: ctrio.open_memory_channel(1)[1],
]
WITHOUT: list[Callable[[], object]] = [
    ctrio.Event,
    ctrio.lowlevel.ParkingLot,
    lambda: ctrio.lowlevel.RunVar("x"),
    lambda: ctrio.lowlevel.RunVarToken._create(ctrio.lowlevel.RunVar("x")),
    lambda: ctrio._channel.MemoryChannelState(1),
]


@pytest.mark.parametrize(
    "name", ["Event", "Lock", "StrictFIFOLock", "Semaphore", "Condition"]
)
def test_the_classes_are_trios_and_final(name: str) -> None:
    cls = getattr(ctrio, name)
    assert (cls.__module__, cls.__qualname__) == ("trio", name)
    with pytest.raises(TypeError, match=f"'{name}'"):
        type("Sub", (cls,), {})


@pytest.mark.parametrize("make", WITH_A_DICT + WITHOUT)
def test_they_are_compared_by_identity_and_can_be_weakly_referenced(
    make: Callable[[], object],
) -> None:
    one, other = make(), make()
    assert one == one and one != other
    assert len({one, other}) == 2
    ref = weakref.ref(one)
    assert ref() is one
    del one
    assert ref() is None


@pytest.mark.parametrize("make", WITH_A_DICT)
def test_those_that_have_a_dict_in_trio_have_one(make: Callable[[], object]) -> None:
    made, other = make(), ctrio.Event()
    refs = [weakref.ref(made), weakref.ref(other)]
    made.mine = other  # type: ignore[attr-defined]
    assert vars(made) == {"mine": other}
    del made, other
    assert [ref() for ref in refs] == [None, None]


@pytest.mark.parametrize("make", WITH_A_DICT)
def test_cycles_through_the_dicts_are_collected(make: Callable[[], object]) -> None:
    made = make()
    made.mine = made  # type: ignore[attr-defined]
    ref = weakref.ref(made)
    del made
    gc.collect()
    assert ref() is None


def test_a_cycle_through_the_lock_of_a_condition_is_collected() -> None:
    condition = ctrio.Condition()
    condition._lock.condition = condition  # type: ignore[attr-defined]
    ref = weakref.ref(condition)
    del condition
    gc.collect()
    assert ref() is None


@pytest.mark.parametrize("make", WITHOUT)
def test_those_that_have_none_in_trio_have_none(make: Callable[[], object]) -> None:
    with pytest.raises(AttributeError):
        make().mine = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", WITH_A_DICT + WITHOUT)
def test_the_collector_knows_the_class_of_each(make: Callable[[], object]) -> None:
    made = make()
    assert gc.is_tracked(made)
    assert type(made) in gc.get_referents(made)


@pytest.mark.parametrize("cls", [ctrio.Event, ctrio.Lock, ctrio.StrictFIFOLock])
def test_those_without_arguments_take_none(cls: type) -> None:
    name = "_LockImpl" if cls.__name__.endswith("Lock") else cls.__name__
    init = rf"^{name}\.__init__\(\) "
    text = "takes 1 positional argument but 2 were given$"
    with pytest.raises(TypeError, match=init + text):
        cls(1)
    with pytest.raises(TypeError, match=init + "got an unexpected keyword argument"):
        cls(value=1)


def test_what_needs_a_task_says_so_outside_of_one() -> None:
    lock, condition = ctrio.Lock(), ctrio.Condition()
    calls: list[Callable[[], object]] = [
        lock.acquire_nowait,
        lock.release,
        condition.acquire_nowait,
        condition.release,
        condition.notify,
        condition.notify_all,
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match=r"^must be called from async context$"):
            call()


def test_what_needs_no_task_works_without() -> None:
    event, semaphore = ctrio.Event(), ctrio.Semaphore(0)
    event.set()
    assert event.is_set()
    semaphore.release()
    semaphore.acquire_nowait()
    assert semaphore.value == 0


@trio_test
async def test_waking_a_task_of_another_run_is_refused() -> None:
    event, semaphore = ctrio.Event(), ctrio.Semaphore(0)
    lot = ctrio.lowlevel.ParkingLot()
    send, receive = ctrio.open_memory_channel[int](0)
    calls: list[Callable[[], object]] = [
        event.set,
        semaphore.release,
        lot.unpark,
        lot.unpark_all,
        lambda: lot.break_lot(ctrio.lowlevel.current_root_task()),
        lambda: send.send_nowait(1),
        send.close,
        receive.close,
    ]
    errors: list[str] = []

    def refuse(call: Callable[[], object]) -> None:
        try:
            call()
        except RuntimeError as error:
            errors.append(str(error))

    async def other_run() -> None:
        for call in calls[:4] + calls[5:]:
            refuse(call)

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(event.wait)
        nursery.start_soon(semaphore.acquire)
        nursery.start_soon(lot.park)
        nursery.start_soon(receive.receive)
        await wait_all_tasks_blocked()
        root = ctrio.lowlevel.current_root_task()
        calls[4] = lambda: lot.break_lot(root)
        for call in calls:
            await ctrio.to_thread.run_sync(refuse, call)
        assert errors == ["must be called from async context"] * len(calls)
        errors.clear()
        await ctrio.to_thread.run_sync(ctrio.run, other_run)
        assert len(errors) == len(calls) - 1
        assert all("belongs to another run" in error for error in errors)
        event.set()
        semaphore.release()
        assert len(lot.unpark()) == 1
        send.send_nowait(1)
