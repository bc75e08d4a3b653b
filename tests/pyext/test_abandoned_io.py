"""Reads, writes and connections that are left while they wait.

The descriptor must be asked of the system no longer, and the next who waits for it
must get what comes.
"""

from __future__ import annotations

import gc
import socket as stdlib
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from leavings import ELSEWHERE, LEAVINGS, Coro, collect

import ctrio
from ctrio import SocketStream
from ctrio.lowlevel import checkpoint, current_statistics, wait_readable, wait_writable
from ctrio.testing import trio_test


class Ends:
    """Connections in which everybody has to wait.

    Attributes:
        near: Nothing has come here.
        full: Nothing more fits in here.
        listener: Nobody has called here, and of two who do one has to wait.
    """

    def __init__(self) -> None:
        self.near, self.far = ctrio.socket.socketpair()
        self.full, self.drain = ctrio.socket.socketpair()
        self.quiet, self.listener = ctrio.socket.socket(), ctrio.socket.socket()
        self.callers: list[stdlib.socket] = []

    async def set_up(self) -> None:
        for listener in (self.quiet, self.listener):
            await listener.bind(("127.0.0.1", 0))
            listener.listen(0)
        self.caller().connect(self.listener.getsockname())
        try:
            while True:
                self.full._sock.send(b"x" * 65536)  # type: ignore[attr-defined]
        except BlockingIOError:
            pass

    def caller(self) -> stdlib.socket:
        self.callers.append(stdlib.socket())
        return self.callers[-1]

    def connect(self) -> Coro:
        """With a new socket: one that is left has no use any more."""
        client = self.caller()
        client.setblocking(False)
        return ctrio.socket.from_stdlib_socket(client).connect(  # type: ignore[return-value]
            self.listener.getsockname()
        )

    def close(self) -> None:
        for sock in (self.near, self.far, self.full, self.drain):
            sock.close()
        self.quiet.close()
        self.listener.close()
        for caller in self.callers:
            caller.close()


@contextmanager
def opened() -> Iterator[Ends]:
    ends = Ends()
    try:
        yield ends
    finally:
        ends.close()


WAITS: dict[str, Callable[[Ends], object]] = {
    "wait_readable": lambda ends: wait_readable(ends.near),
    "wait_writable": lambda ends: wait_writable(ends.full),
    "recv": lambda ends: ends.near.recv(1),
    "recv_into": lambda ends: ends.near.recv_into(bytearray(1)),
    "send": lambda ends: ends.full.send(b"x"),
    "receive_some": lambda ends: SocketStream(ends.near).receive_some(),
    "send_all": lambda ends: SocketStream(ends.full).send_all(b"x"),
    "accept": lambda ends: ends.quiet.accept(),
    "connect": lambda ends: ends.connect(),
}


def waiting() -> tuple[int, int]:
    """How many wait for the system, to read and to write."""
    io = current_statistics().io_statistics
    return io.tasks_waiting_read, io.tasks_waiting_write


async def still_works(ends: Ends) -> None:
    """All can be waited for, and give what they should."""
    got: list[bytes] = []

    async def receive() -> None:
        got.append(await ends.near.recv(10))

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(receive)
        nursery.start_soon(wait_readable, ends.quiet)
        await ctrio.testing.wait_all_tasks_blocked()
        await ends.far.send(b"data")
        ends.caller().connect(ends.quiet.getsockname())
    assert got == [b"data"]
    accepted, _ = await ends.quiet.accept()
    accepted.close()
    with ctrio.move_on_after(0):
        await wait_writable(ends.full)
    with pytest.raises(BlockingIOError):
        ends.full._sock.send(b"x")  # type: ignore[attr-defined]


def begin(wait: Callable[[Ends], object], ends: Ends) -> Coro:
    """Step it once, and see it waiting."""
    before = waiting()
    coro: Coro = wait(ends)  # type: ignore[assignment]
    coro.send(None)
    assert sum(waiting()) == sum(before) + 1
    return coro


@pytest.mark.parametrize("leave", LEAVINGS)
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@trio_test
async def test_one_that_is_left_waits_no_more(
    wait: Callable[[Ends], object], leave: Callable[[Coro], None]
) -> None:
    with opened() as ends:
        await ends.set_up()
        before = waiting()
        for _ in range(2):
            coro = begin(wait, ends)
            leave(coro)
            del coro
            collect()
            assert waiting() == before
            await checkpoint()
            await still_works(ends)
            assert waiting() == before


@pytest.mark.parametrize("leave", ELSEWHERE)
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
@trio_test
async def test_one_that_is_left_on_another_thread_waits_no_more(
    wait: Callable[[Ends], object], leave: Callable[[list[Coro]], None]
) -> None:
    with opened() as ends:
        await ends.set_up()
        before = waiting()
        for _ in range(2):
            holder = [begin(wait, ends)]
            leave(holder)
            assert holder == []
            assert waiting() == before
            await still_works(ends)


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_one_that_outlives_its_run_can_be_closed_and_collected(
    wait: Callable[[Ends], object],
) -> None:
    kept: list[tuple[Coro, Ends]] = []

    async def main() -> None:
        ends = Ends()
        await ends.set_up()
        kept.append((begin(wait, ends), ends))

    for _ in range(2):
        ctrio.run(main)
    died = [weakref.ref(coro) for coro, _ in kept]
    kept[0][0].close()
    for ends in [kept[0][1], kept[1][1]]:
        ctrio.run(close, ends)
    kept.clear()
    gc.collect()
    assert [coro() for coro in died] == [None, None]


async def close(ends: Ends) -> None:
    ends.close()


@trio_test
async def test_a_read_whose_data_has_come_can_be_left_and_loses_none() -> None:
    with opened() as ends:
        coro = begin(lambda ends: ends.near.recv(10), ends)
        await ends.far.send(b"data")
        coro.close()
        assert await ends.near.recv(10) == b"data"
