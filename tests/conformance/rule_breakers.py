"""Programs that break Trio's rules, and what comes of them.

    rule_breakers.py PACKAGE [NAME...]

Each is run by the package named and says, in a line of JSON, what the run came to and
what was seen on the way. Addresses and the advice at the end of some texts are taken
out.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import re
import sys
import types
import warnings
from collections.abc import Awaitable, Callable, Generator
from typing import Any

trio: Any = importlib.import_module(sys.argv[1])
testing: Any = importlib.import_module(f"{sys.argv[1]}.testing")

Seen = list[str]
BREAKERS: dict[str, Callable[[Seen], Awaitable[object]]] = {}


def breaker(
    main: Callable[[Seen], Awaitable[object]],
) -> Callable[[Seen], Awaitable[object]]:
    BREAKERS[main.__name__] = main
    return main


def words(exc: BaseException | None) -> str:
    """An exception with its text, its group's members, and what it came from."""
    if exc is None:
        return "nothing"
    text = re.sub(r"0x[0-9a-f]+", "0x", f"{type(exc).__name__}: {exc}")
    text = re.sub(r"\n\nThis is probably a bug in your code.*", "", text, flags=re.S)
    if isinstance(exc, trio.Cancelled):
        text = "Cancelled"
    members = getattr(exc, "exceptions", ())
    if members:
        text += " [" + ", ".join(sorted(map(words, members))) + "]"
    if exc.__cause__ is not None:
        text += f" from {words(exc.__cause__)}"
    return text


@contextlib.contextmanager
def noted(seen: Seen) -> Generator[None]:
    """Whatever is raised is noted and goes no further."""
    try:
        yield
    except BaseException as exc:
        seen.append(words(exc))


@types.coroutine
def yields(value: object) -> Generator[object, object, object]:
    return (yield value)


async def settle() -> None:
    await testing.wait_all_tasks_blocked()


async def note_task(tasks: list[Any]) -> None:
    tasks.append(trio.lowlevel.current_task())
    await trio.sleep_forever()


# --- foreign values


@breaker
async def a_foreign_value(seen: Seen) -> None:
    await yields("foreign")


@breaker
async def a_foreign_value_that_is_survived(seen: Seen) -> object:
    with noted(seen):
        await yields(None)
    with noted(seen):
        await yields(42)
    await trio.lowlevel.checkpoint()
    return "went on"


@breaker
async def a_foreign_value_in_a_child(seen: Seen) -> None:
    async def child() -> None:
        await yields(["foreign"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        nursery.start_soon(child)


@breaker
async def a_foreign_value_in_a_system_task(seen: Seen) -> None:
    async def child() -> None:
        await yields("foreign")

    trio.lowlevel.spawn_system_task(child)
    await trio.sleep_forever()


# --- swallowed cancellations


@breaker
async def a_swallowed_cancellation(seen: Seen) -> object:
    with trio.CancelScope() as scope:
        scope.cancel()
        for _ in range(3):
            with noted(seen):
                await trio.lowlevel.checkpoint()
    return scope.cancelled_caught


@breaker
async def a_child_that_swallows_its_cancellation(seen: Seen) -> object:
    async def child() -> str:
        with noted(seen):
            await trio.sleep_forever()
        return "as if nothing had happened"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)
        await settle()
        nursery.cancel_scope.cancel()
    return nursery.cancel_scope.cancelled_caught


@breaker
async def a_cancellation_that_is_raised_outside_of_its_scope(seen: Seen) -> None:
    kept: list[BaseException] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as exc:
            kept.append(exc)
    raise kept.pop()


@breaker
async def a_cancellation_replaced_by_an_error(seen: Seen) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            raise KeyError("instead") from None


# --- scopes


@breaker
async def a_scope_closed_twice(seen: Seen) -> None:
    scope = trio.CancelScope()
    with scope:
        pass
    with noted(seen):
        scope.__exit__(None, None, None)
    with noted(seen):
        scope.__exit__(KeyError, KeyError("within"), None)
    with noted(seen), scope:
        pass


@breaker
async def a_scope_closed_without_being_opened(seen: Seen) -> None:
    with noted(seen):
        trio.CancelScope().__exit__(None, None, None)


@breaker
async def scopes_closed_out_of_order(seen: Seen) -> object:
    outer, inner = trio.CancelScope(), trio.CancelScope()
    outer.__enter__()
    inner.__enter__()
    with noted(seen):
        outer.__exit__(None, None, None)
    with noted(seen):
        await trio.lowlevel.checkpoint()
    with noted(seen):
        inner.__exit__(None, None, None)
    await trio.lowlevel.checkpoint()
    return "went on"


@breaker
async def a_scope_closed_by_another_task(seen: Seen) -> None:
    scope = trio.CancelScope()

    async def closes() -> None:
        scope.__exit__(None, None, None)

    with scope:
        with noted(seen):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(closes)


@breaker
async def a_scope_left_open(seen: Seen) -> object:
    trio.CancelScope().__enter__()
    return "left"


@breaker
async def a_scope_left_open_by_a_child(seen: Seen) -> object:
    async def child() -> None:
        trio.CancelScope().__enter__()
        await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)
    return "left"


@breaker
async def a_scope_around_a_child_closed_before_it(seen: Seen) -> None:
    scope = trio.CancelScope()
    scope.__enter__()
    nursery = trio.open_nursery()
    (await nursery.__aenter__()).start_soon(trio.sleep_forever)
    await settle()
    with noted(seen):
        scope.__exit__(None, None, None)
    with noted(seen):
        await nursery.__aexit__(None, None, None)


# --- nurseries


@breaker
async def nurseries_exited_out_of_order(seen: Seen) -> None:
    first, second = trio.open_nursery(), trio.open_nursery()
    await first.__aenter__()
    await second.__aenter__()
    with noted(seen):
        await first.__aexit__(None, None, None)
    with noted(seen):
        await second.__aexit__(None, None, None)
    await trio.lowlevel.checkpoint()


@breaker
async def nurseries_with_children_exited_out_of_order(seen: Seen) -> None:
    first, second = trio.open_nursery(), trio.open_nursery()
    (await first.__aenter__()).start_soon(trio.sleep, 0)
    (await second.__aenter__()).start_soon(trio.sleep, 0)
    await settle()
    with noted(seen):
        await first.__aexit__(None, None, None)
    with noted(seen):
        await second.__aexit__(None, None, None)


@breaker
async def a_nursery_left_open(seen: Seen) -> None:
    nursery = await trio.open_nursery().__aenter__()
    nursery.start_soon(trio.sleep_forever)
    await settle()


@breaker
async def a_nursery_left_open_by_a_child(seen: Seen) -> None:
    async def child() -> None:
        nursery = await trio.open_nursery().__aenter__()
        nursery.start_soon(trio.sleep_forever)
        await settle()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)


@breaker
async def a_nursery_that_is_closed(seen: Seen) -> None:
    async with trio.open_nursery() as nursery:
        pass
    with noted(seen):
        nursery.start_soon(trio.sleep, 0)
    with noted(seen):
        await nursery.start(trio.sleep, 0)


@breaker
async def a_generator_that_yields_within_a_nursery(seen: Seen) -> object:
    async def generator() -> Any:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            yield "value"

    numbers = generator()
    seen.append(await numbers.__anext__())
    async with trio.open_nursery():
        with noted(seen):
            nested = numbers.aclose()
            await nested
    return "went on"


# --- coroutines


@breaker
async def a_task_s_coroutine_closed_while_it_waits(seen: Seen) -> object:
    tasks: list[Any] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(note_task, tasks)
        await settle()
        with noted(seen):
            tasks[0].coro.close()
        nursery.cancel_scope.cancel()
    return "went on"


@breaker
async def a_task_s_coroutine_thrown_into_while_it_waits(seen: Seen) -> object:
    tasks: list[Any] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(note_task, tasks)
        await settle()
        with noted(seen):
            tasks[0].coro.throw(KeyError("thrown"))
        nursery.cancel_scope.cancel()
    return "went on"


@breaker
async def a_task_s_coroutine_closed_before_it_begins(seen: Seen) -> object:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 0)
        (task,) = nursery.child_tasks
        with noted(seen):
            task.coro.close()
    return "went on"


@breaker
async def a_task_that_closes_its_own_coroutine(seen: Seen) -> object:
    with noted(seen):
        trio.lowlevel.current_task().coro.close()
    with noted(seen):
        trio.lowlevel.current_task().coro.throw(KeyError())
    await trio.lowlevel.checkpoint()
    return "went on"


@breaker
async def a_task_whose_coroutine_is_taken_away(seen: Seen) -> object:
    tasks: list[Any] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(note_task, tasks)
        await settle()
        with noted(seen):
            del tasks[0].coro
        gc.collect()
        nursery.cancel_scope.cancel()
    return "went on"


@breaker
async def a_task_whose_coroutine_is_replaced_by_nonsense(seen: Seen) -> object:
    tasks: list[Any] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(note_task, tasks)
        await settle()
        kept, tasks[0].coro = tasks[0].coro, None
        gc.collect()
        nursery.cancel_scope.cancel()
    kept.close()
    return "went on"


@breaker
async def a_coroutine_awaited_twice(seen: Seen) -> object:
    async def once() -> str:
        await trio.lowlevel.checkpoint()
        return "once"

    coro = once()
    seen.append(await coro)
    with noted(seen):
        await coro
    ours = trio.sleep(0)
    await ours
    with noted(seen):
        await ours
    return "went on"


@breaker
async def a_coroutine_awaited_by_two_tasks(seen: Seen) -> object:
    async def waits() -> None:
        await trio.sleep_forever()

    coro = waits()

    async def awaits(coro: Any) -> None:
        with noted(seen):
            await coro

    async with trio.open_nursery() as nursery:
        nursery.start_soon(awaits, coro)
        await settle()
        await awaits(coro)
        nursery.cancel_scope.cancel()
    return "went on"


@breaker
async def a_coroutine_stepped_by_hand(seen: Seen) -> object:
    coro = trio.sleep(0)
    with noted(seen):
        coro.send(None)
    coro.close()
    await trio.lowlevel.checkpoint()
    return "went on"


@breaker
async def a_coroutine_instead_of_a_function(seen: Seen) -> object:
    async with trio.open_nursery() as nursery:
        with noted(seen):
            nursery.start_soon(trio.sleep(0))
        with noted(seen):
            nursery.start_soon(len)
        with noted(seen):
            nursery.start_soon(len, "abc")
    return "went on"


# --- waking


@breaker
async def a_task_woken_twice(seen: Seen) -> object:
    tasks: list[Any] = []

    async def waits() -> None:
        tasks.append(trio.lowlevel.current_task())
        await trio.lowlevel.wait_task_rescheduled(
            lambda _: trio.lowlevel.Abort.SUCCEEDED
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waits)
        await settle()
        trio.lowlevel.reschedule(tasks[0])
        with noted(seen):
            trio.lowlevel.reschedule(tasks[0])
    return "went on"


@breaker
async def an_abort_function_that_answers_nonsense(seen: Seen) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await trio.lowlevel.wait_task_rescheduled(lambda _: "nonsense")


@breaker
async def an_abort_function_that_raises(seen: Seen) -> None:
    def raises(_: object) -> None:
        raise KeyError("from the abort function")

    with trio.CancelScope() as scope:
        scope.cancel()
        await trio.lowlevel.wait_task_rescheduled(raises)


# --- locks


@breaker
async def a_lock_given_back_by_somebody_else(seen: Seen) -> object:
    lock = trio.Lock()

    async def gives_back() -> None:
        with noted(seen):
            lock.release()

    async with trio.open_nursery() as nursery, lock:
        nursery.start_soon(gives_back)
        with noted(seen):
            await lock.acquire()
        await settle()
    with noted(seen):
        lock.release()
    return "went on"


@breaker
async def a_started_that_is_called_twice(seen: Seen) -> object:
    async def child(task_status: Any) -> None:
        task_status.started()
        with noted(seen):
            task_status.started()

    async with trio.open_nursery() as nursery:
        await nursery.start(child)
    return "went on"


# --- what comes of it


def outcome_of(main: Callable[[Seen], Awaitable[object]]) -> dict[str, object]:
    seen: Seen = []
    unraisable: Seen = []
    sys.unraisablehook = lambda found: unraisable.append(words(found.exc_value))
    try:
        came_to = repr(trio.run(main, seen))
    except BaseException as exc:
        came_to = words(exc)
    for _ in range(3):
        gc.collect()
    trio.run(settle)  # the next run finds nothing of it
    return {"came to": came_to, "seen": seen, "unraisable": unraisable}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for name in sys.argv[2:] or BREAKERS:
        print(json.dumps([name, outcome_of(BREAKERS[name])]), flush=True)
