"""Streams within the process."""

from __future__ import annotations

import pytest

import ctrio
from ctrio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    assert_checkpoints,
    lockstep_stream_one_way_pair,
    lockstep_stream_pair,
    memory_stream_one_way_pair,
    memory_stream_pair,
    memory_stream_pump,
    trio_test,
    wait_all_tasks_blocked,
)


@trio_test
async def test_what_is_sent_can_be_taken_out() -> None:
    stream = MemorySendStream()
    with pytest.raises(ctrio.WouldBlock):
        stream.get_data_nowait()
    with assert_checkpoints():
        await stream.send_all(b"abc")
    await stream.send_all(b"def")
    assert stream.get_data_nowait(2) == b"ab"
    assert await stream.get_data() == b"cdef"
    for bad in (0, -1):
        with pytest.raises(ValueError, match="max_bytes must be >= 1"):
            stream.get_data_nowait(bad)
    with pytest.raises(TypeError):
        await stream.get_data("x")  # type: ignore[arg-type]
    await stream.send_all(b"rest")
    with assert_checkpoints():
        await stream.aclose()
    assert await stream.get_data() == b"rest"
    assert stream.get_data_nowait() == b""
    for use in (stream.send_all(b"x"), stream.wait_send_all_might_not_block()):
        with pytest.raises(ctrio.ClosedResourceError, match="virtual connection close"):
            await use


@trio_test
async def test_hooks_are_called() -> None:
    called: list[str] = []

    def hook(name: str):  # type: ignore[no-untyped-def]
        async def async_hook() -> None:
            called.append(name)

        return async_hook

    send = MemorySendStream(hook("send"), hook("wait"), lambda: called.append("close"))
    await send.send_all(b"x")
    await send.wait_send_all_might_not_block()
    send.close()
    receive = MemoryReceiveStream(hook("receive"), lambda: called.append("close 2"))
    receive.put_data(b"x")
    assert await receive.receive_some() == b"x"
    receive.close()
    assert called == ["send", "wait", "close", "receive", "close 2"]


@trio_test
async def test_what_is_put_in_can_be_received() -> None:
    stream = MemoryReceiveStream()
    received: list[bytes] = []

    async def receive() -> None:
        received.append(bytes(await stream.receive_some(2)))

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        with pytest.raises(ctrio.BusyResourceError, match="another task is using this"):
            await stream.receive_some()
        stream.put_data(b"abc")
    assert received == [b"ab"]
    assert await stream.receive_some() == b"c"
    stream.put_data(b"d")
    stream.put_eof()
    with pytest.raises(ctrio.ClosedResourceError):
        stream.put_data(b"x")
    assert [bytes(chunk) async for chunk in stream] == [b"d"]
    await stream.aclose()
    with pytest.raises(ctrio.ClosedResourceError):
        await stream.receive_some()


@trio_test
async def test_closing_wakes_who_waits_and_drops_the_data() -> None:
    stream = MemoryReceiveStream()

    async def receive() -> None:
        with pytest.raises(ctrio.ClosedResourceError):
            await stream.receive_some()

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        stream.close()


@trio_test
async def test_a_pump_moves_data_and_the_end() -> None:
    send, receive = MemorySendStream(), MemoryReceiveStream()
    assert not memory_stream_pump(send, receive)
    await send.send_all(b"abc")
    assert memory_stream_pump(send, receive, max_bytes=1)
    assert await receive.receive_some() == b"a"
    assert memory_stream_pump(send, receive)
    send.close()
    assert memory_stream_pump(send, receive)
    assert [bytes(chunk) async for chunk in receive] == [b"bc"]
    other = MemorySendStream()
    await other.send_all(b"x")
    with pytest.raises(ctrio.BrokenResourceError, match="MemoryReceiveStream was clos"):
        memory_stream_pump(other, receive)


@trio_test
async def test_one_way_data_goes_by_itself() -> None:
    send, receive = memory_stream_one_way_pair()
    await send.send_all(b"123")
    assert await receive.receive_some() == b"123"
    send.send_all_hook = None
    await send.send_all(b"456")
    with ctrio.CancelScope() as scope:
        scope.cancel()
        await receive.receive_some()
    assert memory_stream_pump(send, receive)
    assert await receive.receive_some() == b"456"
    send.close()
    assert await receive.receive_some() == b""


@trio_test
async def test_both_ways_there_are_two_of_them() -> None:
    left, right = memory_stream_pair()
    await left.send_all(b"to the right")
    await right.send_all(b"to the left")
    assert await left.receive_some() == b"to the left"
    assert await right.receive_some() == b"to the right"
    await left.send_eof()
    assert await right.receive_some() == b""
    await right.send_all(b"still there")
    assert await left.receive_some() == b"still there"


@trio_test
async def test_in_lockstep_the_sender_waits_for_the_receiver() -> None:
    send, receive = lockstep_stream_one_way_pair()
    events: list[str] = []

    async def sending() -> None:
        await send.wait_send_all_might_not_block()
        events.append("wanted")
        await send.send_all(b"abc")
        events.append("sent")

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(sending)
        await wait_all_tasks_blocked()
        assert events == []
        assert await receive.receive_some(1) == b"a"
        assert events == ["wanted"]
        assert await receive.receive_some() == b"bc"
        await wait_all_tasks_blocked()
        assert events == ["wanted", "sent"]
    send.close()  # type: ignore[attr-defined]
    assert await receive.receive_some() == b""
    for use in (send.send_all(b"x"), send.wait_send_all_might_not_block()):
        with pytest.raises(ctrio.ClosedResourceError):
            await use
    await receive.aclose()
    with pytest.raises(ctrio.ClosedResourceError):
        await receive.receive_some()


@trio_test
async def test_in_lockstep_a_closed_receiver_breaks_the_sender() -> None:
    left, right = lockstep_stream_pair()

    async def send() -> None:
        with pytest.raises(ctrio.BrokenResourceError):
            await left.send_all(b"x")

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        with pytest.raises(ctrio.BusyResourceError):
            await left.send_all(b"y")
        with pytest.raises(ValueError, match="max_bytes must be >= 1"):
            await right.receive_some(0)
        await right.aclose()
    with pytest.raises(ctrio.BrokenResourceError):
        await left.send_all(b"x")
    with assert_checkpoints():
        await left.wait_send_all_might_not_block()


@trio_test
async def test_in_lockstep_closing_wakes_whoever_waits() -> None:
    send, receive = lockstep_stream_one_way_pair()

    async def sending() -> None:
        with pytest.raises(ctrio.ClosedResourceError):
            await send.send_all(b"x")

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(sending)
        await wait_all_tasks_blocked()
        await send.aclose()
    send, receive = lockstep_stream_one_way_pair()

    async def receiving() -> None:
        with pytest.raises(ctrio.ClosedResourceError):
            await receive.receive_some()
        with pytest.raises(ctrio.ClosedResourceError):
            await receive.receive_some()

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(receiving)
        await wait_all_tasks_blocked()
        with pytest.raises(ctrio.BusyResourceError):
            await receive.receive_some()
        await receive.aclose()
