"""Greenlets that switch under the run loop, as trio-asyncio and greenback have them.

A switch moves pieces of the C stack away. Nothing that a suspended run needs may lie
there while another one runs.
"""

from __future__ import annotations

import gc
import os
import threading
import types
import weakref
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from mock_clock import run_on_mock_clock

import ctrio
from ctrio.lowlevel import (
    checkpoint,
    current_statistics,
    current_task,
    current_trio_token,
    in_trio_run,
)
from ctrio.testing import MockClock, wait_all_tasks_blocked

if os.environ.get("CTRIO_SANITIZED"):
    reason = "AddressSanitizer takes a stack that is copied away for a bad one"
    pytest.skip(reason, allow_module_level=True)
greenlet: Any = pytest.importorskip("greenlet")
pytestmark = pytest.mark.filterwarnings(
    "ignore:It looks like Trio's signal handling code:Warning"
)

context: Any = ctrio._core._run.GLOBAL_RUN_CONTEXT


class Interleaved:
    """A run in a greenlet of its own, which can be left in the middle of a step.

    What is current on the thread is put aside at each switch and put back
    afterwards, on both sides.
    """

    def __init__(self, async_fn: Callable[..., Awaitable[object]], *args: Any) -> None:
        self.greenlet = greenlet.greenlet(self._run)
        self.async_fn = async_fn
        self.args = args
        self.done = False
        self.result: object = None

    def _run(self, first: object) -> object:
        clock = MockClock(autojump_threshold=0)
        self.result = ctrio.run(self.async_fn, self, *self.args, clock=clock)
        self.done = True
        return "done"

    def resume(self, value: object = None) -> object:
        """Run it until it leaves or ends; what it left with."""
        mine = context.__dict__.copy()
        context.__dict__.clear()
        try:
            return self.greenlet.switch(value)
        finally:
            context.__dict__.clear()
            context.__dict__.update(mine)

    def leave(self, value: object = None) -> object:
        """From inside: suspend this run; what it is resumed with."""
        mine = context.__dict__.copy()
        context.__dict__.clear()
        try:
            return self.greenlet.parent.switch(value)
        finally:
            context.__dict__.clear()
            context.__dict__.update(mine)


def deeper(levels: int, function: Callable[[], object]) -> object:
    """Call it from further down the stack."""
    if levels:
        return deeper(levels - 1, function)
    return function()


async def work(run: Interleaved, name: str, trace: list[str]) -> str:
    """Something of everything, left in the middle of steps again and again."""
    task = current_task()
    event = ctrio.Event()

    async def child(number: int) -> None:
        for turn in range(3):
            await checkpoint()
            trace.append(f"{name}{number}.{turn}")
            run.leave(name)
        with ctrio.move_on_after(1) as scope:
            await event.wait()
        assert scope.cancelled_caught

    async with ctrio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(child, number)
        run.leave(name)
        assert current_task() is task
        await ctrio.sleep(0.5)
        run.leave(name)
    assert current_task() is task
    assert task.child_nurseries == []
    return name


@pytest.mark.parametrize("order", ["forwards", "backwards", "by turns"])
def test_five_runs_interleaved_on_one_thread_go_their_own_ways(order: str) -> None:
    trace: list[str] = []
    runs = [Interleaved(work, name, trace) for name in "abcde"]
    turn = 0
    while not all(run.done for run in runs):
        waiting = [run for run in runs if not run.done]
        if order == "backwards" or (order == "by turns" and turn % 2):
            waiting.reverse()
        for run in waiting:
            deeper(turn % 7 * 5, run.resume)
            assert not in_trio_run()
        turn += 1
    assert [run.result for run in runs] == list("abcde")
    for name in "abcde":
        mine = [step for step in trace if step.startswith(name)]
        assert len(mine) == 9
        assert len(set(mine)) == 9


def test_runs_may_be_nested_and_interleaved_at_once() -> None:
    trace: list[str] = []

    async def outer(run: Interleaved) -> list[object]:
        inner = [Interleaved(work, name, trace) for name in "xy"]
        task = current_task()
        while not all(each.done for each in inner):
            for each in inner:
                if not each.done:
                    each.resume()
                    assert current_task() is task
            await checkpoint()
            run.leave()
        return [each.result for each in inner]

    first, second = Interleaved(outer), Interleaved(outer)
    while not (first.done and second.done):
        for run in (second, first):
            if not run.done:
                run.resume()
    assert first.result == second.result == ["x", "y"]
    assert len(trace) == 36


def test_what_a_suspended_run_needs_does_not_lie_on_the_stack() -> None:
    """Two runs stand in the middle of a step; a thread calls into both meanwhile."""
    calls: list[str] = []
    tokens: dict[str, Any] = {}
    figures: dict[str, Any] = {}

    async def main(run: Interleaved, name: str) -> str:
        tokens[name] = current_trio_token()
        task = current_task()
        woken = ctrio.Event()
        figures[name] = lambda: calls.append(name) or woken.set()
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            await wait_all_tasks_blocked()
            run.leave()
            assert current_task() is task
            statistics = current_statistics()
            assert statistics.tasks_living == 4
            assert statistics.run_sync_soon_queue_size == 1
            await woken.wait()
            nursery.cancel_scope.cancel()
        return name

    first, second = Interleaved(main, "first"), Interleaved(main, "second")

    def in_between() -> None:
        spoil = [bytes(1000) for _ in range(1000)]

        def from_a_thread() -> None:
            for name, token in tokens.items():
                token.run_sync_soon(figures[name])

        thread = threading.Thread(target=from_a_thread)
        thread.start()
        thread.join()
        gc.collect()
        del spoil

    first.resume()
    second.resume()
    deeper(40, in_between)
    assert calls == []
    deeper(20, second.resume)
    first.resume()
    assert first.done
    assert second.done
    assert sorted(calls) == ["first", "second"]


def test_a_run_that_is_dropped_half_way_is_unwound() -> None:
    ended = []

    async def main(run: Interleaved) -> None:
        try:
            run.leave()
        finally:
            ended.append("main")

    run: Interleaved | None = Interleaved(main)
    assert run is not None
    run.resume()
    died = weakref.ref(run)
    run.greenlet.throw()  # GreenletExit, as when the last reference goes
    run = None
    gc.collect()
    assert died() is None
    assert ended == ["main"]
    assert not in_trio_run()
    assert context.__dict__ == {}

    async def again(run: Interleaved) -> str:
        return "fine"

    other = Interleaved(again)
    other.resume()
    assert other.result == "fine"


# --- greenback's way: each step of a task in a greenlet of its own --------------------


@types.coroutine
def yields(value: object) -> Generator[object, Any, Any]:
    return (yield value)


def await_(awaitable: Awaitable[object]) -> object:
    """Await from a synchronous function, below a task that has a portal."""
    here = greenlet.getcurrent()
    iterator: Any = awaitable.__await__()
    send: Callable[[Any], Any] = iterator.send
    value: object = None
    while True:
        try:
            yielded = send(value)
        except StopIteration as stop:
            return stop.value
        value, error = here.parent.switch(("yield", yielded))
        send = iterator.send
        if error is not None:
            send, value = iterator.throw, error


@types.coroutine
def portal(coro: Any) -> Generator[Any, Any, Any]:
    """Stand in for a task's coroutine: each of its steps runs in a greenlet."""
    value: object = yield "ready"
    error: BaseException | None = None
    running: Any = None

    def step() -> tuple[str, Any]:
        try:
            if error is not None:
                return "yield", coro.throw(error)
            return "yield", coro.send(value)
        except StopIteration as stop:
            return "return", stop.value

    while True:
        if running is None:
            running = greenlet.greenlet(step)
            what, result = running.switch()
        else:
            what, result = running.switch((value, error))
        if running.dead:
            running = None
        if what == "return":
            return result
        error = None
        try:
            value = yield result
        except BaseException as exc:
            value, error = None, exc


async def open_portal() -> None:
    task: Any = current_task()
    stand_in: Any = portal(task.coro)
    assert stand_in.send(None) == "ready"
    task.coro = stand_in
    await ctrio.lowlevel.cancel_shielded_checkpoint()
    await wait_all_tasks_blocked()


def test_a_task_with_a_portal_may_await_from_synchronous_code() -> None:
    results: list[object] = []

    def synchronous(depth: int, event: ctrio.Event, number: int) -> object:
        if depth:
            return synchronous(depth - 1, event, number)
        await_(checkpoint())
        await_(ctrio.sleep(number))
        await_(event.wait())
        with ctrio.move_on_after(1) as scope:
            await_(ctrio.sleep_forever())
        assert scope.cancelled_caught
        with ctrio.CancelScope() as other:
            other.cancel()
            try:
                await_(checkpoint())
            finally:
                await_(ctrio.lowlevel.cancel_shielded_checkpoint())
        assert other.cancelled_caught
        return number

    async def child(number: int, event: ctrio.Event) -> None:
        await open_portal()
        results.append(synchronous(number, event, number))
        await checkpoint()
        results.append(synchronous(1, event, number))

    async def main() -> None:
        event = ctrio.Event()
        async with ctrio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(child, number, event)
            await ctrio.sleep(50)
            event.set()

    run_on_mock_clock(main)
    assert sorted(results) == sorted([*range(40), *range(40)])  # type: ignore[type-var]


def test_a_task_that_fails_below_a_portal_fails_as_any_other() -> None:
    def synchronous() -> None:
        await_(checkpoint())
        raise KeyError("below")

    async def main() -> None:
        await open_portal()
        synchronous()

    with pytest.raises(KeyError, match="below"):
        ctrio.run(main)
    assert context.__dict__ == {}
