"""Checks that a stream does what the interfaces in `trio.abc` promise.

Each check is a function of its own that gets a fresh pair of connected streams, and
is named after what it checks.
"""

from __future__ import annotations

import random
import sys
from contextlib import contextmanager

from .._abc import HalfCloseableStream, ReceiveStream, SendStream, Stream
from .._core import (
    BrokenResourceError,
    BusyResourceError,
    Cancelled,
    CancelScope,
    ClosedResourceError,
    open_nursery,
    wait_all_tasks_blocked,
)
from .._highlevel_generic import aclose_forcefully
from .._util import TYPE_CHECKING
from ._checkpoints import assert_checkpoints

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence
    from typing import Any, TypeAlias, TypeVar

    from .._abc import AsyncResource

    First = TypeVar("First", bound=AsyncResource)
    Second = TypeVar("Second", bound=AsyncResource)
    Maker: TypeAlias = Callable[[], Awaitable[tuple[First, Second]]]
    Check: TypeAlias = Callable[[First, Second], Awaitable[None]]

_DUPLEX_SIZE = 2**20
_DUPLEX_CHUNK_MAX = 2**14


@contextmanager
def _assert_raises(
    expected_exc: type[BaseException], wrapped: bool = False
) -> Generator[None, None, None]:
    """Check that a block raises an exception, plain or as the only one of a group."""
    __tracebackhide__ = True
    try:
        yield
    except BaseExceptionGroup as group:
        assert wrapped, "caught exceptiongroup, but expected an unwrapped exception"
        assert len(group.exceptions) == 1
        assert isinstance(group.exceptions[0], expected_exc)
    except expected_exc:
        assert not wrapped, "caught exception, but expected an exceptiongroup"
    else:
        raise AssertionError(f"expected exception: {expected_exc}")


async def _run_checks(
    maker: Maker[First, Second], checks: Sequence[Check[First, Second]]
) -> None:
    for check in checks:
        first, second = await maker()
        try:
            await check(first, second)
        finally:
            try:
                await aclose_forcefully(first)
            finally:
                await aclose_forcefully(second)


async def _together(*calls: tuple[Any, ...]) -> None:
    """Run async functions with their arguments at the same time."""
    async with open_nursery() as nursery:
        for function, *args in calls:
            nursery.start_soon(function, *args)


# What each call has to be, whatever else it does: a checkpoint.


async def _send(stream: SendStream, data: bytes | bytearray | memoryview) -> None:
    with assert_checkpoints():
        result: object = await stream.send_all(data)  # type: ignore[func-returns-value]
        assert result is None


async def _receive(
    stream: ReceiveStream, max_bytes: int | None = None
) -> bytes | bytearray:
    with assert_checkpoints():
        return await stream.receive_some(max_bytes)


async def _expect(stream: ReceiveStream, data: bytes) -> None:
    assert await _receive(stream, 1) == data


async def _wait_for_room(stream: SendStream) -> None:
    with assert_checkpoints():
        await stream.wait_send_all_might_not_block()


async def _close(resource: AsyncResource) -> None:
    with assert_checkpoints():
        await resource.aclose()


async def _send_until_broken(stream: SendStream) -> None:
    with _assert_raises(BrokenResourceError):
        while True:
            await _send(stream, b"x" * 100)


async def _close_later(resource: AsyncResource) -> None:
    await wait_all_tasks_blocked()
    await aclose_forcefully(resource)


# One way.


async def _check_data_arrives(s: SendStream, r: ReceiveStream) -> None:
    assert isinstance(s, SendStream)
    assert isinstance(r, ReceiveStream)

    async def send_nothing_first() -> None:
        await _send(s, b"")
        await _send(s, b"y")

    await _together((_send, s, b"x"), (_expect, r, b"x"))
    await _together((send_nothing_first,), (_expect, r, b"y"))
    await _together((_send, s, bytearray(b"1")), (_expect, r, b"1"))
    await _together((_send, s, memoryview(b"2")), (_expect, r, b"2"))
    for arguments in ((), (None,)):
        async with open_nursery() as nursery:
            nursery.start_soon(_send, s, b"x")
            with assert_checkpoints():
                assert await r.receive_some(*arguments) == b"x"


async def _check_bad_sizes_are_refused(s: SendStream, r: ReceiveStream) -> None:
    bad: Any
    for bad, error in ((-1, ValueError), (0, ValueError), (1.5, TypeError)):
        with _assert_raises(error):
            await r.receive_some(bad)


async def _check_one_receiver_at_a_time(s: SendStream, r: ReceiveStream) -> None:
    with _assert_raises(BusyResourceError, wrapped=True):
        await _together((_receive, r, 1), (_receive, r, 1))


async def _check_there_is_room_when_somebody_receives(
    s: SendStream, r: ReceiveStream
) -> None:
    async with open_nursery() as nursery:
        nursery.start_soon(_receive, r, 1)
        await _wait_for_room(s)
        nursery.cancel_scope.cancel()


async def _check_closed_ends(s: SendStream, r: ReceiveStream) -> None:
    await _together((_send_until_broken, s), (_close, r))
    with _assert_raises(BrokenResourceError):
        await _send(s, b"x" * 100)
    with _assert_raises(ClosedResourceError):
        await _receive(r, 4096)
    for resource in (r, r, s):  # closing twice is fine
        await _close(resource)
    for data in (b"x" * 100, b""):
        with _assert_raises(ClosedResourceError):
            await _send(s, data)
    with _assert_raises(ClosedResourceError):
        await _wait_for_room(s)
    for _ in range(2):
        await _close(s)


async def _check_the_end_arrives(s: SendStream, r: ReceiveStream) -> None:
    async def send_then_close() -> None:
        await _send(s, b"y")
        await _close(s)

    async def receive_then_close() -> None:
        await wait_all_tasks_blocked()
        await _expect(r, b"y")
        await _expect(r, b"")
        await _close(r)

    await _together((send_then_close,), (receive_then_close,))


async def _check_forced_close_of_receiver(s: SendStream, r: ReceiveStream) -> None:
    await aclose_forcefully(r)
    await _send_until_broken(s)
    with _assert_raises(ClosedResourceError):
        await _receive(r, 4096)


async def _check_forced_close_of_sender(s: SendStream, r: ReceiveStream) -> None:
    await aclose_forcefully(s)
    with _assert_raises(ClosedResourceError):
        await _send(s, b"123")
    try:  # the other side sees an end or a breakdown
        await _expect(r, b"")
    except BrokenResourceError:
        pass


async def _check_cancelled_close_closes(s: SendStream, r: ReceiveStream) -> None:
    resources: tuple[AsyncResource, ...] = (r, s)
    for resource in resources:
        with CancelScope() as scope:
            scope.cancel()
            await resource.aclose()
    with _assert_raises(ClosedResourceError):
        await _send(s, b"123")
    with _assert_raises(ClosedResourceError):
        await _receive(r, 4096)


async def _check_calls_can_be_cancelled(s: SendStream, r: ReceiveStream) -> None:
    async def expect_cancelled(function: Any, *args: object) -> None:
        with _assert_raises(Cancelled):
            await function(*args)

    with CancelScope() as scope:
        scope.cancel()
        await _together(
            (expect_cancelled, _send, s, b"x"), (expect_cancelled, _receive, r, 1)
        )
    await _together((_close, s), (_close, r))


async def _check_closing_wakes_the_receiver(s: SendStream, r: ReceiveStream) -> None:
    async with open_nursery() as nursery:
        nursery.start_soon(_close_later, r)
        with _assert_raises(ClosedResourceError):
            await r.receive_some(10)


_ONE_WAY: tuple[Check[SendStream, ReceiveStream], ...] = (
    _check_data_arrives,
    _check_bad_sizes_are_refused,
    _check_one_receiver_at_a_time,
    _check_there_is_room_when_somebody_receives,
    _check_closed_ends,
    _check_the_end_arrives,
    _check_forced_close_of_receiver,
    _check_forced_close_of_sender,
    _check_cancelled_close_closes,
    _check_calls_can_be_cancelled,
    _check_closing_wakes_the_receiver,
)


# One way, and the sender has to wait.


async def _check_room_comes_with_receiving(s: SendStream, r: ReceiveStream) -> None:
    events: list[str] = []

    async def wait(scope: CancelScope) -> None:
        events.append("waits")
        await _wait_for_room(s)
        events.append("has room")
        scope.cancel()

    async def receive() -> None:
        await wait_all_tasks_blocked()
        events.append("receives")
        while True:
            await r.receive_some(16384)

    async with open_nursery() as nursery:
        nursery.start_soon(wait, nursery.cancel_scope)
        await wait_all_tasks_blocked()
        nursery.start_soon(receive)
    assert events == ["waits", "receives", "has room"]


async def _check_one_waiter_at_a_time(s: SendStream, r: ReceiveStream) -> None:
    wait = s.wait_send_all_might_not_block
    with _assert_raises(BusyResourceError, wrapped=True):
        await _together((wait,), (wait,))
    with _assert_raises(BusyResourceError, wrapped=True):
        await _together((wait,), (s.send_all, b"123"))


async def _check_one_sender_at_a_time(s: SendStream, r: ReceiveStream) -> None:
    with _assert_raises(BusyResourceError, wrapped=True):
        await _together((s.send_all, b"123"), (s.send_all, b"123"))


async def _wait_for_room_or_breakdown(s: SendStream) -> None:
    try:
        await _wait_for_room(s)
    except BrokenResourceError:
        pass


async def _check_closing_the_receiver_ends_the_wait(
    s: SendStream, r: ReceiveStream
) -> None:
    await _together((_wait_for_room_or_breakdown, s), (_close_later, r))


async def _check_no_wait_for_a_closed_receiver(s: SendStream, r: ReceiveStream) -> None:
    await aclose_forcefully(r)
    await _wait_for_room_or_breakdown(s)


async def _check_closing_wakes_the_sender(s: SendStream, r: ReceiveStream) -> None:
    async with open_nursery() as nursery:
        nursery.start_soon(_close_later, s)
        with _assert_raises(ClosedResourceError):
            await s.send_all(b"xyzzy")


async def _check_closing_ends_the_wait(s: SendStream, r: ReceiveStream) -> None:
    async with open_nursery() as nursery:
        nursery.start_soon(_close_later, s)
        with _assert_raises(ClosedResourceError):
            await s.wait_send_all_might_not_block()


_ONE_WAY_CLOGGED: tuple[Check[SendStream, ReceiveStream], ...] = (
    _check_room_comes_with_receiving,
    _check_one_waiter_at_a_time,
    _check_one_sender_at_a_time,
    _check_closing_the_receiver_ends_the_wait,
    _check_no_wait_for_a_closed_receiver,
    _check_closing_wakes_the_sender,
    _check_closing_ends_the_wait,
)


async def check_one_way_stream(
    stream_maker: Maker[SendStream, ReceiveStream],
    clogged_stream_maker: Maker[SendStream, ReceiveStream] | None,
) -> None:
    """Check a stream of one direction.

    Args:
        stream_maker: An async function that returns a new pair of connected streams:
            one to send, one to receive.
        clogged_stream_maker: The same, but sending waits until something is received.
            Without it nothing is checked that needs such streams.

    Raises:
        AssertionError: The stream breaks a promise.
    """
    await _run_checks(stream_maker, _ONE_WAY)
    if clogged_stream_maker is not None:
        await _run_checks(clogged_stream_maker, _ONE_WAY_CLOGGED)


# Both ways.


async def _send_in_chunks(stream: SendStream, data: bytes, seed: int) -> None:
    sizes = random.Random(seed)
    rest = memoryview(data)
    while rest:
        size = sizes.randint(1, _DUPLEX_CHUNK_MAX)
        await stream.send_all(rest[:size])
        rest = rest[size:]


async def _expect_in_chunks(stream: ReceiveStream, data: bytes, seed: int) -> None:
    sizes = random.Random(seed)
    received = bytearray()
    while len(received) < len(data):
        chunk = await stream.receive_some(sizes.randint(1, _DUPLEX_CHUNK_MAX))
        assert chunk
        received += chunk
    assert received == data


async def _check_both_ways_at_once(left: Stream, right: Stream) -> None:
    assert isinstance(left, Stream)
    assert isinstance(right, Stream)
    there = random.Random(0).randbytes(_DUPLEX_SIZE)
    back = there[::-1]
    await _together(
        (_send_in_chunks, left, there, 0),
        (_send_in_chunks, right, back, 1),
        (_expect_in_chunks, left, back, 2),
        (_expect_in_chunks, right, there, 3),
    )

    async def expect_end() -> None:
        assert await right.receive_some(10) == b""
        await right.aclose()

    await _together((expect_end,), (left.aclose,))


def _flipped(maker: Maker[First, Second]) -> Maker[Second, First]:
    async def flipped_maker() -> tuple[Second, First]:
        first, second = await maker()
        return second, first

    return flipped_maker


async def check_two_way_stream(
    stream_maker: Maker[Stream, Stream],
    clogged_stream_maker: Maker[Stream, Stream] | None,
) -> None:
    """Check a stream of both directions; includes `check_one_way_stream` for each.

    Args:
        stream_maker: An async function that returns a new pair of connected streams.
        clogged_stream_maker: See `check_one_way_stream`; both have to be clogged.

    Raises:
        AssertionError: The stream breaks a promise.
    """
    clogged = clogged_stream_maker
    await check_one_way_stream(stream_maker, clogged)
    await check_one_way_stream(
        _flipped(stream_maker), None if clogged is None else _flipped(clogged)
    )
    await _run_checks(stream_maker, (_check_both_ways_at_once,))


# Half closed.


async def _check_either_end_can_end_sending(
    left: HalfCloseableStream, right: HalfCloseableStream
) -> None:
    assert isinstance(left, HalfCloseableStream)
    assert isinstance(right, HalfCloseableStream)

    async def end(stream: HalfCloseableStream) -> None:
        with assert_checkpoints():
            await stream.send_eof()

    async def send_then_end(stream: HalfCloseableStream) -> None:
        await stream.send_all(b"x")
        await end(stream)

    async def expect_then_end(stream: HalfCloseableStream) -> None:
        await wait_all_tasks_blocked()
        assert await stream.receive_some(10) == b"x"
        assert await stream.receive_some(10) == b""

    await _together((send_then_end, left), (expect_then_end, right))
    with _assert_raises(ClosedResourceError):
        await left.send_all(b"y")
    await end(left)
    await _together((send_then_end, right), (expect_then_end, left))


async def _check_no_end_while_sending(
    left: HalfCloseableStream, right: HalfCloseableStream
) -> None:
    with _assert_raises(BusyResourceError, wrapped=True):
        async with open_nursery() as nursery:
            nursery.start_soon(left.send_all, b"x")
            await wait_all_tasks_blocked()
            nursery.start_soon(left.send_eof)


async def _check_no_end_while_waiting(
    left: HalfCloseableStream, right: HalfCloseableStream
) -> None:
    with _assert_raises(BusyResourceError, wrapped=True):
        async with open_nursery() as nursery:
            nursery.start_soon(left.wait_send_all_might_not_block)
            await wait_all_tasks_blocked()
            nursery.start_soon(left.send_eof)


async def check_half_closeable_stream(
    stream_maker: Maker[HalfCloseableStream, HalfCloseableStream],
    clogged_stream_maker: Maker[HalfCloseableStream, HalfCloseableStream] | None,
) -> None:
    """Check a half-closeable stream; includes `check_two_way_stream`.

    Args:
        stream_maker: An async function that returns a new pair of connected streams.
        clogged_stream_maker: See `check_two_way_stream`.

    Raises:
        AssertionError: The stream breaks a promise.
    """
    clogged = clogged_stream_maker
    await check_two_way_stream(stream_maker, clogged)
    await _run_checks(stream_maker, (_check_either_end_can_end_sending,))
    if clogged is not None:
        await _run_checks(
            clogged, (_check_no_end_while_sending, _check_no_end_while_waiting)
        )
