"""Tasks share a context until one of them changes it, and nobody can tell."""

from __future__ import annotations

import contextvars
import gc
import sysconfig
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import ctrio
from ctrio.lowlevel import checkpoint, current_task
from ctrio.testing import MockClock, wait_all_tasks_blocked

shared = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="none is shared there"
)
colour: contextvars.ContextVar[Any] = contextvars.ContextVar("colour", default="none")


def contexts() -> int:
    gc.collect()
    return sum(type(thing) is contextvars.Context for thing in gc.get_objects())


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    return contextvars.copy_context().run(
        lambda: ctrio.run(main, clock=MockClock(autojump_threshold=0))
    )


async def in_nursery(*children: Any) -> None:
    """Run async functions, or tuples of one and its arguments."""
    async with ctrio.open_nursery() as nursery:
        for child in children:
            nursery.start_soon(*child if isinstance(child, tuple) else (child,))


@shared
def test_tasks_that_change_nothing_have_one_context() -> None:
    async def main() -> None:
        before = contexts()
        async with ctrio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(ctrio.sleep_forever)
            await wait_all_tasks_blocked()
            assert contexts() - before < 4
            nursery.cancel_scope.cancel()

    run(main)


def test_a_change_is_seen_by_the_task_alone_from_then_on() -> None:
    seen: list[Any] = []

    async def changes(mine: int) -> None:
        seen.append(colour.get())
        await checkpoint()
        colour.set(mine)
        await checkpoint()
        seen.append(colour.get() == mine)

    async def looks() -> None:
        for _ in range(4):
            seen.append(colour.get())
            await checkpoint()

    async def main() -> None:
        colour.set("red")
        await in_nursery(looks, (changes, 1), looks, (changes, 2), (changes, 3))
        assert colour.get() == "red"

    run(main)
    assert seen.count("red") == 11
    assert seen.count(True) == 3


def test_a_task_has_the_variables_of_the_moment_it_was_started() -> None:
    async def is_still(expected: str) -> None:
        for _ in range(3):
            assert colour.get() == expected
            await checkpoint()

    async def main() -> None:
        async with ctrio.open_nursery() as nursery:
            for name in ("red", "green", "green", "blue", "red", "red"):
                colour.set(name)
                nursery.start_soon(is_still, name)
                nursery.start_soon(is_still, name)
                if name == "blue":
                    await checkpoint()
            contextvars.copy_context().run(colour.set, "black")
            other = contextvars.copy_context()
            other.run(colour.set, "white")
            other.run(nursery.start_soon, is_still, "white")
            assert colour.get() == "red"

    run(main)


def test_a_token_is_good_for_as_long_as_its_task() -> None:
    async def child() -> None:
        token = colour.set("green")
        await checkpoint()
        colour.reset(token)
        assert colour.get() == "red"
        token = colour.set("blue")
        colour.reset(token)
        await checkpoint()
        assert colour.get() == "red"
        with pytest.raises(RuntimeError):
            colour.reset(token)

    async def main() -> None:
        colour.set("red")
        await in_nursery(child, child, child)

    run(main)


def test_a_token_of_another_task_is_of_another_context() -> None:
    tokens: list[contextvars.Token[Any]] = []

    async def sets() -> None:
        tokens.append(colour.set("green"))

    async def resets() -> None:
        while not tokens:
            await checkpoint()
        with pytest.raises(ValueError, match="different Context"):
            colour.reset(tokens[0])

    run(lambda: in_nursery(resets, sets, resets))


def test_who_asks_for_the_context_is_given_the_one_it_runs_in() -> None:
    async def asks() -> None:
        context = current_task().context
        assert context is current_task().context
        colour.set("green")
        assert context[colour] == "green"
        await checkpoint()
        assert colour.get() == "green"
        context = current_task().context
        colour.set("blue")
        assert context[colour] == "blue"

    async def looks() -> None:
        for _ in range(4):
            assert colour.get() == "red"
            await checkpoint()

    async def main() -> None:
        colour.set("red")
        await in_nursery(looks, asks, looks, asks, looks)

    run(main)


def test_a_change_through_task_context_reaches_the_task() -> None:
    tasks: list[ctrio.lowlevel.Task] = []

    async def child() -> None:
        tasks.append(current_task())
        await ctrio.sleep(1)
        assert colour.get() == ("green" if current_task() is tasks[1] else "red")

    async def main() -> None:
        colour.set("red")
        async with ctrio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(child)
            await wait_all_tasks_blocked()
            tasks[1].context.run(colour.set, "green")

    run(main)


def test_another_context_may_be_assigned_at_any_time() -> None:
    other = contextvars.copy_context()
    other.run(colour.set, "white")

    async def child() -> None:
        current_task().context = other
        colour.set("green")  # Where it runs until this step is over.
        assert other[colour] == "white"
        await checkpoint()
        assert colour.get() == "white"

    async def looks() -> None:
        for _ in range(4):
            assert colour.get() == "red"
            await checkpoint()

    async def main() -> None:
        colour.set("red")
        await in_nursery(looks, child, looks)

    run(main)


class Value:
    pass


@pytest.mark.parametrize("ends", ["returns", "fails", "is cancelled"])
def test_variables_live_no_longer_than_the_tasks_that_have_them(ends: str) -> None:
    async def child(value: weakref.ref[Value]) -> None:
        assert colour.get() is value()
        await checkpoint()
        if ends == "fails":
            raise KeyError
        if ends == "is cancelled":
            await ctrio.sleep_forever()

    async def parent(values: list[weakref.ref[Value]]) -> None:
        value = Value()
        colour.set(value)
        values.append(weakref.ref(value))
        with ctrio.move_on_after(1):
            await in_nursery(*[(child, values[0])] * 3)

    async def main() -> None:
        values: list[weakref.ref[Value]] = []
        with pytest.raises(BaseException) if ends == "fails" else ctrio.CancelScope():
            await in_nursery((parent, values))
        gc.collect()
        assert values[0]() is None

    run(main)


def test_the_last_one_needs_no_copy() -> None:
    async def child() -> None:
        assert colour.get() == "red"
        colour.set("green")
        await checkpoint()
        assert colour.get() == "green"

    async def main() -> None:
        async with ctrio.open_nursery() as nursery:
            colour.set("red")
            nursery.start_soon(child)
            await checkpoint()
            nursery.start_soon(child)
            nursery.start_soon(child)
            colour.set("blue")
            nursery.start_soon(checkpoint)

    run(main)


def test_what_is_no_plain_function_is_called_in_a_context_of_its_own() -> None:
    class Callable:
        def __call__(self) -> Any:
            assert colour.get() == "red"
            colour.set("green")
            return self.body()

        async def body(self) -> None:
            assert colour.get() == "green"

    async def main() -> None:
        colour.set("red")
        await in_nursery(checkpoint, Callable(), checkpoint, Callable())
        assert colour.get() == "red"

    run(main)


def test_a_greenlet_that_keeps_the_context_keeps_it_from_the_others() -> None:
    greenlet = pytest.importorskip("greenlet")

    async def keeps() -> None:
        other = greenlet.greenlet(lambda: colour.set("green"))
        other.gr_context = greenlet.getcurrent().gr_context
        for _ in range(3):
            await checkpoint()
        other.switch()
        assert colour.get() == "green"

    async def sets() -> None:
        await checkpoint()
        colour.set("blue")
        for _ in range(5):
            await checkpoint()
            assert colour.get() == "blue"

    async def looks() -> None:
        for _ in range(7):
            assert colour.get() == "red"
            await checkpoint()

    async def main() -> None:
        colour.set("red")
        await in_nursery(looks, keeps, sets, looks)

    run(main)


def test_where_tasks_are_many_too() -> None:
    async def child(number: int) -> None:
        await ctrio.sleep(1)
        if number % 3 == 0:
            colour.set(number)
        if number % 5 == 0:
            assert type(current_task().context) is contextvars.Context
        await ctrio.sleep(1)
        assert colour.get() == (number if number % 3 == 0 else "red")

    async def main() -> None:
        colour.set("red")
        async with ctrio.open_nursery() as nursery:
            for number in range(300):
                nursery.start_soon(child, number)

    run(main)


def test_a_context_that_was_assigned_and_taken_back_is_entered_anew() -> None:
    async def main() -> None:
        contexts = [contextvars.copy_context() for _ in range(3)]
        for number, context in enumerate(contexts):
            context.run(colour.set, number)
        for number in (0, 1, 2, 0):
            current_task().context = contexts[number].copy()
            await ctrio.lowlevel.cancel_shielded_checkpoint()
            assert colour.get() == number

    run(main)


def test_a_call_that_fails_keeps_no_variables() -> None:
    async def child() -> None:
        value = Value()
        colour.set(value)
        with pytest.raises(TypeError):
            nursery.start_soon(child, 1)
        values.append(weakref.ref(value))

    async def main() -> None:
        async with ctrio.open_nursery() as opened:
            nonlocal nursery
            nursery = opened
            nursery.start_soon(child)
        assert values[0]() is None

    nursery: Any = None
    values: list[weakref.ref[Value]] = []
    run(main)


def test_a_value_dies_when_the_last_task_has_another() -> None:
    async def survivor() -> None:
        await ctrio.sleep(1)
        colour.set(None)
        assert values[0]() is None

    async def main() -> None:
        value = Value()
        values.append(weakref.ref(value))
        colour.set(value)
        async with ctrio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(checkpoint)
            nursery.start_soon(survivor)
            colour.set(None)
            del value

    values: list[weakref.ref[Value]] = []
    run(main)


def test_a_context_that_is_entered_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="cannot enter context"):
            ctrio.lowlevel.spawn_system_task(checkpoint, context=current_task().context)

    run(main)


class Garbage:
    """In a cycle: the collector calls `what` when it finds it."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self.me, self.what = self, what

    def __del__(self) -> None:
        self.what()


@pytest.mark.parametrize("does", ["ask", "assign", "spawn"])
def test_the_collector_may_run_while_a_context_is_copied(does: str) -> None:
    tasks: list[ctrio.lowlevel.Task] = []
    kept: list[contextvars.Context] = []

    class AtTheFirstStep(ctrio.abc.Instrument):
        armed = False

        def before_task_step(self, task: ctrio.lowlevel.Task) -> None:
            if self.armed and task in tasks:
                self.armed = False
                for _ in range(3):
                    Garbage(collected)
                gc.set_threshold(1)
                gc.enable()

    def collected() -> None:
        for task in tasks:
            if does == "ask":
                assert type(task.context) is contextvars.Context
            elif does == "assign":
                task.context = contextvars.copy_context()
            else:
                nurseries[0].start_soon(checkpoint)

    async def child() -> None:
        await checkpoint()
        colour.set("mine")
        await checkpoint()
        assert colour.get() == "mine"

    async def main() -> None:
        async with ctrio.open_nursery() as nursery:
            nurseries.append(nursery)
            colour.set("red")
            for _ in range(3):
                nursery.start_soon(child)
            tasks.extend(nursery.child_tasks)
            colour.set("green")
            kept.extend(contextvars.Context() for _ in range(300))
            watch.armed = True

    nurseries: list[ctrio.Nursery] = []
    watch = AtTheFirstStep()
    threshold = gc.get_threshold()
    gc.disable()
    try:
        contextvars.copy_context().run(lambda: ctrio.run(main, instruments=[watch]))
    finally:
        gc.set_threshold(*threshold)
        gc.enable()
