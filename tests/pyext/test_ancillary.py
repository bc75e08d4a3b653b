"""What comes with a message besides its bytes: descriptors, above all."""

from __future__ import annotations

import array
import errno
import gc
import mmap
import os
import socket as stdlib_socket
import struct
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from datagrams import Pair, ours
from growth import open_descriptors

import ctrio
from ctrio._socket import _SocketType
from ctrio.lowlevel import checkpoint
from ctrio.testing import assert_checkpoints, trio_test, wait_all_tasks_blocked

LEVEL, RIGHTS = stdlib_socket.SOL_SOCKET, stdlib_socket.SCM_RIGHTS
ROOM = stdlib_socket.CMSG_SPACE(4 * 3)
CUT = stdlib_socket.MSG_CTRUNC
Item = tuple[int, int, bytes]
Receive = Callable[[_SocketType], Coroutine[Any, Any, Any]]

RECEIVES: dict[str, Receive] = {
    "recvmsg": lambda sock: sock.recvmsg(10, ROOM),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(10)], ROOM),
}


@pytest.fixture(params=["stream", "datagrams"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    kinds = {
        "stream": stdlib_socket.SOCK_STREAM,
        "datagrams": stdlib_socket.SOCK_DGRAM,
    }
    left, right = stdlib_socket.socketpair(type=kinds[request.param])
    with left, right:
        yield ours(left), ours(right)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def passing(*descriptors: int) -> list[Item]:
    return [(LEVEL, RIGHTS, array.array("i", descriptors).tobytes())]


def received(items: list[Item]) -> list[int]:
    """Tell which descriptors have come."""
    found: list[int] = []
    for level, kind, data in items:
        assert (level, kind) == (LEVEL, RIGHTS)
        found += array.array("i", data)
    return found


# Descriptors.


@pytest.mark.parametrize("receive", RECEIVES.values(), ids=RECEIVES)
@trio_test
async def test_descriptors_travel_and_are_those_that_were_sent(
    receive: Receive, pair: Pair, pipe: tuple[int, int]
) -> None:
    left, right = pair
    with assert_checkpoints():
        assert await left.sendmsg([b"two ", b"ends"], passing(*pipe)) == 8
    with assert_checkpoints():
        data, items, flags, address = await receive(right)
    assert data in (b"two ends", 8)
    assert (flags, address) == (0, None)
    reader, writer = received(items)
    assert reader not in pipe
    os.write(writer, b"through")
    assert os.read(pipe[0], 10) == b"through"
    os.close(reader)
    os.close(writer)


@trio_test
async def test_child_processes_inherit_them_unless_told_otherwise(
    pair: Pair, pipe: tuple[int, int]
) -> None:
    left, right = pair
    for flag in (0, stdlib_socket.MSG_CMSG_CLOEXEC):
        await left.sendmsg([b"x"], passing(pipe[0]))
        _, items, flags, _ = await right.recvmsg(1, ROOM, flag)
        (number,) = received(items)
        assert os.get_inheritable(number) == (flag == 0)
        assert flags == flag
        os.close(number)


@trio_test
async def test_what_there_is_no_room_for_is_as_in_the_standard_library(
    pair: Pair, pipe: tuple[int, int]
) -> None:
    left, right = pair
    before = open_descriptors()

    async def shape(message: Any) -> tuple[list[tuple[int, int, int]], int]:
        data, items, flags, _ = message
        assert data == b"x"
        for number in received(items):
            os.close(number)
        return [(level, kind, len(rest)) for level, kind, rest in items], flags

    flags_seen = set()
    for room in range(ROOM + 10):
        await left.sendmsg([b"x"], passing(*pipe, *pipe))
        expected = await shape(right._sock.recvmsg(1, room))
        await left.sendmsg([b"x"], passing(*pipe, *pipe))
        assert await shape(await right.recvmsg(1, room)) == expected
        flags_seen.add(expected[1])
    assert flags_seen == {0, CUT}
    assert open_descriptors() == before


@trio_test
async def test_several_kinds_of_ancillary_data_come_together(
    pair: Pair, pipe: tuple[int, int]
) -> None:
    left, right = pair
    right.setsockopt(LEVEL, stdlib_socket.SO_PASSCRED, 1)
    me = struct.pack("iii", os.getpid(), os.getuid(), os.getgid())
    credentials = (LEVEL, stdlib_socket.SCM_CREDENTIALS, me)
    sent = iter([credentials, (LEVEL, RIGHTS, array.array("i", pipe))])
    assert await left.sendmsg([bytearray(b"x")], sent) == 1
    _, items, flags, _ = await right.recvmsg(1, 1000)
    assert flags == 0
    assert credentials in items
    items.remove(credentials)
    for number in received(items):
        os.close(number)


@trio_test
async def test_what_the_system_refuses_is_not_sent(pair: Pair) -> None:
    left, right = pair
    wrong: list[tuple[list[Any], int]] = [
        (passing(1 << 20), errno.EBADF),
        ([(LEVEL, RIGHTS, array.array("i", [0] * 1000))], errno.EINVAL),
        ([(LEVEL, RIGHTS, b""), (LEVEL, 12345, b"x")], errno.EINVAL),
    ]
    for items, number in wrong:
        with pytest.raises(OSError) as standard:
            left._sock.sendmsg([b"x"], items)
        with assert_checkpoints(), pytest.raises(OSError) as caught:
            await left.sendmsg([b"x"], items)
        assert caught.value.errno == standard.value.errno == number
    with pytest.raises(BlockingIOError):
        right._sock.recv(1)


@trio_test
async def test_an_item_that_no_message_can_carry_is_refused(pair: Pair) -> None:
    try:
        huge = mmap.mmap(-1, 1 << 31)
    except OSError:
        pytest.skip("there is no memory for so much nothing")
    with huge:
        for method in (pair[0]._sock.sendmsg, pair[0].sendmsg):
            with pytest.raises(OSError, match="^ancillary data item too large$"):
                sent: Any = method([b"x"], [(LEVEL, RIGHTS, huge)])
                await sent


# Descriptors that nobody takes.


@trio_test
async def test_a_receive_of_bytes_only_leaves_no_descriptor_behind(
    pair: Pair, pipe: tuple[int, int]
) -> None:
    left, right = pair
    before = open_descriptors()
    for call in (lambda: right.recv(1), lambda: right.recvfrom(1)):
        await left.sendmsg([b"x"], passing(*pipe))
        await call()
    await left.sendmsg([b"x"], passing(*pipe))
    assert await right.recvmsg(1) == (b"x", [], CUT, None)
    assert open_descriptors() == before


@pytest.mark.parametrize("receive", RECEIVES.values(), ids=RECEIVES)
@trio_test
async def test_a_cancelled_receive_leaves_descriptors_where_they_are(
    receive: Receive, pair: Pair, pipe: tuple[int, int]
) -> None:
    left, right = pair
    before = open_descriptors()
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(receive, right)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        left._sock.sendmsg([b"x"], passing(*pipe))
    assert open_descriptors() == before
    _, items, _, _ = await receive(right)
    assert len(received(items)) == 2
    for number in received(items):
        os.close(number)


def close(coro: Coroutine[Any, Any, Any]) -> None:
    coro.close()


def drop(coro: Coroutine[Any, Any, Any]) -> None:
    """Nothing: the caller drops it."""


def drop_in_a_cycle(coro: Coroutine[Any, Any, Any]) -> None:
    cycle: list[object] = [coro]
    cycle.append(cycle)


def throw(coro: Coroutine[Any, Any, Any]) -> None:
    with pytest.raises(KeyError):
        coro.throw(KeyError("thrown"))


@pytest.mark.parametrize("leave", [close, drop, drop_in_a_cycle, throw])
@pytest.mark.parametrize("receive", RECEIVES.values(), ids=RECEIVES)
@trio_test
async def test_descriptors_that_were_received_and_never_handed_out_are_closed(
    receive: Receive,
    leave: Callable[[Coroutine[Any, Any, Any]], None],
    pair: Pair,
    pipe: tuple[int, int],
) -> None:
    left, right = pair
    before = open_descriptors()
    await left.sendmsg([b"x"], passing(*pipe))
    async with ctrio.open_nursery() as nursery:
        # Somebody else can run: what has been received waits for its turn.
        nursery.start_soon(checkpoint)
        coro = receive(right)
        coro.send(None)
        assert len(open_descriptors() - before) == 2
        leave(coro)
        del coro
        gc.collect()
        assert open_descriptors() == before


def test_so_are_those_of_a_receive_that_is_left_when_its_run_is_over(
    pair: Pair, pipe: tuple[int, int]
) -> None:
    before = open_descriptors()
    left, right = pair
    coros: list[Coroutine[Any, Any, Any]] = []

    async def main() -> None:
        await left.sendmsg([b"x"], passing(*pipe))
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(checkpoint)
            coros.append(right.recvmsg(10, ROOM))
            coros[0].send(None)

    ctrio.run(main)
    assert len(open_descriptors() - before) == 2
    coros.pop().close()
    assert open_descriptors() == before


@pytest.mark.parametrize("receive", RECEIVES.values(), ids=RECEIVES)
def test_no_descriptor_is_lost_when_memory_runs_out(
    receive: Receive, pair: Pair, pipe: tuple[int, int]
) -> None:
    """Each allocation of a receive fails in turn."""
    testcapi = pytest.importorskip("_testcapi")
    left, right = pair

    async def attempt(failing: int) -> None:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(checkpoint)  # what came of it waits for its turn
            coro = receive(right)
            testcapi.set_nomemory(failing, failing + 1)
            try:
                coro.send(None)
            except MemoryError:
                pass
            finally:
                testcapi.remove_mem_hooks()
            coro.close()

    async def main() -> None:
        lost = 0
        before = open_descriptors()
        for failing in range(40):
            await left.sendmsg([b"x"], passing(*pipe))
            await attempt(failing)
            assert open_descriptors() == before
            try:
                right._sock.recv(1)
            except BlockingIOError:
                lost += 1
        assert 0 < lost < 40

    ctrio.run(main)
