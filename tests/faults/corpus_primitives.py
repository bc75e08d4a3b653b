"""More programs: events, locks, lots, channels."""

from __future__ import annotations

import warnings
from typing import Any

from corpus import in_crowd, program

import ctrio
from ctrio import Event, open_nursery
from ctrio.lowlevel import (
    ParkingLot,
    UnboundedQueue,
    add_parking_lot_breaker,
    checkpoint,
    current_task,
    remove_parking_lot_breaker,
)
from ctrio.testing import wait_all_tasks_blocked


@program
async def events() -> object:
    event = Event()

    async def waits(number: int) -> None:
        await event.wait()

    async with open_nursery() as nursery:
        nursery.start_soon(in_crowd, 3, waits)
        await wait_all_tasks_blocked()
        waiting = event.statistics().tasks_waiting
        event.set()
    await event.wait()
    return waiting, event.is_set()


@program
async def locks() -> object:
    lock, order = ctrio.Lock(), []

    async def locks(number: int) -> None:
        async with lock:
            order.append(number)
            await checkpoint()

    async with lock:
        with ctrio.move_on_after(1):
            async with open_nursery() as nursery:
                nursery.start_soon(in_crowd, 2, locks)
                await wait_all_tasks_blocked()
                waiting = lock.statistics().tasks_waiting
    await in_crowd(3, locks)
    lock.acquire_nowait()
    try:
        lock.acquire_nowait()
    except RuntimeError:
        lock.release()
    return waiting, len(order), repr(lock)[:20]


@program
async def a_lock_whose_owner_is_gone() -> object:
    lock = ctrio.StrictFIFOLock()

    async def leaves() -> None:
        await lock.acquire()

    async with open_nursery() as nursery:
        nursery.start_soon(leaves)
    try:
        await lock.acquire()
    except ctrio.BrokenResourceError as exc:
        return str(exc)[:22]
    return None


@program
async def semaphores() -> object:
    semaphore, most = ctrio.Semaphore(2, max_value=2), 0

    async def enters(number: int) -> None:
        nonlocal most
        async with semaphore:
            most = max(most, 2 - semaphore.value)
            await checkpoint()

    await in_crowd(4, enters)
    try:
        semaphore.release()
    except ValueError:
        most += 10
    return most, semaphore.statistics().tasks_waiting, repr(semaphore)[:22]


@program
async def conditions() -> object:
    condition, woken = ctrio.Condition(), []

    async def waits(number: int) -> None:
        async with condition:
            await condition.wait()
            woken.append(number)

    async with open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(waits, number)
        await wait_all_tasks_blocked()
        async with condition:
            condition.notify(1)
            condition.notify(2)
        await wait_all_tasks_blocked()
        async with condition:
            waiting = condition.statistics().tasks_waiting
            condition.notify_all()
    return waiting, len(woken)


@program
async def limiters() -> object:
    limiter = ctrio.CapacityLimiter(1)

    async def borrows(number: int) -> None:
        async with limiter:
            await checkpoint()

    async with open_nursery() as nursery:
        await limiter.acquire_on_behalf_of("borrower")
        nursery.start_soon(in_crowd, 3, borrows)
        await wait_all_tasks_blocked()
        found = limiter.statistics()
        limiter.total_tokens = 2
        limiter.release_on_behalf_of("borrower")
    try:
        limiter.release()
    except RuntimeError:
        pass
    limiter.acquire_on_behalf_of_nowait(3)
    limiter.release_on_behalf_of(3)
    return found.borrowed_tokens, found.tasks_waiting, list(found.borrowers)


@program
async def lots() -> object:
    lot, other = ParkingLot(), ParkingLot()

    async def parks(number: int) -> None:
        try:
            await lot.park()
        except ctrio.BrokenResourceError:
            broken.append(number)

    broken: list[int] = []
    async with open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(parks, number)
        await wait_all_tasks_blocked()
        first = len(lot.unpark())
        lot.repark(other, count=1)
        other.unpark_all()
        add_parking_lot_breaker(current_task(), lot)
        add_parking_lot_breaker(current_task(), other)
        remove_parking_lot_breaker(current_task(), other)
        found = lot.statistics().tasks_waiting
        lot.break_lot(current_task())
    return first, found, len(broken), bool(lot), repr(lot)[:10]


@program
async def channels() -> object:
    send, receive = ctrio.open_memory_channel[int](1)

    async def produce() -> None:
        async with send.clone() as clone:
            for number in range(4):
                await clone.send(number)

    async with open_nursery() as nursery, receive:
        nursery.start_soon(produce)
        nursery.start_soon(produce)
        await wait_all_tasks_blocked()
        found = receive.statistics()
        send.close()
        total = 0
        async for item in receive:
            total += item
    return total, found.current_buffer_used, found.tasks_waiting_send


@program
async def channels_that_refuse() -> object:
    send, receive = ctrio.open_memory_channel[object](0)
    codes = []
    for call in (lambda: send.send_nowait(1), receive.receive_nowait):
        try:
            call()
        except ctrio.WouldBlock:
            codes.append("would block")
    clone = receive.clone()
    with ctrio.move_on_after(1):
        await clone.receive()
    await clone.aclose()
    receive.close()
    for end in (lambda: send.send(2), receive.receive):
        try:
            await end()
        except (ctrio.BrokenResourceError, ctrio.ClosedResourceError) as exc:
            codes.append(type(exc).__name__)
    return codes


@program
async def a_channel_without_limit() -> object:
    send, receive = ctrio.open_memory_channel[int](float("inf"))
    for number in range(40):
        send.send_nowait(number)
    send.close()
    return [item async for item in receive][-1]


@program
async def safe_channels() -> object:
    @ctrio.as_safe_channel
    async def counts() -> Any:
        for number in range(3):
            yield number
            await checkpoint()

    total = 0
    async with counts() as numbers:
        async for number in numbers:
            total += number
    return total


@program
async def queues() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ctrio.TrioDeprecationWarning)
        queue = UnboundedQueue[int]()
    queue.put_nowait(1)
    queue.put_nowait(2)
    got = await queue.get_batch()
    return got, queue.statistics().qsize
