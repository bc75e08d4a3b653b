"""Memory channels: both kinds of ends, and the state between them."""

from __future__ import annotations

import gc
import math
import re
import weakref
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from typing import Any

import pytest

import ctrio
from ctrio import MemoryReceiveChannel, MemorySendChannel, open_memory_channel
from ctrio._channel import MemoryChannelState
from ctrio._statistics import MemoryChannelStatistics
from ctrio.testing import assert_checkpoints, trio_test, wait_all_tasks_blocked


class Item:
    """Something that can be weakly referenced."""


def test_the_classes_are_trios_final_and_not_for_the_public() -> None:
    for name in ("MemorySendChannel", "MemoryReceiveChannel"):
        cls = getattr(ctrio, name)
        assert (cls.__module__, cls.__qualname__) == ("trio", name)
        text = rf"^trio\.{name} has no public constructor$"
        with pytest.raises(TypeError, match=text):
            cls(MemoryChannelState(1))
        with pytest.raises(TypeError):
            type("Sub", (cls,), {})
        assert repr(cls[int]) == f"trio.{name}[int]"


def test_ends_can_be_made_of_a_state_by_those_who_know_how() -> None:
    state = MemoryChannelState(1)
    send = MemorySendChannel._create(state)
    receive = MemoryReceiveChannel[int]._create(state)
    assert (state.open_send_channels, state.open_receive_channels) == (1, 1)
    send.send_nowait(1)
    assert receive.receive_nowait() == 1
    with pytest.raises(TypeError, match="state must be a MemoryChannelState"):
        MemorySendChannel._create(3)


@pytest.mark.parametrize("size", [1.0, "1", None, -math.inf])
def test_a_size_is_a_whole_number_or_infinite(size: Any) -> None:
    text = r"^max_buffer_size must be an integer or math\.inf$"
    with pytest.raises(TypeError, match=text):
        open_memory_channel(size)


@pytest.mark.parametrize("size", [-1, -(10**30)])
def test_a_size_is_not_negative(size: int) -> None:
    with pytest.raises(ValueError, match=r"^max_buffer_size must be >= 0$"):
        open_memory_channel(size)


@pytest.mark.parametrize("size", [0, 1, 10**30, math.inf])
def test_the_state_says_how_big_the_buffer_is(size: float) -> None:
    send, receive = open_memory_channel[int](size)
    assert send._state is receive._state
    assert send._state.max_buffer_size == size
    expected = MemoryChannelStatistics(0, size, 1, 1, 0, 0, 0)
    assert send.statistics() == receive.statistics() == expected
    assert send._state.statistics() == expected


def test_the_ends_say_which_buffer_they_use() -> None:
    send, receive = open_memory_channel[int](0)
    at = f"{id(send._state):#x}"
    assert repr(send) == f"<send channel at {id(send):#x}, using buffer at {at}>"
    text = f"<receive channel at {id(receive):#x}, using buffer at {at}>"
    assert repr(receive) == text


@trio_test
async def test_the_state_can_be_looked_at() -> None:
    send, receive = open_memory_channel[object](2)
    state = send._state
    async with ctrio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(send.send, number)
            await wait_all_tasks_blocked()
        tasks = nursery.child_tasks
        assert send._tasks == set(state.send_tasks) == tasks
        assert state.send_tasks == dict(zip(state.send_tasks, (2, 3), strict=True))
        assert type(state.data) is deque and state.data == deque([0, 1])
        assert type(state.send_tasks) is OrderedDict
        assert state.peak_buffer_used == 2
        assert repr(state) == (
            "MemoryChannelState(max_buffer_size=2, data=deque([0, 1]), "
            "open_send_channels=1, open_receive_channels=1, "
            f"send_tasks={state.send_tasks!r}, receive_tasks=OrderedDict(), "
            "peak_buffer_used=2)"
        ).replace("OrderedDict()", repr(OrderedDict()))
        state.data.clear()  # a copy
        assert [receive.receive_nowait() for _ in range(4)] == [0, 1, 2, 3]
        nursery.start_soon(receive.receive)
        await wait_all_tasks_blocked()
        assert receive._tasks == set(state.receive_tasks) == nursery.child_tasks
        assert list(state.receive_tasks.values()) == [None]
        send.send_nowait(state)
        assert send._tasks == receive._tasks == set()
    await send.send(state)
    assert repr(state).count("MemoryChannelState(") == 2  # and not for ever


# --- sending and receiving ------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 3, math.inf])
@trio_test
async def test_items_arrive_in_the_order_they_were_sent(size: float) -> None:
    send, receive = open_memory_channel[int](size)
    got: list[int] = []

    async def produce() -> None:
        async with send:
            for number in range(20):
                await send.send(number)

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(produce)
        async for number in receive:
            got.append(number)
            if number % 3 == 0:
                await ctrio.lowlevel.checkpoint()
    assert got == list(range(20))


@trio_test
async def test_a_buffer_may_grow_while_its_beginning_is_in_the_middle() -> None:
    send, receive = open_memory_channel[int](math.inf)
    expected = 0
    for number in range(500):
        send.send_nowait(number)
        if number % 3 == 0:
            assert receive.receive_nowait() == expected
            expected += 1
    left = list(range(expected, 500))
    assert list(send._state.data) == left
    assert [receive.receive_nowait() for _ in left] == left


@trio_test
async def test_sending_and_receiving_are_checkpoints() -> None:
    send, receive = open_memory_channel[int](1)
    with assert_checkpoints():
        await send.send(value=1)
    with pytest.raises(ctrio.WouldBlock):
        send.send_nowait(value=2)
    with assert_checkpoints():
        assert await receive.receive() == 1
    with pytest.raises(ctrio.WouldBlock):
        receive.receive_nowait()
    with pytest.raises(TypeError, match="missing 1 required"):
        send.send()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing 1 required"):
        send.send_nowait()  # type: ignore[call-arg]


@trio_test
async def test_any_object_can_be_sent() -> None:
    send, receive = open_memory_channel[object](0)
    values: list[object] = [None, (1, 2), (), StopIteration(3), KeyError, send]
    got: list[object] = []

    async def consume() -> None:
        while len(got) < len(values):
            got.append(await receive.receive())

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(consume)
        for value in values:
            await send.send(value)
    assert all(one is other for one, other in zip(got, values, strict=True))


@trio_test
async def test_a_cancelled_send_has_sent_nothing() -> None:
    send, receive = open_memory_channel[Item](1)
    item = Item()
    ref = weakref.ref(item)
    with ctrio.CancelScope() as scope:
        scope.cancel()
        await send.send(item)
    assert scope.cancelled_caught and not send._state.data
    send.send_nowait(Item())
    with ctrio.CancelScope() as scope:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(send.send, item)
            await wait_all_tasks_blocked()
            scope.cancel()
    assert receive.receive_nowait() is not item
    del item
    gc.collect()
    assert ref() is None
    with pytest.raises(ctrio.WouldBlock):
        receive.receive_nowait()


@trio_test
async def test_a_cancelled_receive_has_taken_nothing() -> None:
    send, receive = open_memory_channel[int](1)
    send.send_nowait(1)
    with ctrio.CancelScope() as scope:
        scope.cancel()
        await receive.receive()
    assert list(send._state.data) == [1]
    assert receive.receive_nowait() == 1
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(receive.receive)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    send.send_nowait(2)
    assert receive.receive_nowait() == 2


@trio_test
async def test_what_is_delivered_arrives_though_cancelled_afterwards() -> None:
    send, receive = open_memory_channel[int](0)
    got: list[int] = []

    async def consume() -> None:
        with scope:
            got.append(await receive.receive())

    scope = ctrio.CancelScope()
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(consume)
        await wait_all_tasks_blocked()
        send.send_nowait(1)
        scope.cancel()
    assert got == [1]
    assert not scope.cancelled_caught


@trio_test
async def test_an_item_is_held_by_nobody_else() -> None:
    send, receive = open_memory_channel[Item](1)
    for _ in range(2):
        item = Item()
        ref = weakref.ref(item)
        await send.send(item)
        del item
        item = await receive.receive()
        assert ref() is item
        del item
        assert ref() is None


# --- iteration ------------------------------------------------------------------------


@trio_test
async def test_iteration_ends_with_the_channel_and_no_other_error() -> None:
    send, receive = open_memory_channel[int](1)
    iterator: AsyncIterator[int] = aiter(receive)
    assert iterator is receive
    send.send_nowait(1)
    send.close()
    with assert_checkpoints():
        assert await receive.__anext__() == 1
    with pytest.raises(StopAsyncIteration):
        await anext(receive)
    receive.close()
    with pytest.raises(ctrio.ClosedResourceError):
        await anext(receive)


# --- closing --------------------------------------------------------------------------


CLOSED, END, BROKEN = (
    ctrio.ClosedResourceError,
    ctrio.EndOfChannel,
    ctrio.BrokenResourceError,
)


@pytest.mark.parametrize(
    ("side", "of_send", "of_receive"), [(0, CLOSED, END), (1, BROKEN, CLOSED)]
)
@trio_test
async def test_a_closed_end_stays_closed(
    side: int, of_send: type[Exception], of_receive: type[Exception]
) -> None:
    send, receive = pair = open_memory_channel[int](1)
    end = pair[side]
    assert not end._closed
    end.close()
    end.close()
    assert end._closed
    with assert_checkpoints():
        await end.aclose()
    with pytest.raises(CLOSED) as caught:
        end.clone()
    assert caught.value.args == ()
    for _ in range(2):
        with pytest.raises(of_send):
            await send.send(1)
        with pytest.raises(of_send):
            send.send_nowait(1)
        with pytest.raises(of_receive):
            await receive.receive()
        with pytest.raises(of_receive):
            receive.receive_nowait()


@trio_test
async def test_aclose_closes_before_it_is_cancelled() -> None:
    send, receive = open_memory_channel[int](1)
    with ctrio.CancelScope() as scope:
        scope.cancel()
        async with send:
            pass
    assert scope.cancelled_caught and send._closed
    with receive as same:
        assert same is receive
    assert receive._closed


@trio_test
async def test_aenter_is_no_checkpoint() -> None:
    send, receive = open_memory_channel[int](1)
    with ctrio.CancelScope() as scope:
        scope.cancel()
        assert await send.__aenter__() is send
        assert await receive.__aenter__() is receive
    assert not scope.cancelled_caught
    with pytest.raises(TypeError, match=r"^MemorySendChannel\.__aexit__\(\) missing 1"):
        send.__aexit__(None, None)  # type: ignore[call-arg]
    with pytest.raises(
        TypeError, match=r"^MemoryReceiveChannel\.__exit__\(\) missing 3"
    ):
        receive.__exit__()  # type: ignore[call-arg]


@trio_test
async def test_closing_an_end_wakes_who_waits_on_it() -> None:
    send, receive = open_memory_channel[int](0)
    errors: list[str] = []

    async def expect(call: Any, error: type[Exception], *args: object) -> None:
        with pytest.raises(error) as caught:
            await call(*args)
        assert caught.value.args == ()
        errors.append(error.__name__)

    async with ctrio.open_nursery() as nursery:
        clone = send.clone()
        nursery.start_soon(expect, clone.send, ctrio.ClosedResourceError, 1)
        nursery.start_soon(expect, send.send, ctrio.BrokenResourceError, 2)
        await wait_all_tasks_blocked()
        clone.close()
        await wait_all_tasks_blocked()
        assert errors == ["ClosedResourceError"]
        receive.close()
    send, receive = open_memory_channel[int](0)
    async with ctrio.open_nursery() as nursery:
        other = receive.clone()
        nursery.start_soon(expect, other.receive, ctrio.ClosedResourceError)
        nursery.start_soon(expect, receive.receive, ctrio.EndOfChannel)
        nursery.start_soon(expect, receive.__anext__, StopAsyncIteration)
        await wait_all_tasks_blocked()
        await other.aclose()
        await wait_all_tasks_blocked()
        assert errors[-1] == "ClosedResourceError"
        send.close()
    assert sorted(errors[-2:]) == ["EndOfChannel", "StopAsyncIteration"]


@trio_test
async def test_the_last_receiver_takes_the_buffer_with_it() -> None:
    send, receive = open_memory_channel[Item](2)
    item = Item()
    ref = weakref.ref(item)
    send.send_nowait(item)
    del item
    clone = receive.clone()
    receive.close()
    assert ref() is not None
    clone.close()
    assert ref() is None
    assert send.statistics().current_buffer_used == 0


@trio_test
async def test_what_dies_with_the_buffer_may_use_the_channel() -> None:
    send, receive = open_memory_channel[object](3)
    errors: list[str] = []

    class Meddler:
        def __del__(self) -> None:
            for call in (lambda: send.send_nowait(1), receive.receive_nowait):
                try:
                    call()
                except Exception as error:
                    errors.append(type(error).__name__)

    for _ in range(3):
        send.send_nowait(Meddler())
    receive.close()
    assert errors == ["BrokenResourceError", "ClosedResourceError"] * 3


def test_an_end_that_is_dropped_stays_open() -> None:
    send, receive = open_memory_channel[int](0)
    del send
    with pytest.raises(ctrio.WouldBlock):
        receive.receive_nowait()


@trio_test
async def test_cycles_through_the_buffer_are_collected() -> None:
    send, receive = open_memory_channel[object](2)
    item = Item()
    item.end = send  # type: ignore[attr-defined]
    send.send_nowait(item)
    send.send_nowait(receive)
    ref = weakref.ref(item)
    del send, receive, item
    gc.collect()
    assert ref() is None


def test_ends_can_be_weakly_referenced() -> None:
    send, receive = open_memory_channel[int](0)
    refs = [weakref.ref(send), weakref.ref(receive), weakref.ref(send._state)]
    assert re.search("open_send_channels=1", repr(refs[2]()))
    del send, receive
    assert [ref() for ref in refs] == [None] * 3
