"""Nothing grows: objects, references and memory after many runs of each primitive."""

from __future__ import annotations

import array
import socket as stdlib_socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import outcome
import pytest
from growth import check, check_within
from mock_clock import run_on_mock_clock

import ctrio
from ctrio import CancelScope, from_thread, open_nursery, to_thread
from ctrio.lowlevel import (
    Abort,
    ParkingLot,
    RunVar,
    cancel_shielded_checkpoint,
    checkpoint,
    current_task,
    current_trio_token,
    permanently_detach_coroutine_object,
    reattach_detached_coroutine_object,
    reschedule,
    spawn_system_task,
    temporarily_detach_coroutine_object,
    wait_task_rescheduled,
)
from ctrio.testing import wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

# --- what is run ----------------------------------------------------------------------


async def checkpoints() -> None:
    await checkpoint()
    await cancel_shielded_checkpoint()
    await ctrio.lowlevel.checkpoint_if_cancelled()


async def sleeps() -> None:
    await ctrio.sleep(1)
    await ctrio.sleep_until(ctrio.current_time() + 1)
    with ctrio.move_on_after(1):
        await ctrio.sleep_forever()


async def scopes() -> None:
    with CancelScope(deadline=ctrio.current_time() + 1) as outer:
        with CancelScope(shield=True) as inner:
            outer.cancel("reason")
            await checkpoint()
            inner.cancel("another")
            await checkpoint()
    repr(outer)
    with pytest.raises(ctrio.TooSlowError), ctrio.fail_after(0):
        await checkpoint()
    CancelScope().cancel("never entered")


async def misnested_scopes() -> None:
    outer, inner = CancelScope(), CancelScope()
    outer.__enter__()
    inner.__enter__()
    with pytest.raises(RuntimeError):
        outer.__exit__(None, None, None)
    inner.__exit__(None, None, None)
    with pytest.raises(RuntimeError):
        inner.__exit__(None, None, None)


async def nurseries() -> None:
    async with open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(checkpoint)
        nursery.start_soon(ctrio.sleep, 1)
        repr(nursery.child_tasks)
    async with open_nursery() as nursery:
        nursery.start_soon(ctrio.sleep_forever)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def fail() -> None:
    await checkpoint()
    raise KeyError


async def failures() -> None:
    with pytest.raises(ExceptionGroup):
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            nursery.start_soon(fail)
            nursery.start_soon(fail)
            await checkpoint()
            raise OSError
    with CancelScope() as scope:
        scope.cancel()
        try:
            raise BaseExceptionGroup("", [ctrio.Cancelled._create()])
        finally:
            await cancel_shielded_checkpoint()


async def starts() -> None:
    async def service(task_status: Any) -> None:
        task_status.started(current_task())
        await ctrio.sleep_forever()

    async def fails(task_status: Any) -> None:
        await fail()

    async with open_nursery() as nursery:
        await nursery.start(service)
        with pytest.raises(KeyError):
            await nursery.start(fails)
        with pytest.raises(TypeError):
            await nursery.start(fail)
        with ctrio.move_on_after(0):
            await nursery.start(service)
        nursery.cancel_scope.cancel()


async def abandoned() -> None:
    """Awaitables that are left while they wait."""
    event, lot = ctrio.Event(), ParkingLot()
    for coro in (event.wait(), lot.park(), ctrio.sleep(5), ctrio.sleep_forever()):
        coro.send(None)
        coro.close()
    coro = event.wait()
    coro.send(None)
    cycle: list[object] = [coro]
    cycle.append(cycle)
    await checkpoint()


async def traps() -> None:
    task = current_task()
    token = current_trio_token()
    for result in (outcome.Value([1]), outcome.Error(KeyError())):
        token.run_sync_soon(reschedule, task, result)
        try:
            await wait_task_rescheduled(lambda _: Abort.FAILED)
        except KeyError:
            pass
    with CancelScope() as scope:
        scope.cancel()
        await wait_task_rescheduled(lambda _: Abort.SUCCEEDED)
    token.run_sync_soon(lambda: None, idempotent=True)
    token.run_sync_soon(lambda: None, idempotent=True)
    await wait_all_tasks_blocked()


async def detaching() -> None:
    coros: list[Any] = []

    async def for_good() -> None:
        coros.append(current_task().coro)
        await permanently_detach_coroutine_object(outcome.Value(None))

    async def for_a_while() -> None:
        task = current_task()
        coros.append(task.coro)
        await temporarily_detach_coroutine_object(lambda _: Abort.FAILED)
        await reattach_detached_coroutine_object(task, "yielded")

    async with open_nursery() as nursery:
        nursery.start_soon(for_good)
        await wait_all_tasks_blocked()
        with pytest.raises(StopIteration):
            coros[0].send(None)
        nursery.start_soon(for_a_while)
        await wait_all_tasks_blocked()
        assert coros[1].send(None) == "yielded"


async def locks() -> None:
    for lock in (ctrio.Lock(), ctrio.StrictFIFOLock(), ctrio.Semaphore(1)):

        async def user(lock: Any = lock) -> None:
            async with lock:
                await checkpoint()

        async with open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(user)
        repr(lock)
        lock.statistics()
    condition = ctrio.Condition()

    async def waiter() -> None:
        async with condition:
            await condition.wait()

    async with open_nursery() as nursery:
        nursery.start_soon(waiter)
        nursery.start_soon(waiter)
        await wait_all_tasks_blocked()
        async with condition:
            condition.notify()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def limiters_and_lots() -> None:
    limiter = ctrio.CapacityLimiter(1)

    async def user() -> None:
        async with limiter:
            await checkpoint()

    async with open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(user)
    limiter.acquire_on_behalf_of_nowait([].__class__)
    limiter.statistics()
    limiter.release_on_behalf_of([].__class__)
    lot = ParkingLot()
    async with open_nursery() as nursery:
        nursery.start_soon(lot.park)
        nursery.start_soon(lot.park)
        await wait_all_tasks_blocked()
        lot.unpark_all()
        lot.break_lot()
        with pytest.raises(ctrio.BrokenResourceError):
            await lot.park()
        nursery.cancel_scope.cancel()


async def lots_that_break() -> None:
    with pytest.raises(ExceptionGroup):
        await _break_a_lot()


async def _break_a_lot() -> None:
    lot = ParkingLot()
    async with open_nursery() as nursery:
        nursery.start_soon(lot.park)
        await wait_all_tasks_blocked()
        lot.break_lot()


async def channels() -> None:
    for size in (0, 1, 100):
        send, receive = ctrio.open_memory_channel[Any](size)
        clone = send.clone()

        async def sender(channel: Any = clone) -> None:
            async with channel:
                for number in range(3):
                    await channel.send([number])

        async with open_nursery() as nursery:
            nursery.start_soon(sender)
            for _ in range(3):
                await receive.receive()
        with ctrio.move_on_after(0):
            await receive.receive()
        await send.aclose()
        with pytest.raises(ctrio.EndOfChannel):
            await receive.receive()
        receive.close()
        receive.statistics()


async def run_variables() -> None:
    variable = RunVar("variable", None)
    token = variable.set([1])
    variable.get()
    variable.reset(token)


async def messages() -> None:
    """Those of sockets, which are sent, received, waited for, refused and left."""
    pair = stdlib_socket.socketpair(type=stdlib_socket.SOCK_DGRAM)
    left, right = (ctrio.socket.from_stdlib_socket(sock) for sock in pair)
    buffers = [bytearray(10), bytearray(10)]
    with left, right:
        for _ in range(6):
            await left.sendmsg(iter([b"x", buffers[0]]), [])
        await left.sendmsg([b"x"], passing(left.fileno()))
        await right.recvfrom(10)
        await right.recvfrom_into(buffers[0])
        await right.recvmsg(100_000)
        await right.recvmsg_into(buffers * 10, 100)
        async with open_nursery() as nursery:
            nursery.start_soon(
                checkpoint
            )  # so what has been received waits for its turn
            for _ in range(3):
                coro = right.recvmsg(10, 100)
                coro.send(None)  # type: ignore[attr-defined]
                coro.close()  # type: ignore[attr-defined]
        for wrong in (
            lambda: left.sendto(b"x", "nowhere"),
            lambda: left.sendmsg([b"x", 5]),  # type: ignore[list-item]
            lambda: left.sendmsg([b"x"], [(1, 2, 3)]),  # type: ignore[list-item]
            lambda: right.recvmsg_into([bytearray(1), b"x"]),
            lambda: right.recvfrom_into(bytearray(1), 2),
        ):
            with pytest.raises((TypeError, ValueError, OSError)):
                await wrong()
        async with open_nursery() as nursery:
            nursery.start_soon(right.recvmsg_into, buffers)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()


def passing(descriptor: int) -> list[tuple[int, int, bytes]]:
    data = array.array("i", [descriptor]).tobytes()
    return [(stdlib_socket.SOL_SOCKET, stdlib_socket.SCM_RIGHTS, data)]


async def threads() -> None:
    def calls_back(fn: Any) -> Any:
        assert from_thread.run_sync(fn, "7") == 7
        with pytest.raises(ValueError, match="invalid literal"):
            from_thread.run_sync(fn, "x")
        from_thread.check_cancelled()
        return from_thread.run(checkpoint)

    assert await to_thread.run_sync(int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await to_thread.run_sync(int, "x")
    with pytest.raises(TypeError, match="appears to be asynchronous"):
        await to_thread.run_sync(checkpoint)  # type: ignore[unused-coroutine]
    await to_thread.run_sync(calls_back, int)
    await to_thread.run_sync(calls_back, int, abandon_on_cancel=True)
    with CancelScope() as scope:
        scope.cancel()
        await to_thread.run_sync(int)


async def system_tasks() -> None:
    spawn_system_task(checkpoint)
    spawn_system_task(ctrio.sleep_forever)
    await wait_all_tasks_blocked()


async def never_awaited() -> None:
    with pytest.warns(RuntimeWarning):
        for _ in range(3):
            ctrio.sleep(1)


async def inspected() -> None:
    coro = ctrio.sleep(0)
    task: Any = current_task()
    for looked_at in (coro.cr_frame, coro.cr_code, repr(coro), repr(task)):
        assert looked_at is not None
    await coro
    list(task.iter_await_frames())
    context: Any = ctrio._core._run.GLOBAL_RUN_CONTEXT
    context.__dict__.update(context.__dict__.copy())
    repr(context.__dict__)
    ctrio.lowlevel.current_statistics()


ERRORS: list[Any] = [
    lambda: CancelScope(deadline="x"),  # type: ignore[arg-type]
    lambda: CancelScope(x=1),  # type: ignore[call-arg]
    lambda: ctrio.sleep(),  # type: ignore[call-arg]
    lambda: ctrio.sleep(1, 2),  # type: ignore[call-arg]
    lambda: ctrio.move_on_after("x"),  # type: ignore[arg-type]
    lambda: ctrio.Event().wait(1),  # type: ignore[call-arg]
    lambda: spawn_system_task(3),  # type: ignore[arg-type]
    lambda: spawn_system_task(checkpoint, context=3),  # type: ignore[arg-type]
    lambda: reschedule(3),  # type: ignore[arg-type]
    lambda: current_trio_token().run_sync_soon(),  # type: ignore[call-arg]
    lambda: current_trio_token().run_sync_soon(print, [], idempotent=True),
    lambda: ctrio.run(checkpoint),
    lambda: ctrio.Nursery(),  # type: ignore[call-arg]
    lambda: ctrio.Cancelled._create(x=1),  # type: ignore[call-arg]
]


async def refused() -> None:
    for wrong in ERRORS:
        with pytest.raises((TypeError, RuntimeError)):
            wrong()


PRIMITIVES: list[Callable[[], Awaitable[None]]] = [
    checkpoints,
    sleeps,
    scopes,
    misnested_scopes,
    nurseries,
    failures,
    starts,
    abandoned,
    traps,
    detaching,
    locks,
    limiters_and_lots,
    lots_that_break,
    channels,
    run_variables,
    messages,
    threads,
    system_tasks,
    never_awaited,
    inspected,
    refused,
]

# --- measured -------------------------------------------------------------------------


@pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda each: each.__name__)
def test_a_hundred_runs_leave_nothing_behind(
    primitive: Callable[[], Awaitable[None]],
) -> None:
    check(lambda: run_on_mock_clock(primitive))


def test_one_run_can_go_on_for_ever() -> None:
    async def main() -> None:
        for loop in (
            checkpoints,
            scopes,
            nurseries,
            failures,
            starts,
            abandoned,
            channels,
        ):
            await check_within(loop)

    run_on_mock_clock(main)


def test_runs_that_break_down_leave_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda report: None)

    async def breaks() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep, 1000)
            nursery.start_soon(ctrio.Event().wait)
            await wait_all_tasks_blocked()
            with CancelScope() as scope:
                scope.cancel("reason")
                current_trio_token().run_sync_soon(lambda: None, idempotent=True)
                await wait_task_rescheduled(lambda _: None)  # type: ignore[arg-type, return-value]

    def once() -> None:
        with pytest.raises(ctrio.TrioInternalError):
            run_on_mock_clock(breaks)

    check(once, 50)
