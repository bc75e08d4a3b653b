"""What `await` gives: any value as it is, kept by nobody.

On 3.12 to 3.14 a result comes in a StopIteration, which is used again for values that
refer to nothing; nobody may notice.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import ctrio
from ctrio.testing import trio_test, wait_all_tasks_blocked as end_the_step


class Int(int):
    pass


class Thing:
    pass


VALUES = [
    0,
    12345678901234567890,
    b"",
    b"bytes" * 100,
    "text",
    1.5,
    float("inf"),
    True,
    False,
    None,
    (),
    (1, 2),
    [],
    Int(3),
    Thing(),
    StopIteration(3),
    KeyError("key"),
    KeyError,
    StopIteration,
]


def ready(value: object) -> Coroutine[Any, Any, Any]:
    """A coroutine of ours that gives the value at its first step."""
    send, receive = ctrio.open_memory_channel[Any](1)
    send.send_nowait(value)
    return receive.receive()


async def stop_of(value: object, step: Callable[[Any], Any] = next) -> StopIteration:
    """What a step by hand raises: of a receive that takes no turn of the loop.

    By `next`, as `await` does it on some versions; a receive that is sent to by hand
    always takes a turn.
    """
    for _ in range(1000):
        coro = ready(value)
        try:
            step(coro)
        except StopIteration as stop:
            return stop
        coro.close()
        await end_the_step()
    raise AssertionError("it waits again and again")


@trio_test
async def test_every_value_comes_out_as_it_is() -> None:
    for _ in range(2):
        for value in VALUES:
            assert await ready(value) is value
            assert await ready(7) == 7
    await end_the_step()
    for value in VALUES:
        assert await ready(value) is value


@trio_test
async def test_values_of_one_step_do_not_mix() -> None:
    got = [await ready(b"1"), await ready("2"), await ready(3), await ready(4.0)]
    assert got == [b"1", "2", 3, 4.0]


@trio_test
async def test_a_value_is_let_go_at_the_end_of_the_step() -> None:
    value = b"some bytes" * 1000
    before = sys.getrefcount(value)
    for _ in range(3):
        assert await ready(value) is value
        await end_the_step()
        assert sys.getrefcount(value) == before
    thing = Thing()
    gone = weakref.ref(thing)
    assert await ready(thing) is thing
    del thing
    gc.collect()
    assert gone() is None


@trio_test
async def test_a_stop_iteration_that_somebody_keeps_stays_as_it_is() -> None:
    stop = await stop_of(1)
    assert stop.value == 1
    assert await ready(2) == 2
    await end_the_step()
    assert await ready(3) == 3
    assert stop.value == 1
    await end_the_step()
    assert stop.value == 1


@trio_test
async def test_what_was_left_on_a_stop_iteration_is_not_found_on_the_next() -> None:
    for name, left in [
        ("note", "left"),
        ("args", ("left",)),
        ("__context__", KeyError()),
        ("__cause__", KeyError()),
        ("__notes__", ["left"]),
    ]:
        stop = await stop_of(1)
        setattr(stop, name, left)
        del stop
        stop = await stop_of(2)
        assert stop.value == 2
        assert getattr(stop, name, None) in ((), (2,), None)  # (2,): somebody traces
        del stop


@trio_test
async def test_a_stop_iteration_does_not_keep_the_frame_that_caught_it() -> None:
    class Step:
        def __call__(self, coro: Any) -> None:
            next(coro)

    step = Step()
    gone = weakref.ref(step)
    await stop_of(1, step)  # a local variable of the frame in the traceback
    del step
    await end_the_step()
    gc.collect()
    assert gone() is None


async def python_ready(value: object) -> object:
    return value


async def traced_results(make: Callable[[object], Any]) -> tuple[object, list[object]]:
    """What awaiting some values gives, and the StopIterations that a tracer sees."""
    events: list[object] = []

    async def awaits() -> list[object]:
        return [await make(1), await make(1), await make([2]), await make(None)]

    def trace(frame: Any, event: str, arg: Any) -> Any:
        if event == "exception" and frame.f_code is awaits.__code__:
            events.append((arg[0], arg[1].value, arg[1].args))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        got = await awaits()
    finally:
        sys.settrace(before)
    return got, events


@trio_test
async def test_a_traced_await_ends_as_that_of_a_python_function() -> None:
    """Debuggers stop there and print the exception: it was empty, or there was none."""
    got = await traced_results(ready)
    assert got == await traced_results(python_ready)
    assert got[0] == [1, 1, [2], None]
    assert [event[1:] for event in got[1]] == [  # type: ignore[index]
        (1, (1,)),
        (1, (1,)),
        ([2], ([2],)),
        (None, ()),
    ]
