"""Small programs that together go through every part of the extension.

Each is a run that gives a value. One that meets a failure it has not asked for lets it
through, so that whoever runs it sees what it was.
"""

from __future__ import annotations

import contextvars
import functools
import sys
import types
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import outcome
from leaves import Only, leaves

import ctrio
from ctrio import CancelScope, Event, open_nursery
from ctrio.lowlevel import (
    Abort,
    ParkingLot,
    RunVar,
    add_instrument,
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    current_root_task,
    current_statistics,
    current_task,
    current_trio_token,
    permanently_detach_coroutine_object,
    reattach_detached_coroutine_object,
    remove_instrument,
    reschedule,
    spawn_system_task,
    temporarily_detach_coroutine_object,
    wait_task_rescheduled,
)
from ctrio.testing import (
    MockClock,
    Sequencer,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

Main = Callable[[], Awaitable[object]]
PROGRAMS: dict[str, Callable[[], object]] = {}
"""By name: what runs it and gives its value."""


def plain(function: Callable[[], object]) -> Callable[[], object]:
    """A program that opens its runs itself."""
    PROGRAMS[function.__name__] = function
    return function


def program(main: Main) -> Main:
    """A program that is one run, where time passes when everybody sleeps."""

    @functools.wraps(main)
    def run() -> object:
        return ctrio.run(main, clock=MockClock(autojump_threshold=0))

    plain(run)
    return main


async def fail() -> None:
    await checkpoint()
    raise KeyError("failed")


async def quits() -> None:
    raise KeyError("at once")


async def in_crowd(size: int, work: Callable[..., Awaitable[object]]) -> None:
    async with open_nursery() as nursery:
        for number in range(size):
            nursery.start_soon(work, number)


# --- tasks, scopes, failures


@program
async def checkpoints() -> object:
    await checkpoint()
    await cancel_shielded_checkpoint()
    await checkpoint_if_cancelled()
    return "done"


@program
async def sleeps() -> object:
    await ctrio.sleep(1)
    await ctrio.sleep_until(ctrio.current_time() + 1)
    with ctrio.move_on_after(1) as scope:
        await ctrio.sleep_forever()
    return scope.cancelled_caught


@program
async def scopes() -> object:
    with CancelScope(deadline=ctrio.current_time() + 1) as outer:
        with CancelScope(shield=True) as inner:
            outer.cancel("reason")
            await checkpoint()
            inner.cancel("another")
            await checkpoint()
    try:
        with ctrio.fail_after(0):
            await checkpoint()
    except ctrio.TooSlowError:
        CancelScope().cancel("never entered")
    return repr(outer)[:17], outer.cancelled_caught, inner.cancelled_caught


@program
async def deadlines() -> object:
    with CancelScope(relative_deadline=10) as outer:
        outer.deadline += 1
        with ctrio.move_on_at(ctrio.current_time() + 5) as inner:
            inner.relative_deadline = 2
            await ctrio.sleep_forever()
        outer.shield = True
        outer.deadline = ctrio.current_time()
        await ctrio.sleep_forever()
    return ctrio.current_effective_deadline(), inner.cancel_called


@program
async def a_cancelled_s_words() -> object:
    with CancelScope() as scope:
        scope.cancel("why")
        try:
            await checkpoint()
        except ctrio.Cancelled as exc:
            return str(exc)[:37], exc.args[2], repr(exc)[:10]
    return None


@program
async def nurseries() -> object:
    async with open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(checkpoint, name="child")
        nursery.start_soon(ctrio.sleep, 1)
        count = len(nursery.child_tasks)
        names = sorted(repr(task)[:15] for task in nursery.child_tasks)
    async with open_nursery() as nursery:
        nursery.start_soon(ctrio.sleep_forever)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return count, names


@program
async def failures() -> object:
    with Only(KeyError, OSError) as only:
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            nursery.start_soon(quits)
            nursery.start_soon(quits)
            await wait_all_tasks_blocked()
            raise OSError
    return only.found


@program
async def failures_within() -> object:
    async def nests(depth: int) -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(fail)
            if depth:
                nursery.start_soon(nests, depth - 1)

    with CancelScope() as scope:
        with Only(KeyError, ctrio.Cancelled) as only:
            async with open_nursery() as nursery:
                nursery.start_soon(nests, 2)
                nursery.start_soon(ctrio.sleep_forever)
                await wait_all_tasks_blocked()
        scope.cancel()
        await checkpoint()
    return only.found, scope.cancelled_caught


class Group(BaseExceptionGroup[Any]):
    """A user's own."""

    def derive(self, excs: Any) -> Group:
        return Group("derived", excs)


@program
async def a_group_of_a_user_s_own() -> object:
    try:
        with CancelScope() as scope:
            scope.cancel()
            try:
                await checkpoint()
            except ctrio.Cancelled as exc:
                raise Group("", [exc, KeyError()]) from None
    except Group as group:
        return group.message, len(group.exceptions)


@plain
def loose_groups() -> object:
    async def main() -> object:
        with Only(KeyError) as only:
            async with open_nursery() as outer:
                outer.start_soon(ctrio.sleep_forever)
                async with open_nursery(strict_exception_groups=True) as inner:
                    inner.start_soon(fail)
        return only.found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ctrio.TrioDeprecationWarning)
        return ctrio.run(main, strict_exception_groups=False)


@program
async def starts() -> object:
    async def service(task_status: Any) -> None:
        task_status.started(7)
        await ctrio.sleep_forever()

    async def fails(task_status: Any) -> None:
        await fail()

    async with open_nursery() as nursery:
        value = await nursery.start(service, name="service")
        try:
            await nursery.start(fails)
        except KeyError:
            value += 1
        try:
            await nursery.start(fail)
        except TypeError:
            value += 1
        with ctrio.move_on_after(0):
            await nursery.start(service)
        nursery.cancel_scope.cancel()
    return value


@program
async def a_child_that_never_starts() -> object:
    async def silent(task_status: Any) -> None:
        await checkpoint()

    async with open_nursery() as nursery:
        try:
            await nursery.start(silent)
        except RuntimeError as exc:
            return str(exc)
    return None


@program
async def abandoned() -> object:
    """Awaitables that are left while they wait."""
    event, lot = Event(), ParkingLot()
    for coro in (event.wait(), lot.park(), ctrio.sleep(5), ctrio.sleep_forever()):
        coro.send(None)
        coro.close()
    coro = event.wait()
    coro.send(None)
    try:
        coro.throw(KeyError())
    except KeyError:
        await checkpoint()
    return len(lot), event.statistics().tasks_waiting


@program
async def misnested() -> object:
    outer, inner = CancelScope(), CancelScope()
    outer.__enter__()
    inner.__enter__()
    texts = []
    for scope in (outer, inner, inner):
        try:
            scope.__exit__(None, None, None)
        except RuntimeError as exc:
            texts.append(str(exc)[:30])
    return texts


@plain
def a_task_that_leaves_its_nursery() -> object:
    async def main() -> None:
        nursery = await open_nursery().__aenter__()
        nursery.start_soon(ctrio.sleep_forever)
        await wait_all_tasks_blocked()  # one that has not begun outlives the main task

    try:
        ctrio.run(main)
    except RuntimeError as exc:
        return str(exc)[:23]
    return None


@plain
def foreign_yields() -> object:
    @types.coroutine
    def foreign() -> Any:
        yield "foreign"

    async def main() -> None:
        await foreign()

    try:
        ctrio.run(main)
    except TypeError as exc:
        return str(exc)[:28]
    return None


# --- what surrounds them

VAR: RunVar[object] = RunVar("VAR", default="default")


@program
async def run_vars() -> object:
    token = VAR.set("value")
    before = VAR.get()
    VAR.reset(token)
    VAR.set("again")
    return before, VAR.get(), repr(VAR)[:9]


@program
async def contexts() -> object:
    var: contextvars.ContextVar[int] = contextvars.ContextVar("var", default=0)
    seen = []

    async def child(number: int) -> None:
        var.set(number)
        await checkpoint()
        seen.append(var.get())

    await in_crowd(3, child)
    context = contextvars.copy_context()
    spawn_system_task(child, 7, context=context, name="system")
    await wait_all_tasks_blocked()
    return sorted(seen), var.get(), context[var]


class Notes(ctrio.abc.Instrument):
    """An instrument that counts what it is told of."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {}

    def note(self, what: str) -> None:
        self.count[what] = self.count.get(what, 0) + 1

    def before_run(self) -> None:
        self.note("run")

    def after_run(self) -> None:
        self.note("run")

    def task_spawned(self, task: object) -> None:
        self.note("spawned")

    def task_scheduled(self, task: object) -> None:
        self.note("scheduled")

    def before_task_step(self, task: object) -> None:
        self.note("step")

    def after_task_step(self, task: object) -> None:
        self.note("step")

    def task_exited(self, task: object) -> None:
        self.note("exited")

    def before_io_wait(self, timeout: float) -> None:
        self.note("wait")

    def after_io_wait(self, timeout: float) -> None:
        self.note("wait")


class Broken(ctrio.abc.Instrument):
    """An instrument that is taken out as soon as a task ends."""

    def task_exited(self, task: object) -> None:
        raise KeyError("broken")


@plain
def instruments() -> object:
    async def main() -> object:
        await nurseries()
        added = Notes()
        add_instrument(added)
        await checkpoint()
        remove_instrument(added)
        return added.count["step"]

    notes = Notes()
    clock = MockClock(autojump_threshold=0)
    value = ctrio.run(main, instruments=[notes, Broken()], clock=clock)
    return value, notes.count["spawned"], notes.count["run"]


@program
async def statistics() -> object:
    found = current_statistics()
    root = current_root_task()
    names = [task.name for task in root.child_nurseries[0].child_tasks]
    return found.tasks_living, found.tasks_runnable, names, current_task().name[-10:]


@program
async def tokens() -> object:
    token, seen, done = current_trio_token(), [], Event()
    token.run_sync_soon(seen.append, 1)
    token.run_sync_soon(seen.append, 2, idempotent=True)
    token.run_sync_soon(seen.append, 2, idempotent=True)
    token.run_sync_soon(done.set)
    await done.wait()
    return sorted(seen)


@plain
def a_call_that_fails() -> object:
    async def main() -> None:
        current_trio_token().run_sync_soon(lambda: 1 / 0)
        await ctrio.sleep_forever()

    try:
        ctrio.run(main)
    except ctrio.TrioInternalError as exc:
        cause = exc.__cause__
        if any(isinstance(one, ZeroDivisionError) for one in leaves(cause)):
            return "divided"
        raise
    return None


@plain
def asyncgens() -> object:
    ended: list[object] = []
    kept = []  # till the end of the run

    async def counts() -> Any:
        try:
            for number in range(3):
                yield number
        finally:
            ended.append(current_task().name)

    async def main() -> int:
        async for number in counts():
            ended.append(number)
        kept.append(counts())
        await anext(kept[0])
        dropped = counts()
        await anext(dropped)
        del dropped
        await wait_all_tasks_blocked()
        return len(ended)

    return ctrio.run(main), len(ended)


@program
async def detached() -> object:
    task = current_task()

    def abort(raise_cancel: object) -> Abort:
        return Abort.SUCCEEDED

    task_coro = task.coro
    current_trio_token().run_sync_soon(lambda: task_coro.send("from outside"))
    got = await temporarily_detach_coroutine_object(abort)
    await reattach_detached_coroutine_object(task, "back")
    return got


@program
async def detached_for_good() -> object:
    coros = []

    async def leaves() -> None:
        coros.append(current_task().coro)
        await permanently_detach_coroutine_object(outcome.Value(None))

    async with open_nursery() as nursery:
        nursery.start_soon(leaves)
    coros.pop().close()
    return "left"


@program
async def raw_waits() -> object:
    tasks, got = [], []

    def abort(raise_cancel: Any) -> Abort:
        got.append("asked")
        return Abort.SUCCEEDED

    async def waits() -> None:
        tasks.append(current_task())
        got.append(await wait_task_rescheduled(abort))

    async with open_nursery() as nursery:
        nursery.start_soon(waits)
        nursery.start_soon(waits)
        await wait_all_tasks_blocked()
        reschedule(tasks[0], outcome.Value(1))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return got


@program
async def sequences() -> object:
    order, sequencer = [], Sequencer()

    async def third() -> None:
        async with sequencer(1):
            order.append(1)

    async with open_nursery() as nursery:
        nursery.start_soon(third)
        async with sequencer(0):
            order.append(0)
        async with sequencer(2):
            order.append(2)
    left, right = memory_stream_pair()
    await left.send_all(b"over")
    await left.send_eof()
    return order, await right.receive_some(10)
