"""`open_memory_channel` as a class, and `as_safe_channel`."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import AsyncGenerator
from math import inf
from typing import Any

import pytest

import ctrio
import ctrio.testing
from ctrio import as_safe_channel, open_memory_channel
from ctrio.testing import trio_test

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup


@trio_test
async def test_a_channel_may_be_opened_for_a_type() -> None:
    for opened in (open_memory_channel(1), open_memory_channel[int](1)):
        assert type(opened) is tuple
        send, receive = opened
        send.send_nowait(1)
        assert await receive.receive() == 1
    assert isinstance(send, ctrio.abc.SendChannel)
    assert isinstance(receive, ctrio.abc.ReceiveChannel)
    assert not isinstance(send, ctrio.abc.ReceiveChannel)
    assert ctrio.MemorySendChannel[int]


def test_opening_a_channel_runs_no_python_code() -> None:
    calls: list[object] = []
    sys.setprofile(lambda frame, event, arg: calls.append((event, frame.f_code)))
    try:
        open_memory_channel(1)
        open_memory_channel[int](1)
    finally:
        sys.setprofile(None)
    assert [call for call in calls if call[0] == "call"] == []  # type: ignore[index]


def test_what_opens_a_channel_is_a_class_of_tuples_with_a_signature() -> None:
    opener: Any = open_memory_channel
    assert issubclass(opener, tuple)
    assert opener.__module__ == "trio"
    assert opener.__qualname__ == opener.__name__ == "open_memory_channel"
    assert list(inspect.signature(opener).parameters) == ["max_buffer_size"]
    assert typing.get_origin(opener[int]) is opener
    assert "how many objects" in opener.__doc__.lower()
    send, _ = opener(max_buffer_size=3)
    assert send.statistics().max_buffer_size == 3
    with pytest.raises(TypeError, match=r"__new__\(\) missing 1 required positional"):
        opener()
    with pytest.raises(TypeError):
        type("Mine", (opener,), {})


@pytest.mark.parametrize("size", [None, "1", 1.0, -inf])
def test_a_buffer_needs_a_size(size: object) -> None:
    text = "max_buffer_size must be an integer or math.inf"
    with pytest.raises(TypeError, match=text):
        open_memory_channel(size)  # type: ignore[arg-type]


def test_a_buffer_cannot_be_smaller_than_nothing() -> None:
    with pytest.raises(ValueError, match="max_buffer_size must be >= 0"):
        open_memory_channel(-1)


@as_safe_channel
async def counting(
    start: int, *, stop: int, events: list[object]
) -> AsyncGenerator[int, None]:
    """Count."""
    try:
        for number in range(start, stop):
            events.append(number)
            yield number
        events.append("end")
    finally:
        events.append("closed")


@trio_test
async def test_it_gives_what_the_generator_yields() -> None:
    events: list[object] = []
    async with counting(1, stop=4, events=events) as channel:
        assert isinstance(channel, ctrio.abc.ReceiveChannel)
        assert [number async for number in channel] == [1, 2, 3]
        with pytest.raises(ctrio.EndOfChannel):
            await channel.receive()
    assert events == [1, 2, 3, "end", "closed"]
    assert counting.__doc__ == "Count."


@trio_test
async def test_the_generator_does_nothing_before_somebody_asks() -> None:
    events: list[object] = []
    async with counting(1, stop=4, events=events) as channel:
        await ctrio.testing.wait_all_tasks_blocked()
        assert events == []
        assert await channel.receive() == 1
        await ctrio.testing.wait_all_tasks_blocked()
        assert events == [1]
    assert events == [1, "closed"]


@trio_test
async def test_closing_the_channel_closes_the_generator() -> None:
    events: list[object] = []
    async with counting(1, stop=4, events=events) as channel:
        assert await channel.receive() == 1
        await channel.aclose()
        with pytest.raises(ctrio.ClosedResourceError):
            await channel.receive()
    assert events == [1, "closed"]


@trio_test
async def test_errors_on_either_side_come_out_as_they_are() -> None:
    @as_safe_channel
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("of the generator")

    with pytest.raises(ValueError, match="of the generator"):
        async with failing() as channel:
            async for _ in channel:
                pass
    events: list[object] = []
    with pytest.raises(KeyError, match="of the block"):
        async with counting(1, stop=4, events=events) as channel:
            await channel.receive()
            raise KeyError("of the block")
    assert events == [1, "closed"]


@trio_test
async def test_errors_on_both_sides_stay_in_a_group() -> None:
    @as_safe_channel
    async def failing() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            raise ValueError("cleaning up")

    with pytest.raises(ExceptionGroup) as caught:
        async with failing() as channel:
            await channel.receive()
            raise KeyError("block")
    assert sorted(map(repr, caught.value.exceptions)) == [
        "KeyError('block')",
        "ValueError('cleaning up')",
    ]
    assert caught.value.__suppress_context__
    if sys.version_info >= (3, 11):
        assert "unable to unwrap" in caught.value.__notes__[0]


@trio_test
async def test_a_nursery_in_the_generator_does_not_disturb_its_end() -> None:
    @as_safe_channel
    async def in_nursery() -> AsyncGenerator[int, None]:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            yield 1
            yield 2

    async with in_nursery() as channel:
        assert await channel.receive() == 1


@trio_test
async def test_two_generator_exits_are_one_too_many() -> None:
    @as_safe_channel
    async def exiting() -> AsyncGenerator[int, None]:
        try:
            yield 1
        except GeneratorExit:
            raise BaseExceptionGroup(
                "", [GeneratorExit(), BaseExceptionGroup("", [GeneratorExit()])]
            ) from None

    with pytest.raises(BaseExceptionGroup) as caught:
        async with exiting() as channel:
            await channel.receive()
    (surplus,) = caught.value.exceptions
    assert isinstance(surplus, AssertionError)


@trio_test
async def test_cancelled_around_it_everything_is_closed() -> None:
    events: list[object] = []
    with ctrio.CancelScope() as scope:
        async with counting(1, stop=4, events=events) as channel:
            await channel.receive()
            scope.cancel()
            await ctrio.sleep_forever()
    assert scope.cancelled_caught
    assert events == [1, "closed"]
