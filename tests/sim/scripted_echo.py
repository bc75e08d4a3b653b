"""An echo server and its clients, on an os and a scheduler that come out of a seed.

Run as a program it shuts itself in before the first step: from then on the system
allows memory and, for the placeholders of sockets, dup, close and the getsockname by
which `socket.socket(fileno=...)` looks at its descriptor. It ends the process at any
other call.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import struct
import sys
from collections.abc import Callable

import ctrio
from ctrio import _ctrio, socket as tsocket

CLIENTS = 3
PORT = 7
TEMPLATE = socket.socket()


def placeholder() -> int:
    """Make the descriptor that stands for a simulated socket."""
    return os.dup(TEMPLATE.fileno())


def adopt(number: int) -> tsocket.SocketType:
    """Wrap a simulated socket as a program would its own."""
    kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK  # no need to make it so
    sock = socket.socket(socket.AF_INET, kind, 0, fileno=number)
    return tsocket.from_stdlib_socket(sock)


async def send_all(sock: tsocket.SocketType, data: bytes) -> None:
    while data:
        data = data[await sock.send(data) :]


async def serve(sock: tsocket.SocketType) -> None:
    with sock:
        while data := await sock.recv(10):
            await send_all(sock, data)


async def accept_all(nursery: ctrio.Nursery, listener: tsocket.SocketType) -> None:
    with listener:
        for _ in range(CLIENTS):
            sock, _ = await listener.accept()
            nursery.start_soon(serve, sock)


async def call(number: int, finished: list[int]) -> None:
    message = bytes([65 + number]) * 40
    heard = b""
    with adopt(_ctrio.scripted_socket()) as sock:
        await sock.connect(("127.0.0.1", PORT))
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(send_all, sock, message)
            while len(heard) < len(message):
                heard += await sock.recv(100)
    assert heard == message
    finished.append(number)


async def echo(before: Callable[[], None]) -> list[int]:
    """Serve `CLIENTS` clients, and tell in which order they were done."""
    finished: list[int] = []
    before()
    listener = adopt(_ctrio.scripted_listener(PORT))
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(accept_all, nursery, listener)
        for number in range(CLIENTS):
            nursery.start_soon(call, number, finished)
    return finished


def run(seed: int, before: Callable[[], None] = int) -> tuple[list[int], int, int, int]:
    """Run it: the order of the clients, the trace's hash and length, sockets left."""
    result: tuple[list[int], int, int, int]
    result = _ctrio.run_scripted(seed, placeholder, echo, before)[:4]
    return result


# The numbers of Linux's system calls: memory, what an allocator may lock, exit; close,
# dup (fcntl's too) and getsockname.
ALLOWED = {
    "x86_64": (9, 10, 11, 12, 25, 28, 202, 231, 3, 32, 72, 51),
    "aarch64": (222, 226, 215, 214, 216, 233, 98, 94, 57, 23, 25, 204),
}


def seal() -> None:
    """Have the kernel end this process at any call not in ALLOWED (seccomp)."""
    allowed = ALLOWED[platform.machine()]
    code = [struct.pack("HBBI", 0x20, 0, 0, 0)]  # load the number of the call
    for number in allowed:
        code.append(struct.pack("HBBI", 0x15, 0, 1, number))  # is it this one?
        code.append(struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000))  # go on
    code.append(struct.pack("HBBI", 0x06, 0, 0, 0x80000000))  # end the process
    filters = ctypes.create_string_buffer(b"".join(code))
    program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(filters))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(38, 1, 0, 0, 0) != 0 or prctl(22, 2, program, 0, 0) != 0:
        sys.exit(77)


def main() -> None:
    """Run once to fill every cache, and once more shut in."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # or run() puts a handler in place
    first = run(1)
    ctypes.CDLL(None).prctl  # noqa: B018  # what seal() needs is there
    again = run(1, seal if sys.argv[1:] == ["sealed"] else int)
    os._exit(0 if again == first else 1)


if __name__ == "__main__":
    main()
