"""The program of test_c_echo.c, in Python: what both do, they do in the same order."""

from __future__ import annotations

from scripted_echo import adopt, placeholder

import ctrio
from ctrio import _ctrio, socket as tsocket

CLIENTS = 3
SIZE = 40
PORT = 7


async def serve(stream: ctrio.SocketStream) -> None:
    async with stream:
        while data := await stream.receive_some(10):
            await stream.send_all(data)


async def accept_all(nursery: ctrio.Nursery, listener: tsocket.SocketType) -> None:
    with listener:
        for _ in range(CLIENTS):
            sock, _ = await listener.accept()
            nursery.start_soon(serve, ctrio.SocketStream(sock))


async def call(number: int) -> None:
    said = bytes([65 + number]) * SIZE
    heard = b""
    await ctrio.sleep(0.5 * (number % 2))
    sock = adopt(_ctrio.scripted_socket())
    await sock.connect(("127.0.0.1", PORT))
    async with ctrio.SocketStream(sock) as stream:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, said)
            while len(heard) < SIZE:
                heard += await stream.receive_some(SIZE - len(heard))
    assert heard == said


async def echo() -> None:
    await ctrio.lowlevel.checkpoint()  # as opening a listener is one
    listener = adopt(_ctrio.scripted_listener(PORT))
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(accept_all, nursery, listener)
        for number in range(CLIENTS):
            nursery.start_soon(call, number)


def calls(seed: int) -> int:
    """Run it: the hash of the calls that it makes."""
    _, _, _, left, made = _ctrio.run_scripted(seed, placeholder, echo)
    assert left == 0
    return int(made)
