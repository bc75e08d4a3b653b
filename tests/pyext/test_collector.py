"""Where tasks are many the garbage collector does not look at them while they live."""

from __future__ import annotations

import contextvars
import gc
import sys
import sysconfig
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from host import run_as_guest

import ctrio
from ctrio.testing import wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

FEW = 100
MANY = 2 * FEW

pytestmark = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="the collector there has no lists to leave",
)


def looked_at(task: ctrio.lowlevel.Task) -> tuple[bool, bool, bool]:
    return gc.is_tracked(task), gc.is_tracked(task.coro), gc.is_tracked(task.context)


@contextmanager
def by_hand() -> Iterator[None]:
    """Only our calls of the collector count."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def fail() -> Any:
    raise ValueError("nobody can be told")


async def breaks_the_run() -> None:
    await ctrio.lowlevel.wait_task_rescheduled(lambda _: fail())


class Shim:
    """In the place of a coroutine, as greenback's."""

    def __init__(self, coro: Any) -> None:
        self.coro, self.throw, self.close = coro, coro.throw, coro.close

    def send(self, value: object) -> object:
        return self.coro.send(value)


class Node:
    """Something that can lie in a cycle, and be looked for."""

    other: object = None


async def park(event: ctrio.Event, *held: object) -> object:
    await event.wait()
    return held


@asynccontextmanager
async def parked(count: int) -> AsyncIterator[list[ctrio.lowlevel.Task]]:
    """So many tasks that wait till the block ends."""
    event = ctrio.Event()
    async with ctrio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(park, event)
        await wait_all_tasks_blocked()
        yield list(nursery.child_tasks)
        event.set()


@pytest.mark.parametrize("count", [FEW // 2, MANY])
def test_many_tasks_are_not_looked_at_and_few_are(count: int) -> None:
    async def main() -> None:
        async with parked(count) as tasks:
            assert {looked_at(task) for task in tasks} == {(count < FEW,) * 3}

    ctrio.run(main)


def test_who_waited_before_they_were_many_leaves_the_lists_at_the_next_wait() -> None:
    async def twice(first: ctrio.Event, second: ctrio.Event) -> None:
        await first.wait()
        await second.wait()

    async def main() -> None:
        first, second = ctrio.Event(), ctrio.Event()
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(twice, first, second)
            (task,) = nursery.child_tasks
            await wait_all_tasks_blocked()
            async with parked(MANY):
                assert looked_at(task) == (True, True, True)
                first.set()
                await wait_all_tasks_blocked()
                assert looked_at(task) == (False, False, False)
            second.set()

    ctrio.run(main)


def test_what_has_ended_is_looked_at_again() -> None:
    async def main() -> None:
        async with parked(MANY) as tasks:
            kept = [(task, task.coro, task.context) for task in tasks]
            assert not any(map(gc.is_tracked, kept[0]))
        assert all(gc.is_tracked(thing) for things in kept for thing in things)

    ctrio.run(main)


@pytest.mark.parametrize("how", ["returns", "raises", "is cancelled", "is left over"])
def test_a_cycle_through_a_task_that_was_hidden_is_garbage_afterwards(how: str) -> None:
    found: list[weakref.ref[Node]] = []
    variable: contextvars.ContextVar[object] = contextvars.ContextVar("variable")

    async def child(event: ctrio.Event) -> None:
        node = Node()
        node.other = ctrio.lowlevel.current_task()
        variable.set(node)  # context -> node -> task -> context
        found.append(weakref.ref(node))
        await event.wait()
        if how == "raises":
            raise ValueError(how)

    async def main() -> None:
        event = ctrio.Event()
        async with ctrio.open_nursery() as nursery:
            for _ in range(MANY):
                nursery.start_soon(child, event)
            await wait_all_tasks_blocked()
            if how == "is left over":
                nursery.start_soon(breaks_the_run)
                nursery.cancel_scope.cancel()
            if how == "is cancelled":
                nursery.cancel_scope.cancel()
            event.set()

    errors = {"raises": BaseExceptionGroup, "is left over": ctrio.TrioInternalError}
    with by_hand():
        if error := errors.get(how):
            with pytest.raises(error):
                ctrio.run(main)
        else:
            ctrio.run(main)
        assert len(found) == MANY
        gc.collect()
        assert not any(ref() for ref in found)


def test_a_nursery_left_behind_with_failed_tasks_is_garbage() -> None:
    found: list[weakref.ref[Node]] = []

    async def child(event: ctrio.Event, nursery: ctrio.Nursery) -> None:
        node = Node()
        node.other = nursery  # -> its failure -> the traceback -> this frame -> node
        found.append(weakref.ref(node))
        await event.wait()
        raise ValueError

    async def main() -> None:
        event = ctrio.Event()
        async with ctrio.open_nursery() as nursery:
            for _ in range(MANY):
                nursery.start_soon(child, event, nursery)
            nursery.start_soon(breaks_the_run)
            await wait_all_tasks_blocked()
            event.set()

    with by_hand():
        with pytest.raises(ctrio.TrioInternalError):
            ctrio.run(main)
        gc.collect()
        assert len(found) == MANY
        assert not any(ref() for ref in found)


@pytest.mark.parametrize("field", ["coro", "context", "custom_sleep_data"])
def test_what_a_task_parts_with_is_looked_at_again(field: str) -> None:
    async def main() -> None:
        async with parked(MANY) as tasks:
            before: Any = getattr(tasks[0], field)
            after = Shim(before) if field == "coro" else contextvars.copy_context()
            setattr(tasks[0], field, after)
            if field == "custom_sleep_data":  # never was on the lists for the task
                assert looked_at(tasks[0]) == (False, False, False)
            else:
                assert all(map(gc.is_tracked, (tasks[0], before)))

    ctrio.run(main)


def test_a_context_that_tasks_share_is_looked_at_in_the_end() -> None:
    context = contextvars.copy_context()

    async def main() -> None:
        event = ctrio.Event()
        for _ in range(MANY):
            ctrio.lowlevel.spawn_system_task(park, event, context=context)
        await wait_all_tasks_blocked()
        assert not gc.is_tracked(context)
        event.set()
        await wait_all_tasks_blocked()

    ctrio.run(main)
    assert gc.is_tracked(context)


def test_the_tasks_of_a_guest_are_looked_at_for_its_host_may_abandon_it() -> None:
    async def main() -> None:
        async with parked(MANY) as tasks:
            assert {looked_at(task) for task in tasks} == {(True, True, True)}

    run_as_guest(main)


def test_objects_that_only_a_hidden_task_holds_live_on() -> None:
    async def main() -> None:
        event, node = ctrio.Event(), Node()
        found = weakref.ref(node)
        async with ctrio.open_nursery() as nursery:
            for _ in range(MANY):
                nursery.start_soon(park, event, node)
            del node
            await wait_all_tasks_blocked()
            gc.collect()
            assert found() is not None
            event.set()
        gc.collect()
        assert found() is None

    ctrio.run(main)
