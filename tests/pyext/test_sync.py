"""Event, Lock, StrictFIFOLock, Semaphore and Condition."""

from __future__ import annotations

import gc
import math
import re
import sys
import weakref
from collections.abc import Awaitable, Callable

import pytest

import ctrio
from ctrio._sync import AsyncContextManagerMixin
from ctrio.testing import assert_checkpoints, trio_test, wait_all_tasks_blocked

AnyLock = ctrio.Lock | ctrio.StrictFIFOLock
each_lock = pytest.mark.parametrize("lock_class", [ctrio.Lock, ctrio.StrictFIFOLock])


# --- Event ----------------------------------------------------------------------------


def test_an_event_is_no_bool() -> None:
    text = re.escape(
        "Trio events cannot be treated as bools; consider using "
        "`event.is_set()` instead."
    )
    for ask in (bool, ctrio.Event.__bool__):
        with pytest.raises(NotImplementedError, match=f"^{text}$"):
            ask(ctrio.Event())


@trio_test
async def test_an_event_wakes_all_who_wait_and_stays_set() -> None:
    event = ctrio.Event()
    woken: list[int] = []
    assert re.fullmatch(r"<trio\.Event object at 0x\w+>", repr(event))

    async def wait(number: int) -> None:
        await event.wait()
        woken.append(number)

    async with ctrio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(wait, number)
        await wait_all_tasks_blocked()
        assert (event.is_set(), event.statistics().tasks_waiting) == (False, 3)
        event.set()
        event.set()
        assert (event.is_set(), event.statistics().tasks_waiting) == (True, 0)
        assert woken == []
    assert sorted(woken) == [0, 1, 2]
    with assert_checkpoints():
        await event.wait()


@trio_test
async def test_waiting_for_a_set_event_can_be_cancelled() -> None:
    event = ctrio.Event()
    event.set()
    with ctrio.CancelScope() as scope:
        scope.cancel()
        await event.wait()
    assert scope.cancelled_caught


# --- locks ----------------------------------------------------------------------------


@each_lock
@trio_test
async def test_a_lock_tells_who_has_it(lock_class: type[AnyLock]) -> None:
    lock = lock_class()
    name = lock_class.__name__
    assert re.fullmatch(rf"<unlocked {name} object at 0x\w+>", repr(lock))
    assert lock._owner is None
    assert lock.statistics() == ctrio._sync.LockStatistics(False, None, 0)
    with assert_checkpoints():
        await lock.acquire()
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(lock.acquire)
        await wait_all_tasks_blocked()
        pattern = rf"<locked {name} object at 0x\w+ with 1 waiters>"
        assert re.fullmatch(pattern, repr(lock))
        me = ctrio.lowlevel.current_task()
        assert lock.locked() and lock._owner is me
        assert lock.statistics() == ctrio._sync.LockStatistics(True, me, 1)
        nursery.cancel_scope.cancel()
    lock.release()
    assert not lock.locked()


@each_lock
@trio_test
async def test_a_lock_is_not_for_everybody(lock_class: type[AnyLock]) -> None:
    lock = lock_class()
    again = r"^attempt to re-acquire an already held Lock$"
    not_ours = r"^can't release a Lock you don't own$"
    with pytest.raises(RuntimeError, match=not_ours):
        lock.release()
    async with lock:
        with pytest.raises(RuntimeError, match=again):
            lock.acquire_nowait()
        with assert_checkpoints(), pytest.raises(RuntimeError, match=again):
            await checkpointing(lock.acquire)

    async def meddle() -> None:
        with pytest.raises(ctrio.WouldBlock):
            lock.acquire_nowait()
        with pytest.raises(RuntimeError, match=not_ours):
            lock.release()
        with pytest.raises(RuntimeError, match=not_ours):
            await lock.__aexit__(None, None, None)

    async with ctrio.open_nursery() as nursery:
        async with lock:
            nursery.start_soon(meddle)
            await wait_all_tasks_blocked()


async def checkpointing(fn: Callable[[], Awaitable[object]]) -> None:
    """What raises at once is no checkpoint: this is one before it."""
    await ctrio.lowlevel.checkpoint()
    await fn()


@each_lock
@trio_test
async def test_a_lock_goes_to_who_has_waited_longest(
    lock_class: type[AnyLock],
) -> None:
    lock = lock_class()
    order: list[int] = []

    async def take(number: int) -> None:
        async with lock:
            order.append(number)
            assert lock._owner is ctrio.lowlevel.current_task()

    async with ctrio.open_nursery() as nursery:
        lock.acquire_nowait()
        for number in range(4):
            nursery.start_soon(take, number)
            await wait_all_tasks_blocked()
        lock.release()
        assert lock.locked()  # it is somebody's already
        with pytest.raises(ctrio.WouldBlock):
            lock.acquire_nowait()
    assert order == [0, 1, 2, 3]


@trio_test
async def test_a_lock_whose_owner_is_gone_is_broken_for_ever() -> None:
    lock = ctrio.Lock()
    owners: list[object] = []
    errors: list[str] = []

    async def hold() -> None:
        await lock.acquire()
        owners.append(ctrio.lowlevel.current_task())
        await wait_all_tasks_blocked()

    async def wait() -> None:
        with pytest.raises(ctrio.BrokenResourceError) as caught:
            await lock.acquire()
        errors.append(str(caught.value))
        assert caught.value.__suppress_context__  # As if it were raised `from None`.

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(hold)
        await wait_all_tasks_blocked()
        nursery.start_soon(wait)
    gc.collect()
    await wait()
    text = f"Owner of this lock exited without releasing: {owners[0]}"
    assert errors == [text, text]
    assert lock._owner is owners[0]
    assert lock._lot.broken_by == owners
    assert lock.locked()
    with pytest.raises(ctrio.WouldBlock):
        lock.acquire_nowait()
    with pytest.raises(RuntimeError, match="can't release a Lock you don't own"):
        lock.release()


@trio_test
async def test_a_lock_may_be_forgotten_by_its_owner() -> None:
    async def forget() -> None:
        lock = ctrio.Lock()
        await lock.acquire()
        ref.append(weakref.ref(lock))

    ref: list[weakref.ref[ctrio.Lock]] = []
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(forget)
    assert ref[0]() is None


# --- Semaphore ------------------------------------------------------------------------


def test_a_semaphore_checks_its_numbers() -> None:
    with pytest.raises(TypeError, match=r"^initial_value must be an int$"):
        ctrio.Semaphore(1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^initial_value must be an int$"):
        ctrio.Semaphore(math.inf)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^initial value must be >= 0$"):
        ctrio.Semaphore(-1)
    with pytest.raises(ValueError, match=r"^initial value must be >= 0$"):
        ctrio.Semaphore(-(10**30))
    with pytest.raises(TypeError, match=r"^max_value must be None or an int$"):
        ctrio.Semaphore(1, max_value=2.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^max_values must be >= initial_value$"):
        ctrio.Semaphore(2, max_value=1)
    with pytest.raises(OverflowError):
        ctrio.Semaphore(10**30)
    with pytest.raises(OverflowError):
        ctrio.Semaphore(1, max_value=10**30)
    init = r"^Semaphore\.__init__\(\) "
    text = "missing 1 required positional argument: 'initial_value'$"
    with pytest.raises(TypeError, match=init + text):
        ctrio.Semaphore()  # type: ignore[call-arg]
    text = "takes 2 positional arguments but 3 were given$"
    with pytest.raises(TypeError, match=init + text):
        ctrio.Semaphore(1, 2)  # type: ignore[misc]


@trio_test
async def test_a_semaphore_counts() -> None:
    semaphore = ctrio.Semaphore(1, max_value=2)
    pattern = r"<trio\.Semaphore\(1, max_value=2\) at 0x\w+>"
    assert re.fullmatch(pattern, repr(semaphore))
    assert re.fullmatch(r"<trio\.Semaphore\(0\) at 0x\w+>", repr(ctrio.Semaphore(0)))
    assert (semaphore.value, semaphore.max_value) == (1, 2)
    assert ctrio.Semaphore(0).max_value is None
    semaphore.release()
    with pytest.raises(ValueError, match=r"^semaphore released too many times$"):
        semaphore.release()
    with assert_checkpoints():
        await semaphore.acquire()
    async with semaphore:
        assert semaphore.value == 0
        with pytest.raises(ctrio.WouldBlock):
            semaphore.acquire_nowait()
    assert semaphore.value == 1
    for name in ("value", "max_value"):
        with pytest.raises(AttributeError):
            setattr(semaphore, name, 1)


@trio_test
async def test_a_permit_goes_to_who_has_waited_longest() -> None:
    semaphore = ctrio.Semaphore(0)
    order: list[int] = []

    async def take(number: int) -> None:
        await semaphore.acquire()
        order.append(number)

    async with ctrio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(take, number)
            await wait_all_tasks_blocked()
        assert semaphore.statistics().tasks_waiting == 3
        semaphore.release()
        assert semaphore.value == 0
        with pytest.raises(ctrio.WouldBlock):
            semaphore.acquire_nowait()
        semaphore.release()
        await wait_all_tasks_blocked()
        assert sorted(order) == [0, 1]
        semaphore.release()
    assert order[2] == 2


@trio_test
async def test_a_semaphore_whose_lot_is_broken_says_so() -> None:
    semaphore = ctrio.Semaphore(0)
    me = ctrio.lowlevel.current_task()
    async with ctrio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(ctrio.BrokenResourceError) as caught:
                await semaphore.acquire()
            assert str(caught.value) == f"Parking lot broken by {me}"

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        semaphore._lot.break_lot()
    text = re.escape(f"Attempted to park in parking lot broken by [{me}]")
    with pytest.raises(ctrio.BrokenResourceError, match=f"^{text}$"):
        await semaphore.acquire()


# --- Condition ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lock", [ctrio.StrictFIFOLock(), ctrio.Semaphore(1), ctrio.Lock, 3]
)
def test_a_condition_wants_exactly_a_lock(lock: object) -> None:
    with pytest.raises(TypeError, match=r"^lock must be a trio\.Lock$"):
        ctrio.Condition(lock)  # type: ignore[arg-type]


@trio_test
async def test_a_condition_is_a_lock_too() -> None:
    lock = ctrio.Lock()
    condition = ctrio.Condition(lock=lock)
    assert re.fullmatch(r"<trio\.Condition object at 0x\w+>", repr(condition))
    assert condition._lock is lock
    assert not condition.locked()
    with assert_checkpoints():
        await condition.acquire()
    assert condition.locked() and lock.locked()
    with pytest.raises(RuntimeError, match="attempt to re-acquire"):
        condition.acquire_nowait()
    condition.release()
    condition.acquire_nowait()
    condition.release()
    with pytest.raises(RuntimeError, match="can't release a Lock you don't own"):
        condition.release()
    async with condition:
        assert lock.locked()
        statistics = condition.statistics()
        assert statistics.tasks_waiting == 0
        assert statistics.lock_statistics == lock.statistics()


@trio_test
async def test_a_condition_is_for_who_holds_its_lock() -> None:
    condition = ctrio.Condition()
    with pytest.raises(RuntimeError, match=r"^must hold the lock to wait$"):
        await condition.wait()
    with pytest.raises(RuntimeError, match=r"^must hold the lock to notify$"):
        condition.notify(math.nan)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"^must hold the lock to notify$"):
        condition.notify_all()
    async with condition:
        for number in (1.5, math.nan):
            with pytest.raises(ValueError, match="Cannot pop a non-integer number"):
                condition.notify(number)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            condition.notify("1")  # type: ignore[arg-type]
        condition.notify(-1)
        many = 10**20
        before = sys.getrefcount(many)
        condition.notify(many)
        assert sys.getrefcount(many) == before
        condition.notify(math.inf)  # type: ignore[arg-type]


@trio_test
async def test_notified_tasks_get_the_lock_in_order() -> None:
    condition = ctrio.Condition()
    order: list[int] = []

    async def wait(number: int) -> None:
        async with condition:
            await condition.wait()
            order.append(number)

    async with ctrio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(wait, number)
            await wait_all_tasks_blocked()
        async with condition:
            condition.notify()
            condition.notify(n=2)
            assert condition.statistics().tasks_waiting == 2
            assert condition.statistics().lock_statistics.tasks_waiting == 3
            assert order == []
        await wait_all_tasks_blocked()
        assert order == [0, 1, 2]
        async with condition:
            condition.notify_all()
    assert order == [0, 1, 2, 3, 4]


@trio_test
async def test_a_cancelled_wait_has_the_lock_again() -> None:
    condition = ctrio.Condition()
    states: list[bool] = []

    async def wait(scope: ctrio.CancelScope) -> None:
        with scope:
            async with condition:
                try:
                    await condition.wait()
                finally:
                    me = ctrio.lowlevel.current_task()
                    states.append(condition._lock._owner is me)

    scopes = [ctrio.CancelScope() for _ in range(2)]
    async with ctrio.open_nursery() as nursery:
        for scope in scopes:
            nursery.start_soon(wait, scope)
        await wait_all_tasks_blocked()
        scopes[0].cancel()  # the lock is free
        await wait_all_tasks_blocked()
        assert states == [True]
        async with condition:  # and now it is not
            scopes[1].cancel()
            await wait_all_tasks_blocked()
            assert states == [True]
        await wait_all_tasks_blocked()
    assert states == [True, True]
    assert [scope.cancelled_caught for scope in scopes] == [True, True]
    assert condition.statistics().tasks_waiting == 0
    assert not condition.locked()


@pytest.mark.parametrize("what", ["notify", "cancel"])
@trio_test
async def test_a_wait_whose_lock_breaks_says_so(what: str) -> None:
    condition = ctrio.Condition()
    scope = ctrio.CancelScope()
    tasks: list[object] = []

    async def wait() -> None:
        with scope:
            await condition.acquire()
            with pytest.raises(ctrio.BrokenResourceError) as caught:
                await condition.wait()
            text = f"Owner of this lock exited without releasing: {tasks[0]}"
            assert str(caught.value) == text
            assert condition._lock._owner is tasks[0]

    async def break_it() -> None:
        tasks.append(ctrio.lowlevel.current_task())
        await condition.acquire()
        if what == "notify":
            condition.notify()
        else:
            scope.cancel()
        await wait_all_tasks_blocked()

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        nursery.start_soon(break_it)
    assert len(tasks) == 1


@trio_test
async def test_a_wait_in_a_broken_lot_has_the_lock_again() -> None:
    condition = ctrio.Condition()
    me = ctrio.lowlevel.current_task()

    async def wait() -> None:
        async with condition:
            with pytest.raises(ctrio.BrokenResourceError) as caught:
                await condition.wait()
            assert str(caught.value) == f"Parking lot broken by {me}"

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        condition._lot.break_lot()
    async with condition:
        text = re.escape(f"Attempted to park in parking lot broken by [{me}]")
        with pytest.raises(ctrio.BrokenResourceError, match=f"^{text}$"):
            await condition.wait()


# --- locks of others ------------------------------------------------------------------


@trio_test
async def test_a_class_with_acquire_and_release_gets_async_with_by_a_base_class() -> (
    None
):
    class Own(AsyncContextManagerMixin):
        def __init__(self) -> None:
            self.lock = ctrio.Lock()
            self.events: list[str] = []

        async def acquire(self) -> None:
            await self.lock.acquire()
            self.events.append("acquired")

        def release(self) -> None:
            self.lock.release()
            self.events.append("released")

    own = Own()
    with pytest.raises(KeyError):
        async with own:
            assert own.lock.locked()
            raise KeyError
    assert own.events == ["acquired", "released"]
    with ctrio.CancelScope() as scope:
        scope.cancel()
        async with own:
            pass
    assert scope.cancelled_caught
    assert own.events == ["acquired", "released"]
    assert not own.lock.locked()
