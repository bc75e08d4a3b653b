"""`wait_readable`, `wait_writable`, `notify_closing`, and what replaces them."""

from __future__ import annotations

import os
import socket as stdlib_socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator

import pytest

import ctrio
from ctrio.lowlevel import Task, notify_closing, wait_readable, wait_writable
from ctrio.testing import assert_checkpoints, trio_test, wait_all_tasks_blocked

Pair = tuple[stdlib_socket.socket, stdlib_socket.socket]
Wait = Callable[[object], Awaitable[None]]
BUSY = "^another task is already reading / writing this fd$"
CLOSED = "^another task closed this fd$"

both_waits = pytest.mark.parametrize("wait", [wait_readable, wait_writable])


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = stdlib_socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        yield left, right


def fill(sock: stdlib_socket.socket) -> None:
    try:
        while True:
            sock.send(b"x" * 65536)
    except BlockingIOError:
        pass


def drain(sock: stdlib_socket.socket) -> None:
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        pass


class Handle:
    """Has a descriptor, and nothing else of a socket."""

    def __init__(self, number: object) -> None:
        self.number = number

    def fileno(self) -> object:
        return self.number


@trio_test
async def test_who_waits_is_woken_by_what_it_waits_for(pair: Pair) -> None:
    left, right = pair
    order: list[str] = []

    async def wait(what: str, call: Wait, handle: object) -> None:
        with assert_checkpoints():
            await call(handle)
        order.append(what)

    fill(left)
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(wait, "readable", wait_readable, Handle(left.fileno()))
        nursery.start_soon(wait, "writable", wait_writable, left.fileno())
        await wait_all_tasks_blocked()
        assert order == []
        right.send(b"x")
        await wait_all_tasks_blocked()
        assert order == ["readable"]
        drain(right)
    assert order == ["readable", "writable"]


@trio_test
async def test_what_is_ready_already_is_a_checkpoint_too(pair: Pair) -> None:
    left, right = pair
    right.send(b"x")
    with assert_checkpoints():
        await wait_writable(left)
    with assert_checkpoints():
        await wait_readable(fd=left)


@both_waits
@trio_test
async def test_a_handle_that_is_none_is_refused_as_trio_does(wait: Wait) -> None:
    with stdlib_socket.socket() as sock:
        number = sock.fileno()
    with pytest.raises(OSError, match=r"^\[Errno 9\] Bad file descriptor$"):
        await wait(number)
    negative = r"^file descriptor cannot be a negative integer \(-1\)$"
    for closed in (-1, sock, Handle(-1)):
        with pytest.raises(ValueError, match=negative):
            await wait(closed)
    with pytest.raises(RuntimeError, match="^must be called from async context$") as no:
        await wait("3")
    assert isinstance(no.value.__context__, AttributeError)
    assert no.value.__suppress_context__
    with pytest.raises(TypeError, match="argument must be an int, or have a fileno"):
        await wait(Handle("3"))
    with pytest.raises(OverflowError):
        await wait(1 << 40)
    with pytest.raises(TypeError, match="positional argument"):
        wait()  # type: ignore[call-arg]
    with open(__file__) as file, pytest.raises(PermissionError):
        await wait(file)


@both_waits
@trio_test
async def test_one_task_a_direction(wait: Wait, pair: Pair) -> None:
    left, _ = pair
    fill(left)
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(wait, left)
        await wait_all_tasks_blocked()
        with pytest.raises(ctrio.BusyResourceError, match=BUSY):
            await wait(left.fileno())
        nursery.cancel_scope.cancel()
    with ctrio.CancelScope() as scope:
        scope.cancel()
        await wait(left)  # the place is free again
    assert scope.cancelled_caught


@pytest.mark.parametrize("number", [False, True], ids=["object", "number"])
@trio_test
async def test_closing_is_told_to_all_who_wait(number: bool, pair: Pair) -> None:
    left, _ = pair
    told: list[str] = []

    async def expect(wait: Wait) -> None:
        with pytest.raises(ctrio.ClosedResourceError, match=CLOSED):
            await wait(left)
        told.append("closed")

    fill(left)
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(expect, wait_readable)
        nursery.start_soon(expect, wait_writable)
        await wait_all_tasks_blocked()
        notify_closing(left.fileno() if number else left)
    assert told == ["closed"] * 2


@trio_test
async def test_closing_what_nobody_waits_for_does_nothing(pair: Pair) -> None:
    left, right = pair
    notify_closing(left)
    notify_closing(fd=left)
    notify_closing(-1)
    notify_closing(Handle(-1))
    with pytest.raises(RuntimeError, match="^must be called from async context$"):
        notify_closing("x")  # type: ignore[arg-type]
    right.send(b"x")
    await wait_readable(left)


def test_outside_of_a_run_there_is_nothing_to_wait_in() -> None:
    with pytest.raises(RuntimeError, match="^must be called from async context$"):
        notify_closing(0)
    coroutine = wait_readable(0)
    with pytest.raises(RuntimeError, match="^must be called from async context$"):
        coroutine.send(None)


@both_waits
@trio_test
async def test_a_coroutine_that_is_closed_leaves_its_place(
    wait: Wait, pair: Pair
) -> None:
    left, _ = pair
    tasks: list[Task] = []

    async def child() -> None:
        tasks.append(ctrio.lowlevel.current_task())
        await wait(left)

    fill(left)
    with pytest.RaisesGroup(RuntimeError):
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(child)
            await wait_all_tasks_blocked()
            tasks[0].coro.close()
            with ctrio.CancelScope() as scope:
                scope.cancel()
                await wait(left)
            assert scope.cancelled_caught
            ctrio.lowlevel.reschedule(tasks[0])


@trio_test
async def test_the_class_has_the_same_methods(pair: Pair) -> None:
    left, right = pair
    manager = ctrio._core._run.TheIOManager()
    right.send(b"x")
    with assert_checkpoints():
        await manager.wait_readable(left)
    with assert_checkpoints():
        await manager.wait_writable(left)
    with pytest.raises(OSError, match="Bad file descriptor"):
        await manager.wait_readable(os.sysconf("SC_OPEN_MAX") - 1)
    with pytest.raises(AttributeError, match="'str' object has no attribute 'fileno'"):
        await manager.wait_readable("3")
    with pytest.raises(AttributeError, match="'str' object has no attribute 'fileno'"):
        manager.notify_closing("3")
    drain(left)

    async def expect() -> None:
        with pytest.raises(ctrio.ClosedResourceError, match=CLOSED):
            await manager.wait_readable(left)

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(expect)
        await wait_all_tasks_blocked()
        manager.notify_closing(left)


def test_a_manager_without_a_run_waits_for_nothing() -> None:
    with pytest.raises(RuntimeError, match="^must be called from async context$"):
        ctrio._core._run.TheIOManager().get_events(0)


# In a process of its own: the core does not forget that something was replaced.
PATCHED = """
import socket
import ctrio
from ctrio.lowlevel import notify_closing, wait_readable, wait_writable
from ctrio.testing import wait_all_tasks_blocked

Manager = ctrio._core._run.TheIOManager
original = Manager.wait_readable
calls = []

async def replacement(self, fd):
    assert isinstance(self, Manager)
    calls.append(fd)
    try:
        await original(self, fd)
    finally:
        calls.append("left")

async def main():
    left, right = socket.socketpair()
    with left, right:
        Manager.wait_readable = replacement
        right.send(b"x")
        await wait_readable(left)
        await wait_writable(left)  # by the method that nobody has replaced
        assert calls == [left, "left"], calls
        left.recv(1)

        async def wait():
            try:
                await wait_readable(left)
            except ctrio.Cancelled:
                calls.append("cancelled")
                raise

        del calls[:]
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert calls == [left, "left", "cancelled"], calls

        stream, _ = map(ctrio.socket.from_stdlib_socket, socket.socketpair())
        await ctrio.SocketStream(stream).wait_send_all_might_not_block()

        Manager.notify_closing = lambda self, fd: calls.append(("closing", fd))
        notify_closing(left)
        assert calls[-1] == ("closing", left)
        del Manager.notify_closing
        Manager.wait_readable = None
        try:
            await wait_readable(left)
        except TypeError:
            calls.append("not callable")
        assert calls[-1] == "not callable"

ctrio.run(main)
"""


def run_apart(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_replaced_method_of_the_manager_is_called() -> None:
    run_apart(PATCHED)


EVENTS = """
import ctrio.testing

Manager = ctrio._core._run.TheIOManager
original = Manager.get_events
timeouts = []

def get_events(self, timeout):
    timeouts.append(timeout)
    return original(self, timeout)

async def main():
    Manager.get_events = get_events
    await ctrio.testing.wait_all_tasks_blocked()
    assert timeouts
    Manager.get_events = lambda self, timeout: 3
    await ctrio.sleep_forever()

try:
    ctrio.run(main)
except ctrio.TrioInternalError as exc:
    assert isinstance(exc.__cause__, TypeError), repr(exc.__cause__)
else:
    raise AssertionError("an impossible answer went unnoticed")
"""


def test_replaced_get_events_is_what_the_loop_calls() -> None:
    run_apart(EVENTS)


BROKEN = """
import gc
import warnings
import ctrio.testing

warnings.simplefilter("ignore", ResourceWarning)  # nobody is left to close them
Manager = ctrio._core._run.TheIOManager

async def main():
    left, right = ctrio.socket.socketpair()
    replaced, _ = ctrio.socket.socketpair()
    replaced.recv = lambda max_bytes: ctrio.sleep_forever()
    listener, = await ctrio.open_tcp_listeners(0, host="127.0.0.1")
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(left.recv, 1)
        nursery.start_soon(ctrio.SocketStream(right).receive_some)
        nursery.start_soon(ctrio.SocketStream(replaced).receive_some)
        nursery.start_soon(listener.accept)
        nursery.start_soon(ctrio.lowlevel.wait_readable, replaced._sock)
        await ctrio.testing.wait_all_tasks_blocked()
        Manager.get_events = None

try:
    ctrio.run(main)
except ctrio.TrioInternalError as exc:
    assert isinstance(exc.__cause__, TypeError)
gc.collect()
"""


def test_what_waits_in_a_run_that_breaks_can_be_collected() -> None:
    run_apart(BROKEN)
