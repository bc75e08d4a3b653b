"""Task: its attributes, what may be assigned, and how a step treats them."""

from __future__ import annotations

import contextvars
import functools
import gc
import sys
import types
import weakref
from collections.abc import Coroutine, Generator
from typing import Any

import outcome
import pytest

import ctrio
from ctrio import open_nursery
from ctrio.abc import Instrument
from ctrio.lowlevel import (
    Abort,
    Task,
    checkpoint,
    current_root_task,
    current_task,
    reschedule,
    wait_task_rescheduled,
)
from ctrio.testing import trio_test, wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


# --- the name -------------------------------------------------------------------------


class Callable:
    async def __call__(self) -> None:
        names.append(current_task().name)

    async def method(self) -> None:
        names.append(current_task().name)

    def __repr__(self) -> str:
        return "<a callable>"


async def function(*args: object, **kwargs: object) -> None:
    names.append(current_task().name)


names: list[str] = []


@pytest.mark.parametrize(
    ("async_fn", "name", "expected"),
    [
        (function, None, f"{__name__}.function"),
        (function, "given", "given"),
        (function, Callable.method, f"{__name__}.Callable.method"),
        (functools.partial(function, 1), None, f"{__name__}.function"),
        (functools.partial(functools.partial(function)), None, f"{__name__}.function"),
        (Callable().method, None, f"{__name__}.Callable.method"),
        (Callable(), None, "<a callable>"),
        (function, 3, "3"),
        (function, functools.partial(Callable.method), f"{__name__}.Callable.method"),
        (function, "", ""),
    ],
)
@trio_test
async def test_the_name(async_fn: Any, name: Any, expected: str) -> None:
    names.clear()
    async with open_nursery() as nursery:
        nursery.start_soon(async_fn, name=name)
    assert names == [expected]


@trio_test
async def test_the_name_of_one_of_ours_is_its_public_name() -> None:
    event = ctrio.Event()
    async with open_nursery() as nursery:
        nursery.start_soon(event.wait)
        [task] = nursery.child_tasks
        assert task.name == "trio.Event.wait"
        event.set()


@trio_test
async def test_the_repr_shows_name_and_address() -> None:
    task = current_task()
    assert repr(task) == f"<Task {task.name!r} at {id(task):#x}>"
    task.name = "renamed"
    assert repr(task) == f"<Task 'renamed' at {id(task):#x}>"


def test_the_tasks_of_every_run_have_names() -> None:
    seen = []

    async def main() -> None:
        def note(task: Task, depth: int) -> None:
            seen.append((depth, task.name))
            for nursery in task.child_nurseries:
                for child in sorted(nursery.child_tasks, key=lambda task: task.name):
                    note(child, depth + 1)

        note(current_root_task(), 0)

    ctrio.run(main)
    assert (0, "<init>") in seen
    assert (1, "<TrioToken.run_sync_soon task>") in seen
    assert any(name.endswith("<locals>.main") for _, name in seen)


# --- what may be assigned -------------------------------------------------------------


@trio_test
async def test_an_assigned_context_is_entered_at_the_next_step() -> None:
    variable.set("old")
    context = contextvars.copy_context()
    context.run(variable.set, "new")
    task = current_task()
    assert task.context.get(variable) == "old"
    task.context = context
    assert variable.get() == "old"
    await checkpoint()
    assert variable.get() == "new"
    variable.set("set in the new one")
    assert context[variable] == "set in the new one"


@trio_test
async def test_a_context_that_cannot_be_entered_is_the_task_s_failure() -> None:
    async def child() -> None:
        current_task().context = "nonsense"  # type: ignore[assignment]
        await checkpoint()

    with pytest.raises(BaseException) as caught:
        async with open_nursery() as nursery:
            nursery.start_soon(child)
    [error] = caught.value.exceptions  # type: ignore[attr-defined]
    assert isinstance(error, (TypeError, AttributeError))
    await checkpoint()


@types.coroutine
def relay(coro: Any, steps: list[object]) -> Generator[Any, Any, Any]:
    """Do as greenback's: stand in for a coroutine from its next step on."""
    sent = yield "ready"
    while True:
        steps.append(sent)
        try:
            yielded = coro.send(sent)
        except StopIteration as stop:
            return stop.value
        sent = yield yielded


@trio_test
async def test_an_assigned_coroutine_runs_from_the_next_step_on() -> None:
    steps: list[object] = []
    seen = []

    async def child() -> None:
        me = current_task()
        original = me.coro
        stand_in: Any = relay(original, steps)
        assert stand_in.send(None) == "ready"
        me.coro = stand_in
        assert len(steps) == 0
        await checkpoint()
        assert len(steps) == 1
        await wait_all_tasks_blocked()
        await ctrio.sleep(0)
        seen.append(me.coro is stand_in)

    async with open_nursery() as nursery:
        nursery.start_soon(child)
    assert seen == [True]
    assert len(steps) >= 2


@trio_test
async def test_custom_sleep_data_is_cleared_by_each_wake_up() -> None:
    task = current_task()
    assert task.custom_sleep_data is None

    def wake() -> None:
        assert task.custom_sleep_data == "data"
        reschedule(task, outcome.Value(1))

    for _ in range(2):
        task.custom_sleep_data = "data"
        ctrio.lowlevel.current_trio_token().run_sync_soon(wake)
        await wait_task_rescheduled(lambda _: Abort.FAILED)
        assert task.custom_sleep_data is None
    with ctrio.CancelScope() as scope:
        scope.cancel()
        task.custom_sleep_data = "data"
        await ctrio.sleep_forever()
    assert task.custom_sleep_data is None
    task.custom_sleep_data = "data"
    await checkpoint()
    assert task.custom_sleep_data is None


@trio_test
async def test_the_rest_is_read_only() -> None:
    task: Any = current_task()
    for name in ("parent_nursery", "eventual_parent_nursery", "child_nurseries"):
        with pytest.raises(AttributeError):
            setattr(task, name, None)
    with pytest.raises(AttributeError):
        task.nonsense = 3


# --- the object -----------------------------------------------------------------------


@trio_test
async def test_nobody_makes_or_subclasses_one() -> None:
    text = r"^trio\.lowlevel\.Task has no public constructor$"
    with pytest.raises(TypeError, match=text):
        Task()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        type("Mine", (Task,), {})
    assert Task.__module__ == "trio.lowlevel"
    assert isinstance(current_task(), Task)


@trio_test
async def test_it_is_hashed_by_identity_and_weakly_referenced() -> None:
    died = []

    async def child() -> None:
        task = current_task()
        died.append(weakref.ref(task))
        data = weakref.WeakKeyDictionary({task: "data"})
        assert data[task] == "data"
        assert task != current_root_task()

    async with open_nursery() as nursery:
        nursery.start_soon(child)
    del nursery
    gc.collect()
    assert died[0]() is None


@trio_test
async def test_an_ended_task_keeps_its_answers() -> None:
    tasks = []

    async def child() -> None:
        tasks.append(current_task())

    async with open_nursery() as nursery:
        nursery.start_soon(child)
    [task] = tasks
    assert task.parent_nursery is nursery
    assert task.eventual_parent_nursery is None
    assert task.child_nurseries == []
    assert "child" in task.name
    assert task.coro.cr_frame is None  # type: ignore[attr-defined]


class Looks(Instrument):
    def task_exited(self, task: Task) -> None:
        seen.append(task.coro)


seen: list[object] = []


@pytest.mark.parametrize("look", ["hold", "refer weakly", "instrument"])
def test_a_failed_task_that_somebody_sees_keeps_its_coroutine(look: str) -> None:
    seen.clear()
    refs: list[Any] = []

    async def fails() -> None:
        await checkpoint()
        task = current_task()
        if look == "hold":
            refs.append(lambda: task)
        elif look == "refer weakly":
            refs.append(weakref.ref(task))
        raise KeyError

    async def main() -> None:
        with pytest.raises(ExceptionGroup):
            async with open_nursery() as nursery:
                nursery.start_soon(fails)
                with ctrio.CancelScope(shield=True):
                    await wait_all_tasks_blocked()
                for ref in refs:
                    task = ref()
                    assert task.coro.__name__ == "fails"
                    assert isinstance(task.context, contextvars.Context)
                    del task

    ctrio.run(main, instruments=[Looks()] if look == "instrument" else [])
    if look == "instrument":
        assert None not in seen
        assert "fails" in [getattr(coro, "__name__", None) for coro in seen]


@trio_test
async def test_a_failed_task_that_nobody_sees_lets_its_coroutine_go_at_once() -> None:
    gone: list[weakref.ref[object]] = []

    async def fails() -> None:
        gone.append(weakref.ref(current_task().coro))
        raise KeyError

    with pytest.raises(ExceptionGroup) as caught:
        async with open_nursery() as nursery:
            nursery.start_soon(fails)
            with ctrio.CancelScope(shield=True):
                await checkpoint()
                await checkpoint()
            assert gone[0]() is None
    (failure,) = caught.value.exceptions
    assert failure.__traceback__ is not None
    assert failure.__traceback__.tb_frame.f_code is fails.__code__


def test_the_frames_of_a_waiting_task_can_be_walked() -> None:
    async def inner() -> None:
        await ctrio.sleep_forever()

    async def outer() -> None:
        await inner()

    async def main() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(outer)
            await wait_all_tasks_blocked()
            [task] = nursery.child_tasks
            functions = [frame.f_code.co_name for frame, _ in task.iter_await_frames()]
            assert functions[:3] == ["outer", "inner", "sleep_forever"]
            nursery.cancel_scope.cancel()

    ctrio.run(main)


@trio_test
async def test_the_root_has_no_parent() -> None:
    root = current_root_task()
    assert root is not None
    assert root.name == "<init>"
    assert root.parent_nursery is None
    task: Task | None = current_task()
    depth = 0
    while task is not root:
        assert task is not None
        nursery = task.parent_nursery
        assert nursery is not None
        task = nursery.parent_task
        depth += 1
    assert depth == 1


# --- foreign yields -------------------------------------------------------------------


@types.coroutine
def foreign(value: object) -> Generator[object, Any, Any]:
    return (yield value)


@pytest.mark.parametrize("value", [None, 12, "text", (1, 2)])
@trio_test
async def test_an_awaitable_of_another_framework_gets_an_error(value: object) -> None:
    text = (
        f"trio.run received unrecognized yield message {value!r}. Are you trying to "
        "use a library written for some other framework like asyncio? That won't work "
        "without some kind of compatibility shim."
    )
    for _ in range(2):
        with pytest.raises(TypeError) as caught:
            await foreign(value)
        assert str(caught.value) == text
    await checkpoint()


@trio_test
async def test_one_that_swallows_the_error_may_go_on() -> None:
    @types.coroutine
    def stubborn() -> Generator[object, Any, Any]:
        for number in range(3):
            try:
                yield number
            except TypeError:
                pass
        return "done"

    assert await stubborn() == "done"
    await checkpoint()


@trio_test
async def test_what_is_awaited_between_foreign_yields_gets_its_own_wake() -> None:
    async def mixed() -> object:
        task = current_task()
        token = ctrio.lowlevel.current_trio_token()
        with pytest.raises(TypeError):
            await foreign("first")
        token.run_sync_soon(reschedule, task, outcome.Value("woken"))
        result = await wait_task_rescheduled(lambda _: Abort.FAILED)
        with pytest.raises(TypeError):
            await foreign("second")
        return result

    assert await mixed() == "woken"


# --- roots that are no plain coroutines -----------------------------------------------


@trio_test
async def test_a_root_without_a_frame_is_wrapped_in_one_that_has() -> None:
    class Foreign(Coroutine[Any, Any, Any]):
        """As Cython's: no frame to be seen."""

        cr_frame = None

        def __init__(self) -> None:
            self.coro: Any = inner()

        def send(self, value: Any) -> Any:
            return self.coro.send(value)

        def throw(self, *args: Any) -> Any:
            return self.coro.throw(*args)

        def close(self) -> None:
            self.coro.close()

        def __await__(self) -> Any:
            return self.coro.__await__()

    seen = []

    async def inner() -> None:
        await checkpoint()
        seen.append(current_task().coro.cr_frame is not None)  # type: ignore[attr-defined]

    def make() -> Foreign:
        return Foreign()

    async with open_nursery() as nursery:
        nursery.start_soon(make)
    assert seen == [True]
