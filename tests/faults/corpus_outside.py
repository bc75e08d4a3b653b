"""More programs: sockets, threads, signals, hosts. With `corpus`, all there are."""

from __future__ import annotations

import functools
import signal
import socket as stdlib
import threading
from typing import Any

import corpus_primitives
from corpus import PROGRAMS, Main, fail, plain
from datagrams import DATAGRAMS, ours
from host import run_as_guest
from leaves import Only

import ctrio
from ctrio import open_nursery
from ctrio.lowlevel import (
    checkpoint,
    current_statistics,
    current_trio_token,
    enable_ki_protection,
    notify_closing,
    start_thread_soon,
    wait_readable,
    wait_writable,
)
from ctrio.testing import MockClock, wait_all_tasks_blocked

__all__ = ["PROGRAMS", "corpus_primitives"]


def program(main: Main) -> Main:
    """A program that is one run, on the machine's clock."""

    @functools.wraps(main)
    def run() -> object:
        return ctrio.run(main)

    plain(run)
    return main


# --- sockets


@program
async def handles() -> object:
    near, far = stdlib.socketpair()
    with near, far:
        await wait_writable(near)
        far.send(b"x")
        await wait_readable(near.fileno())
        near.recv(1)
        busy = 0
        async with open_nursery() as nursery:
            nursery.start_soon(wait_readable, near)
            await wait_all_tasks_blocked()
            try:
                await wait_readable(near)
            except ctrio.BusyResourceError:
                busy = current_statistics().io_statistics.tasks_waiting_read
            nursery.cancel_scope.cancel()
        with Only(ctrio.ClosedResourceError) as only:
            async with open_nursery() as nursery:
                nursery.start_soon(wait_readable, near)
                await wait_all_tasks_blocked()
                notify_closing(near)
    return busy, only.found


@program
async def streams() -> object:
    left, right = ctrio.socket.socketpair()
    sender, receiver = ctrio.SocketStream(left), ctrio.SocketStream(right)
    async with sender, receiver:
        got = bytearray()

        async def receives() -> None:
            async for piece in receiver:
                got.extend(piece)

        async with open_nursery() as nursery:
            nursery.start_soon(receives)
            await sender.send_all(b"x" * 600_000)
            await sender.send_eof()
        try:
            await sender.send_all(b"x")
        except ctrio.ClosedResourceError:
            return len(got)
    return None


@program
async def sockets() -> object:
    left, right = ctrio.socket.socketpair()
    with left, right:
        await left.send(b"one")
        buffer = bytearray(10)
        count = await right.recv_into(buffer)
        await left.sendmsg([b"t", b"wo"])
        data, *_ = await right.recvmsg(10, 64)
        with ctrio.move_on_after(0):
            await right.recv(1)
        left.shutdown(stdlib.SHUT_WR)
        end = await right.recv(1)
        return count, data, end, left.getsockopt(stdlib.SOL_SOCKET, stdlib.SO_ERROR)


@program
async def datagrams() -> object:
    near, far = stdlib.socketpair(type=DATAGRAMS)
    with near, far:
        left, right = ours(near), ours(far)
        await left.send(b"a")
        data, _ = await right.recvfrom(10)
        await left.send(b"b")
        buffer = bytearray(4)
        count, _ = await right.recvfrom_into(buffer)
        await left.sendmsg([b"c"])
        count += (await right.recvmsg_into([buffer]))[0]
        return data, count


@program
async def listeners() -> object:
    listeners = await ctrio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]

    async def echo(stream: Any) -> None:
        async for data in stream:
            await stream.send_all(data)

    async with open_nursery() as nursery:
        nursery.start_soon(ctrio.serve_listeners, echo, listeners)
        async with await ctrio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"echo")
            got = await stream.receive_some(4)
        if got:  # or the server failed, and says so unless it is cancelled first
            nursery.cancel_scope.cancel()
    return got


@program
async def addresses() -> object:
    with ctrio.socket.socket() as sock:
        await sock.bind(("127.0.0.1", 0))
        sock.listen()
        with ctrio.socket.socket() as other:
            await other.connect(sock.getsockname())
            accepted, peer = await sock.accept()
            with accepted:
                same = peer == other.getsockname()
    refused = stdlib.socket()
    refused.bind(("127.0.0.1", 0))
    with refused, ctrio.socket.socket() as other:
        try:
            await other.connect(refused.getsockname())
        except ConnectionRefusedError:
            return same
    return None


# --- threads


@program
async def threads() -> object:
    def work(number: int) -> object:
        ctrio.from_thread.check_cancelled()
        return ctrio.from_thread.run_sync(lambda: number + 1)

    async def doubles(number: int) -> int:
        await checkpoint()
        return number * 2

    first = await ctrio.to_thread.run_sync(work, 1)
    second = await ctrio.to_thread.run_sync(ctrio.from_thread.run, doubles, 4)
    try:
        await ctrio.to_thread.run_sync(lambda: 1 / 0)
    except ZeroDivisionError:
        return first, second
    return None


@program
async def threads_left_behind() -> object:
    gate = threading.Event()
    with ctrio.move_on_after(0) as scope:
        await ctrio.to_thread.run_sync(gate.wait, abandon_on_cancel=True)
    gate.set()
    return scope.cancelled_caught


@program
async def bare_threads() -> object:
    token, done, got = current_trio_token(), ctrio.Event(), []

    def deliver(result: Any) -> None:
        got.append(result.value)
        token.run_sync_soon(done.set)

    start_thread_soon(lambda: 5, deliver)
    await done.wait()
    return got


# --- signals


@plain
def interrupts() -> object:
    async def main() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep_forever)
            await wait_all_tasks_blocked()
            signal.raise_signal(signal.SIGINT)

    with Only(KeyboardInterrupt) as only:
        ctrio.run(main)
    return only.found


@plain
def interrupts_that_wait() -> object:
    @enable_ki_protection
    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        async with open_nursery() as nursery:
            nursery.start_soon(checkpoint)
            nursery.start_soon(ctrio.sleep_forever)

    with Only(KeyboardInterrupt) as only:
        ctrio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)
    return only.found


@program
async def signals() -> object:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        with ctrio.open_signal_receiver(signal.SIGUSR1) as receiver:
            signal.raise_signal(signal.SIGUSR1)
            async for signum in receiver:
                return int(signum)
        return None
    finally:  # a `with` that has no memory for its `__exit__` leaves all as it is
        # What came and was not asked for is raised again, perhaps a turn later.
        await ctrio.lowlevel.cancel_shielded_checkpoint()
        signal.signal(signal.SIGUSR1, before)


# --- hosts


@plain
def guests() -> object:
    async def main() -> object:
        async with open_nursery() as nursery:
            nursery.start_soon(checkpoint)
            nursery.start_soon(ctrio.sleep, 0.001)
        return "guest"

    return run_as_guest(main)


@plain
def guests_that_fail() -> object:
    try:
        return run_as_guest(fail, clock=MockClock(autojump_threshold=0))
    except KeyError as exc:
        return exc.args
