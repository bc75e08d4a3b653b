"""An echo server and its clients, on an os and a scheduler that come out of a seed.

Run as a program it shuts itself in before the first step: from then on the system
allows memory and, for the placeholders of sockets, the fcntl that duplicates, close,
and the getsockname by which `socket.socket(fileno=...)` looks at its descriptor. It
ends the process at any other call.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import signal
import socket
import struct
import sys
from collections.abc import Awaitable, Callable

import ctrio
from ctrio import _ctrio, socket as tsocket

PORT = 7
ADDRESS = ("127.0.0.1", PORT)
TEMPLATE = socket.socket().detach()  # open to the end of the process


def placeholder() -> int:
    """Make the descriptor that stands for a simulated socket."""
    return os.dup(TEMPLATE)


def adopt(number: int) -> tsocket.SocketType:
    """Wrap a simulated socket as a program would its own."""
    kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK  # no need to make it so
    sock = socket.socket(socket.AF_INET, kind, 0, fileno=number)
    return tsocket.from_stdlib_socket(sock)


async def receive_from(sock: tsocket.SocketType) -> bytes:
    data, address = await sock.recvfrom(100)
    assert address is None  # who it is from, a stream knows already
    return data


async def receive_from_into(sock: tsocket.SocketType) -> bytes:
    buffer = bytearray(100)
    count, _ = await sock.recvfrom_into(buffer, 50)
    return bytes(buffer[:count])


async def receive_message(sock: tsocket.SocketType) -> bytes:
    data, ancillary, flags, _ = await sock.recvmsg(100, 100)
    assert (ancillary, flags) == ([], 0)
    return data


async def receive_message_into(sock: tsocket.SocketType) -> bytes:
    buffers = [bytearray(3), bytearray(100)]
    count, _, _, _ = await sock.recvmsg_into(buffers)
    return b"".join(buffers)[:count]


Receive = Callable[[tsocket.SocketType], Awaitable[bytes]]
Send = Callable[[tsocket.SocketType, bytes], Awaitable[int]]
WAYS: list[tuple[Receive, Send]] = [
    (lambda sock: sock.recv(100), lambda sock, data: sock.send(data)),
    (receive_from, lambda sock, data: sock.sendto(data, ADDRESS)),
    (receive_from_into, lambda sock, data: sock.sendto(data, 0, ADDRESS)),
    (receive_message, lambda sock, data: sock.sendmsg([data[:5], data[5:]])),
    (receive_message_into, lambda sock, data: sock.sendmsg([data], [], 0, ADDRESS)),
]
"""What a client receives and sends by: each has its own."""

CLIENTS = len(WAYS)


async def send_all(sock: tsocket.SocketType, data: bytes, send: Send) -> None:
    while data:
        data = data[await send(sock, data) :]


async def serve(sock: tsocket.SocketType) -> None:
    with sock:
        while data := await sock.recv(10):
            await send_all(sock, data, WAYS[0][1])


async def accept_all(listener: tsocket.SocketType, nursery: ctrio.Nursery) -> None:
    with listener:
        for _ in range(CLIENTS):
            sock, _ = await listener.accept()
            nursery.start_soon(serve, sock)


async def call(number: int, finished: list[int]) -> None:
    message = bytes([65 + number]) * 40
    heard = b""
    receive, send = WAYS[number]
    with adopt(_ctrio.scripted_socket()) as sock:
        await sock.connect(ADDRESS)
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(send_all, sock, message, send)
            while len(heard) < len(message):
                heard += await receive(sock)
    assert heard == message
    finished.append(number)


async def echo(before: Callable[[], None]) -> list[int]:
    """Serve `CLIENTS` clients, and tell in which order they were done."""
    finished: list[int] = []
    before()
    listener = adopt(_ctrio.scripted_listener(PORT))  # there before the first client
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(accept_all, listener, nursery)
        for number in range(CLIENTS):
            nursery.start_soon(call, number, finished)
    return finished


def run(seed: int, before: Callable[[], None] = int) -> tuple[list[int], int, int, int]:
    """Run it: the order of the clients, the trace's hash and length, sockets left."""
    result: tuple[list[int], int, int, int]
    result = _ctrio.run_scripted(seed, placeholder, echo, before)[:4]
    return result


# The numbers of Linux's system calls: memory, what an allocator may lock, exit; close
# and getsockname. And fcntl's, which may duplicate and nothing else.
ALLOWED = {
    "x86_64": (9, 10, 11, 12, 25, 28, 202, 231, 3, 51),
    "aarch64": (222, 226, 215, 214, 216, 233, 98, 94, 57, 204),
}
FCNTL = {"x86_64": 72, "aarch64": 25}
GO_ON, END = 0x7FFF0000, 0x80000000


def load(offset: int) -> bytes:
    """Look at a word of the call: its number is at 0, its arguments begin at 16."""
    return struct.pack("HBBI", 0x20, 0, 0, offset)


def allow_if(word: int) -> bytes:
    """Let the call pass if that word is this one."""
    return struct.pack("HBBI", 0x15, 0, 1, word) + answer(GO_ON)


def answer(what: int) -> bytes:
    return struct.pack("HBBI", 0x06, 0, 0, what)


def seal() -> None:
    """Have the kernel end this process at any call not in ALLOWED (seccomp)."""
    machine = platform.machine()
    code = [load(0), *map(allow_if, ALLOWED[machine])]
    code.append(struct.pack("HBBI", 0x15, 1, 0, FCNTL[machine]))  # then skip the end
    code.append(answer(END))
    code += [load(24), allow_if(fcntl.F_DUPFD_CLOEXEC), answer(END)]
    filters = ctypes.create_string_buffer(b"".join(code))
    program = struct.pack("HxxxxxxP", len(filters) // 8, ctypes.addressof(filters))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(38, 1, 0, 0, 0) != 0 or prctl(22, 2, program, 0, 0) != 0:
        sys.exit(77)


def leave() -> None:
    """Ask the system for something, shut in."""
    seal()
    os.getppid()


def ask() -> None:
    """Ask fcntl for something else than a duplicate."""
    seal()
    fcntl.fcntl(TEMPLATE, fcntl.F_GETFL)


BEFORE = {"free": int, "sealed": seal, "leave": leave, "ask": ask}


def main() -> None:
    """Run once to fill every cache, and once more after BEFORE[argument]."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # or run() puts a handler in place
    first = run(1)
    ctypes.CDLL(None).prctl  # noqa: B018  # what seal() needs is there
    again = run(1, BEFORE[sys.argv[1]])
    os._exit(0 if again == first else 1)


if __name__ == "__main__":
    main()
