"""Nothing is left to the garbage collector that need not be; what is let go, goes."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import outcome
import pytest

import ctrio
from ctrio import CancelScope, open_nursery
from ctrio.lowlevel import (
    Abort,
    ParkingLot,
    checkpoint,
    current_task,
    current_trio_token,
    reschedule,
    wait_task_rescheduled,
)
from ctrio.testing import wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup


@contextmanager
def no_garbage() -> Iterator[None]:
    """What is made in the block goes by counting references alone."""
    gc.collect()
    flags = gc.get_debug()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield
        gc.collect()
        assert gc.garbage == []
    finally:
        gc.set_debug(flags)
        gc.garbage.clear()


def test_a_cancellation_makes_no_garbage() -> None:
    async def main() -> None:
        with CancelScope() as scope:
            scope.cancel("reason")
            await checkpoint()
        with ctrio.move_on_after(0):
            await ctrio.sleep_forever()
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        del scope, nursery
        with no_garbage():
            with CancelScope() as scope:
                scope.cancel("reason")
                await checkpoint()
            with ctrio.move_on_after(0):
                await ctrio.sleep_forever()
            async with open_nursery() as nursery:
                nursery.start_soon(ctrio.sleep_forever)
                nursery.start_soon(ctrio.sleep_forever)
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            del scope, nursery

    ctrio.run(main)


def test_a_crash_makes_no_garbage() -> None:
    async def crash() -> None:
        raise ValueError("crash")

    async def main() -> None:
        with no_garbage():
            try:
                async with open_nursery() as nursery:
                    nursery.start_soon(ctrio.sleep_forever)
                    nursery.start_soon(crash)
                    raise KeyError("body")
            except ExceptionGroup as exc:
                assert len(exc.exceptions) == 2
            else:
                raise AssertionError("the nursery swallowed two failures")
            del nursery
            try:
                with CancelScope() as scope:
                    scope.cancel()
                    raise BaseExceptionGroup("", [ctrio.Cancelled._create(), OSError()])
            except BaseExceptionGroup as exc:
                assert [type(left) for left in exc.exceptions] == [OSError]
            else:
                raise AssertionError("the scope swallowed more than its own")
            del scope

    ctrio.run(main)


def test_a_start_makes_no_garbage() -> None:
    async def service(task_status: Any) -> None:
        task_status.started("value")

    async def fails(task_status: Any) -> None:
        raise KeyError

    async def main() -> None:
        async with open_nursery() as nursery:
            await nursery.start(service)
            with no_garbage():
                assert await nursery.start(service) == "value"
                try:
                    await nursery.start(fails)
                except KeyError:
                    pass
                else:
                    raise AssertionError("the failure of start() was lost")

    ctrio.run(main)


def test_waking_by_hand_makes_no_garbage() -> None:
    async def main() -> None:
        task = current_task()
        token = current_trio_token()
        with no_garbage():
            for result in (outcome.Value([]), outcome.Error(KeyError())):
                token.run_sync_soon(reschedule, task, result)
                try:
                    await wait_task_rescheduled(lambda _: Abort.FAILED)
                except KeyError:
                    assert isinstance(result, outcome.Error)
                else:
                    assert isinstance(result, outcome.Value)
            del result

    ctrio.run(main)


def test_a_failed_child_s_locals_go_with_its_exception() -> None:
    class Local:
        pass

    died: list[Any] = []

    async def child() -> None:
        local = Local()
        died.append(weakref.ref(local))
        await ctrio.sleep_forever()

    async def main() -> None:
        gc.collect()
        gc.disable()
        try:
            async with open_nursery() as nursery:
                nursery.start_soon(child)
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            assert died[0]() is None
        finally:
            gc.enable()

    ctrio.run(main)


@pytest.mark.parametrize("kind", ["event", "lot", "lock", "channel"])
def test_an_abandoned_cycle_through_a_waiting_awaitable_is_collected(kind: str) -> None:
    class Owner:
        pass

    async def main() -> None:
        owner: Any = Owner()
        died = weakref.ref(owner)
        send, receive = ctrio.open_memory_channel[Any](0)
        lock = ctrio.Lock()
        async with open_nursery() as nursery:
            nursery.start_soon(hold, lock)
            await wait_all_tasks_blocked()
            made = {
                "event": ctrio.Event().wait,
                "lot": ParkingLot().park,
                "lock": lock.acquire,
                "channel": receive.receive,
            }
            coro = made[kind]()
            coro.send(None)
            owner.coro = coro
            owner.itself = owner
            del owner, coro, made
            gc.collect()
            assert died() is None
            await checkpoint()
            nursery.cancel_scope.cancel()
        send.close()
        receive.close()

    async def hold(lock: ctrio.Lock) -> None:
        async with lock:
            await ctrio.sleep_forever()

    ctrio.run(main)


DEEP = """
import threading
import ctrio

kept = []

async def link(depth):
    async with ctrio.open_nursery() as nursery:
        if depth:
            nursery.start_soon(link, depth - 1)
        else:
            kept.append(ctrio.lowlevel.current_task())

def main():
    ctrio.run(link, 40_000)
    kept.clear()

threading.stack_size(1536 * 1024)
thread = threading.Thread(target=main)
thread.start()
thread.join()
"""


def test_a_task_that_holds_forty_thousand_ancestors_goes_with_a_usual_stack() -> None:
    assert subprocess.run([sys.executable, "-c", DEEP], check=False).returncode == 0
