"""Bad calls of primitives, channels, variables, instruments: Trio's answers to them."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

import pytest
from bad_input import Case, Table, check_inside, check_outside, low, untyped

import ctrio
from ctrio import (
    CapacityLimiter,
    Condition,
    Event,
    Lock,
    Semaphore,
    StrictFIFOLock,
    open_memory_channel,
)
from ctrio.lowlevel import ParkingLot, RunVar, current_task

inside, outside = Table(), Table()


def cases(table: Table, *rows: tuple[type[BaseException], str, Case]) -> None:
    """Put in what is one expression long."""
    for error, text, call in rows:
        table(error, text)(call)


# --- making them ----------------------------------------------------------------------

NOT_AN_INT = "initial_value must be an int"
NO_LIMIT = "total_tokens must be an int or math.inf"
NO_SIZE = "max_buffer_size must be an integer or math.inf"
MISSING = "missing 1 required positional argument:"
TAKES_NONE = "takes 1 positional argument but 2 were given"

for bad in (None, 1.5, "x", nan, []):
    cases(
        outside,
        (TypeError, NOT_AN_INT, lambda bad=bad: Semaphore(bad)),
        (TypeError, NO_LIMIT, lambda bad=bad: CapacityLimiter(bad)),
        (TypeError, NO_SIZE, lambda bad=bad: open_memory_channel(bad)),
        (
            TypeError,
            NO_LIMIT,
            lambda bad=bad: setattr(CapacityLimiter(1), "total_tokens", bad),
        ),
        (TypeError, "new_lot must be a ParkingLot", lambda bad=bad: repark(bad)),
    )
    if bad is not None:
        cases(
            outside,
            (TypeError, "lock must be a trio.Lock", lambda bad=bad: Condition(bad)),
            (
                TypeError,
                "max_value must be None or an int",
                lambda bad=bad: Semaphore(1, max_value=bad),
            ),
        )


def repark(new_lot: Any) -> None:
    ParkingLot().repark(new_lot)


cases(
    outside,
    (ValueError, "initial value must be >= 0", lambda: Semaphore(-1)),
    (
        ValueError,
        "max_values must be >= initial_value",
        lambda: Semaphore(2, max_value=1),
    ),
    (ValueError, "total_tokens must be >= 0", lambda: CapacityLimiter(-1)),
    (ValueError, "max_buffer_size must be >= 0", lambda: open_memory_channel(-1)),
    (TypeError, f"Event.__init__() {TAKES_NONE}", lambda: untyped.Event(1)),
    (TypeError, f"ParkingLot.__init__() {TAKES_NONE}", lambda: low.ParkingLot(1)),
    (TypeError, f"_LockImpl.__init__() {TAKES_NONE}", lambda: untyped.Lock(1)),
    (
        TypeError,
        f"_LockImpl.__init__() {TAKES_NONE}",
        lambda: untyped.StrictFIFOLock(1),
    ),
    (
        TypeError,
        f"Semaphore.__init__() {MISSING} 'initial_value'",
        lambda: untyped.Semaphore(),
    ),
    (
        TypeError,
        f"CapacityLimiter.__init__() {MISSING} 'total_tokens'",
        lambda: untyped.CapacityLimiter(),
    ),
    (
        TypeError,
        f"open_memory_channel.__new__() {MISSING} 'max_buffer_size'",
        lambda: untyped.open_memory_channel(),
    ),
    (TypeError, f"RunVar.__init__() {MISSING} 'name'", lambda: low.RunVar()),
    (TypeError, "lock must be a trio.Lock", lambda: untyped.Condition(Semaphore(1))),
    (
        TypeError,
        "lock must be a trio.Lock",
        lambda: untyped.Condition(StrictFIFOLock()),
    ),
    (
        TypeError,
        "trio.MemorySendChannel has no public constructor",
        lambda: untyped.MemorySendChannel(),
    ),
    (
        TypeError,
        "trio.MemoryReceiveChannel has no public constructor",
        lambda: untyped.MemoryReceiveChannel(3),
    ),
    (
        TypeError,
        "trio.lowlevel.RunVarToken has no public constructor",
        lambda: low.RunVarToken(3),
    ),
    (
        TypeError,
        "trio.lowlevel.TrioToken has no public constructor",
        lambda: low.TrioToken(),
    ),
    (TypeError, "trio.lowlevel.Task has no public constructor", lambda: low.Task()),
    (
        TypeError,
        "Event.wait() takes 1 positional argument but 2 were given",
        lambda: untyped.Event().wait(3),
    ),
)


@outside(TypeError, "")
def a_subclass_of_a_final_class() -> None:
    """Trio: "<the subclass> does not support subclassing"."""
    type("Mine", (Event,), {})


for made in (Event, Lock, ParkingLot, ctrio.CancelScope):
    name = made.__name__
    cases(
        outside,
        (
            AttributeError,
            f"'{name}' object has no attribute 'nope'",
            lambda made=made: made().nope,
        ),
        (
            TypeError,
            f"'{name}' object is not iterable",
            lambda made=made: list(made()),
        ),
    )


@outside(AttributeError, "'CancelScope' object has no attribute 'nope'")
def an_attribute_that_a_scope_has_no_room_for() -> None:
    ctrio.CancelScope().nope = 1  # type: ignore[attr-defined]


# --- using them -----------------------------------------------------------------------

OWNED = "can't release a Lock you don't own"


@inside(RuntimeError, OWNED)
async def releasing_a_lock_that_is_free() -> None:
    Lock().release()


@inside(RuntimeError, OWNED)
async def releasing_a_fifo_lock_that_is_free() -> None:
    StrictFIFOLock().release()


@inside(RuntimeError, OWNED)
async def releasing_a_lock_of_another_s() -> None:
    lock = Lock()
    async with ctrio.open_nursery() as nursery:
        await nursery.start(hold, lock)
        nursery.cancel_scope.shield = True
        try:
            lock.release()
        except RuntimeError as error:
            kept = error
        nursery.cancel_scope.cancel()
    raise kept


async def hold(lock: Lock, task_status: Any) -> None:
    async with lock:
        task_status.started()
        await ctrio.sleep_forever()


for locks in (Lock, StrictFIFOLock):
    for acquire in ("acquire", "acquire_nowait"):

        @inside(RuntimeError, "attempt to re-acquire an already held Lock")
        async def a_lock_that_is_taken_twice(
            locks: Any = locks, acquire: str = acquire
        ) -> None:
            lock = locks()
            lock.acquire_nowait()
            result = getattr(lock, acquire)()
            if result is not None:
                await result


@inside(ctrio.WouldBlock, "")
async def a_semaphore_of_nothing() -> None:
    Semaphore(0).acquire_nowait()


@inside(ValueError, "semaphore released too many times")
async def a_semaphore_above_its_maximum() -> None:
    Semaphore(1, max_value=1).release()


for text, method in [
    ("must hold the lock to notify", "notify"),
    ("must hold the lock to notify", "notify_all"),
    ("must hold the lock to wait", "wait"),
    (OWNED, "release"),
]:

    @inside(RuntimeError, text)
    async def a_condition_without_its_lock(method: str = method) -> None:
        result = getattr(Condition(), method)()
        if result is not None:
            await result


def order(kind: str) -> str:
    return f"'<' not supported between instances of 'int' and '{kind}'"


for count, kind in [("x", "str"), (None, "NoneType"), ([], "list"), (1j, "complex")]:
    cases(
        outside,
        (
            TypeError,
            order(kind),
            lambda count=count: ParkingLot().unpark(count=count),
        ),
        (
            TypeError,
            order(kind),
            lambda count=count: ParkingLot().repark(ParkingLot(), count=count),
        ),
    )

    @inside(TypeError, order(kind))
    async def notifying_so_many(count: Any = count) -> None:
        condition = Condition()
        await condition.acquire()
        condition.notify(count)


WHOLE = "Cannot pop a non-integer number of tasks."
cases(
    outside,
    (ValueError, WHOLE, lambda: ParkingLot().unpark(count=1.0)),
    (ValueError, WHOLE, lambda: ParkingLot().unpark(count=nan)),
    (ValueError, WHOLE, lambda: ParkingLot().repark(ParkingLot(), count=0.5)),
    (
        TypeError,
        f"ParkingLot.repark() {MISSING} 'new_lot'",
        lambda: untyped.lowlevel.ParkingLot().repark(),
    ),
    (
        TypeError,
        "ParkingLot.unpark() takes 1 positional argument but 2 were given",
        lambda: untyped.lowlevel.ParkingLot().unpark(3),
    ),
)


HOLDS_ONE = "this borrower is already holding one of this CapacityLimiter's tokens"
HOLDS_NONE = "this borrower isn't holding any of this CapacityLimiter's tokens"


async def twice(method: str, *args: object) -> None:
    limiter = CapacityLimiter(3)
    for _ in range(2):
        result = getattr(limiter, method)(*args)
        if result is not None:
            await result


for method, args in [
    ("acquire", ()),
    ("acquire_nowait", ()),
    ("acquire_on_behalf_of", (3,)),
    ("acquire_on_behalf_of_nowait", (3,)),
]:
    inside(RuntimeError, HOLDS_ONE)(
        lambda method=method, args=args: twice(method, *args)
    )
    if args:
        inside(TypeError, "unhashable type: 'list'")(
            lambda method=method: twice(method, [])
        )
cases(
    inside,
    (
        RuntimeError,
        HOLDS_NONE,
        lambda: CapacityLimiter(1).release(),
    ),
    (
        RuntimeError,
        HOLDS_NONE,
        lambda: CapacityLimiter(1).release_on_behalf_of("x"),
    ),
    (
        TypeError,
        "unhashable type: 'list'",
        lambda: CapacityLimiter(1).release_on_behalf_of([]),
    ),
)


@inside(ctrio.WouldBlock, "")
async def a_limiter_whose_tokens_are_lent() -> None:
    limiter = CapacityLimiter(1)
    limiter.acquire_on_behalf_of_nowait(1)
    limiter.acquire_on_behalf_of_nowait(2)


# --- breakers -------------------------------------------------------------------------

for task, kind in [(3, "int"), ("x", "str"), (None, "NoneType"), ([], "list")]:
    cases(
        inside,
        (
            AttributeError,
            f"'{kind}' object has no attribute 'coro'",
            lambda task=task: low.add_parking_lot_breaker(task, ParkingLot()),
        ),
    )
UNREGISTERED = "Attempted to remove task as breaker for a lot it is not registered for"


@inside(RuntimeError, UNREGISTERED)
async def a_task_that_does_not_answer_for_a_lot() -> None:
    low.remove_parking_lot_breaker(current_task(), ParkingLot())


@inside(RuntimeError, UNREGISTERED)
async def a_number_that_does_not_answer_for_a_lot() -> None:
    low.remove_parking_lot_breaker(3, ParkingLot())


@inside(
    ctrio.BrokenResourceError, "Attempted to add already exited task as lot breaker."
)
async def a_task_that_has_exited() -> None:
    tasks = []

    async def child() -> None:
        tasks.append(current_task())

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(child)
    low.add_parking_lot_breaker(tasks[0], ParkingLot())


# --- channels -------------------------------------------------------------------------


def channel(setup: str, *calls: Callable[[Any, Any], Any]) -> Callable[[], Any]:
    """What the last call leads to, after the others."""

    async def case() -> None:
        send, receive = open_memory_channel[int](0)
        for call in calls:
            result = call(send, receive)
            if hasattr(result, "__await__"):
                await result

    case.__name__ = setup
    return case


def close_send(send: Any, receive: Any) -> None:
    send.close()


def close_receive(send: Any, receive: Any) -> None:
    receive.close()


for setup, error, calls in [
    ("nobody_receives", ctrio.WouldBlock, [lambda s, r: s.send_nowait(1)]),
    ("nobody_sends", ctrio.WouldBlock, [lambda s, r: r.receive_nowait()]),
    ("sending_is_over", ctrio.EndOfChannel, [close_send, lambda s, r: r.receive()]),
    (
        "sending_is_over_now",
        ctrio.EndOfChannel,
        [close_send, lambda s, r: r.receive_nowait()],
    ),
    (
        "sending_is_over_in_a_loop",
        StopAsyncIteration,
        [close_send, lambda s, r: r.__anext__()],
    ),
    (
        "receiving_is_over",
        ctrio.BrokenResourceError,
        [close_receive, lambda s, r: s.send(1)],
    ),
    (
        "receiving_is_over_now",
        ctrio.BrokenResourceError,
        [close_receive, lambda s, r: s.send_nowait(1)],
    ),
    (
        "a_closed_end_sends",
        ctrio.ClosedResourceError,
        [close_send, lambda s, r: s.send(1)],
    ),
    (
        "a_closed_end_sends_now",
        ctrio.ClosedResourceError,
        [close_send, lambda s, r: s.send_nowait(1)],
    ),
    (
        "a_closed_end_receives",
        ctrio.ClosedResourceError,
        [close_receive, lambda s, r: r.receive()],
    ),
    (
        "a_closed_end_receives_in_a_loop",
        ctrio.ClosedResourceError,
        [close_receive, lambda s, r: r.__anext__()],
    ),
    (
        "a_closed_end_is_cloned",
        ctrio.ClosedResourceError,
        [close_send, lambda s, r: s.clone()],
    ),
    (
        "another_closed_end_is_cloned",
        ctrio.ClosedResourceError,
        [close_receive, lambda s, r: r.clone()],
    ),
]:
    inside(error, "")(channel(setup, *calls))

for method, text in [
    ("send", "MemorySendChannel.send() " + MISSING + " 'value'"),
    ("send_nowait", "MemorySendChannel.send_nowait() " + MISSING + " 'value'"),
]:
    outside(TypeError, text)(
        lambda method=method: getattr(open_memory_channel[int](0)[0], method)()
    )
outside(
    TypeError,
    "MemoryReceiveChannel.receive() takes 1 positional argument but 2 were given",
)(lambda: untyped.open_memory_channel(0)[1].receive(3))


# --- variables, instruments -----------------------------------------------------------

inside(LookupError, "<RunVar name='v'>")(lambda: RunVar("v").get())
outside(RuntimeError, "Cannot be used outside of a run context")(
    lambda: RunVar("v").get()
)
outside(RuntimeError, "Cannot be used outside of a run context")(
    lambda: RunVar[int]("v").set(1)
)
inside(TypeError, "token must not be none")(lambda: reset(None))
inside(AttributeError, "'int' object has no attribute 'redeemed'")(lambda: reset(3))
inside(TypeError, "RunVar.set() " + MISSING + " 'value'")(lambda: low.RunVar("v").set())


def reset(token: Any) -> None:
    RunVar[int]("v").reset(token)


@inside(ValueError, "token has already been used")
async def a_variable_reset_twice() -> None:
    variable = RunVar[int]("v")
    token = variable.set(1)
    variable.reset(token)
    variable.reset(token)


@inside(ValueError, "token is not for us")
async def the_token_of_another_variable() -> None:
    RunVar[int]("v").reset(RunVar[int]("w").set(1))


class Counts(ctrio.abc.Instrument):
    pass


cases(
    inside,
    (KeyError, "[]", lambda: low.remove_instrument([])),
    (KeyError, "3", lambda: low.remove_instrument(3)),
    (
        TypeError,
        f"remove_instrument() {MISSING} 'instrument'",
        lambda: low.remove_instrument(),
    ),
    (TypeError, "unhashable type: 'list'", lambda: low.add_instrument([])),
)


@inside(TypeError, "unhashable type: 'list'")
async def an_instrument_without_a_hash_beside_another() -> None:
    low.add_instrument(Counts())
    low.remove_instrument([])


@pytest.mark.parametrize(("case", "error", "text"), outside.cases)
def test_outside_of_a_run(case: Case, error: type[BaseException], text: str) -> None:
    check_outside(case, error, text)


@pytest.mark.parametrize(("case", "error", "text"), inside.cases)
def test_in_a_task(case: Case, error: type[BaseException], text: str) -> None:
    check_inside(case, error, text)
