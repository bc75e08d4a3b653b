"""From an async function to a running task: start_soon, and what it takes."""

from __future__ import annotations

import contextvars
import functools
import gc
import warnings
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import pytest

import ctrio
from ctrio import open_nursery
from ctrio.lowlevel import checkpoint, current_task, spawn_system_task
from ctrio.testing import trio_test, wait_all_tasks_blocked

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

results: list[object] = []


async def plain(*args: object) -> None:
    results.append(args)


class Things:
    def __init__(self) -> None:
        self.name = "self"

    async def method(self, *args: object) -> None:
        results.append((self.name, *args))

    @classmethod
    async def classmethod(cls, *args: object) -> None:
        results.append((cls.__name__, *args))

    @staticmethod
    async def staticmethod(*args: object) -> None:
        results.append(args)

    async def __call__(self, *args: object) -> None:
        results.append((self.name, *args))


def returns_a_coroutine(*args: object) -> Coroutine[Any, Any, None]:
    return plain(*args)


@functools.wraps(plain)
def decorated(*args: object) -> Coroutine[Any, Any, None]:
    return plain(*args)


@pytest.mark.parametrize(
    ("async_fn", "expected"),
    [
        (plain, (1, 2)),
        (Things().method, ("self", 1, 2)),
        (Things.classmethod, ("Things", 1, 2)),
        (Things.staticmethod, (1, 2)),
        (Things(), ("self", 1, 2)),
        (functools.partial(plain, 0), (0, 1, 2)),
        (functools.partial(functools.partial(plain, 0), 5), (0, 5, 1, 2)),
        (lambda *args: plain(*args), (1, 2)),
        (returns_a_coroutine, (1, 2)),
        (decorated, (1, 2)),
    ],
)
@trio_test
async def test_whatever_gives_a_coroutine_can_be_started(
    async_fn: Any, expected: tuple[object, ...]
) -> None:
    results.clear()
    async with open_nursery() as nursery:
        nursery.start_soon(async_fn, 1, 2)
        assert results == []
    assert results == [expected]
    results.clear()
    spawn_system_task(async_fn, 1, 2)
    await wait_all_tasks_blocked()
    assert results == [expected]


@trio_test
async def test_our_own_functions_and_methods_can_be_started() -> None:
    event = ctrio.Event()
    async with open_nursery() as nursery:
        nursery.start_soon(checkpoint)
        nursery.start_soon(ctrio.sleep, 0)
        nursery.start_soon(functools.partial(ctrio.sleep, 0))
        nursery.start_soon(event.wait)
        nursery.start_soon(ctrio.Event.wait, event)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 2
        event.set()


@trio_test
async def test_start_soon_returns_before_anything_runs() -> None:
    results.clear()
    async with open_nursery() as nursery:
        nursery.start_soon(plain)
        await ctrio.lowlevel.checkpoint_if_cancelled()
        assert results == []
    assert results == [()]


async def agen() -> AsyncGenerator[int, None]:
    yield 1


def sync() -> None:
    pass


WRONG: list[tuple[Any, tuple[object, ...], str]] = [
    (sync, (), "^Trio expected an async function, but 'sync' appears to be synchron"),
    (lambda: 12, (), "<lambda>' appears to be synchronous$"),
    (functools.partial(sync), (), r"but functools.partial\(.*appears to be synchron"),
    (None, (), "^'NoneType' object is not callable$"),
    (12, (), "^'int' object is not callable$"),
    (agen, (), "^start_soon expected an async function but got an async generator <"),
    (ctrio.sleep, (), r"^sleep\(\) missing 1 required positional argument: 'seconds'$"),
    (ctrio.sleep, (1, 2), r"^sleep\(\) takes 1 positional argument but 2 were given$"),
    (sync, (1,), r"^sync\(\) takes 0 positional arguments but 1 was given$"),
]


@trio_test
async def test_whatever_does_not_is_refused_at_once() -> None:
    async with open_nursery() as nursery:
        for async_fn, args, text in WRONG:
            for start in (nursery.start_soon, spawn_system_task):
                with pytest.raises(TypeError, match=text):
                    start(async_fn, *args)
        assert nursery.child_tasks == frozenset()


@trio_test
async def test_a_coroutine_instead_of_a_function_is_closed_and_explained() -> None:
    coros: list[Any] = [plain(), ctrio.sleep(1), ctrio.Event().wait()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with open_nursery() as nursery:
            for coro in coros:
                text = (
                    "^Trio was expecting an async function, but instead it got a "
                    "coroutine object <coroutine object "
                )
                with pytest.raises(TypeError, match=text) as caught:
                    nursery.start_soon(coro)
                assert f"trio.run({coro.__name__}, ...)" in str(caught.value)
        del coros, coro, caught
        gc.collect()


@trio_test
async def test_a_function_that_raises_when_it_is_called_raises_here() -> None:
    def raises() -> Any:
        raise KeyError("called")

    async with open_nursery() as nursery:
        with pytest.raises(KeyError):
            nursery.start_soon(raises)
        assert nursery.child_tasks == frozenset()


@trio_test
async def test_keyword_arguments_are_only_ours() -> None:
    async with open_nursery() as nursery:
        text = r"^Nursery.start_soon\(\) got an unexpected keyword argument 'x'$"
        with pytest.raises(TypeError, match=text):
            nursery.start_soon(plain, x=1)  # type: ignore[call-arg]
        text = r"^Nursery.start_soon\(\) missing 1 required positional argument: 'as"
        with pytest.raises(TypeError, match=text):
            nursery.start_soon()  # type: ignore[call-arg]
        text = r"^spawn_system_task\(\) got an unexpected keyword argument 'x'$"
        with pytest.raises(TypeError, match=text):
            spawn_system_task(plain, x=1)  # type: ignore[call-arg]


# --- contexts -------------------------------------------------------------------------


@trio_test
async def test_a_child_gets_a_copy_of_the_context() -> None:
    seen = []

    async def child() -> None:
        seen.append(variable.get())
        variable.set("child")
        await checkpoint()
        seen.append(variable.get())

    variable.set("parent")
    async with open_nursery() as nursery:
        nursery.start_soon(child)
        variable.set("changed after start_soon")
        await wait_all_tasks_blocked()
    assert seen == ["parent", "child"]
    assert variable.get() == "changed after start_soon"


@trio_test
async def test_what_is_called_to_get_the_coroutine_runs_in_the_child_s_context() -> (
    None
):
    def factory() -> Coroutine[Any, Any, None]:
        variable.set("factory")
        return child()

    seen = []

    async def child() -> None:
        seen.append(variable.get())

    variable.set("parent")
    async with open_nursery() as nursery:
        nursery.start_soon(factory)
    assert seen == ["factory"]
    assert variable.get() == "parent"


def test_a_system_task_gets_the_context_in_which_run_was_called() -> None:
    seen = []

    async def note() -> None:
        seen.append(variable.get())

    async def main() -> None:
        variable.set("main task")
        spawn_system_task(note)
        given = contextvars.copy_context()
        task = spawn_system_task(note, context=given)
        assert task.context is given
        spawn_system_task(note, context=None)
        await wait_all_tasks_blocked()

    variable.set("around run()")
    ctrio.run(main)
    assert sorted(seen) == ["around run()", "around run()", "main task"]
    assert variable.get() == "around run()"


@trio_test
async def test_a_context_that_is_none_is_refused_before_anything_happens() -> None:
    with pytest.raises((TypeError, RuntimeError)):
        spawn_system_task(plain, context="nonsense")  # type: ignore[arg-type]
    await wait_all_tasks_blocked()


# --- many -----------------------------------------------------------------------------


@trio_test
async def test_many_tasks_can_live_at_once() -> None:
    event = ctrio.Event()
    woken = 0

    async def child() -> None:
        nonlocal woken
        await event.wait()
        woken += 1

    async with open_nursery() as nursery:
        for _ in range(30_000):
            nursery.start_soon(child)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 30_000
        assert event.statistics().tasks_waiting == 30_000
        event.set()
    assert woken == 30_000


@trio_test
async def test_a_thousand_nurseries_deep_is_no_trouble() -> None:
    async def descend(depth: int) -> int:
        if depth == 0:
            return 1
        async with open_nursery() as nursery:
            inner: list[int] = []

            async def child() -> None:
                inner.append(await descend(depth - 1))

            nursery.start_soon(child)
        return inner[0] + 1

    assert await descend(1000) == 1001


@trio_test
async def test_the_order_of_start_is_kept_up_to_reversal() -> None:
    order = []

    async def child(number: int) -> None:
        order.append(number)

    async with open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(child, number)
    assert order in (list(range(10)), list(reversed(range(10))))
    assert current_task().child_nurseries == []
