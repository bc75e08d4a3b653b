"""Streams, listeners and sockets."""

from __future__ import annotations

import signal
from functools import partial

from typing_extensions import assert_type

import ctrio as trio
from ctrio.abc import HalfCloseableStream, Listener, ReceiveStream, SendStream, Stream
from ctrio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    memory_stream_one_way_pair,
    memory_stream_pair,
    open_stream_to_socket_listener,
)


async def echo(stream: Stream) -> None:
    async for chunk in stream:
        assert_type(chunk, "bytes | bytearray")
        await stream.send_all(chunk)


async def say(stream: trio.SocketStream, text: bytes) -> bytes:
    async with stream:
        await stream.send_all(memoryview(text))
        await stream.send_eof()
        answer = await stream.receive_some()
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_KEEPALIVE, 1)
        kept = stream.getsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_KEEPALIVE)
        assert_type(kept, int)
        raw = stream.getsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_KEEPALIVE, 4)
        assert_type(raw, bytes)
        return bytes(answer)


class Upper(SendStream):
    """A stream of the program's own."""

    def __init__(self, inner: SendStream) -> None:
        self.inner = inner

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(bytes(data).upper())

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.inner.aclose()


async def stapled() -> None:
    send, receive = memory_stream_one_way_pair()
    both = trio.StapledStream(Upper(send), receive)
    assert_type(both, trio.StapledStream[Upper, MemoryReceiveStream])
    assert_type(both.send_stream, Upper)
    half: HalfCloseableStream = both
    await half.send_all(b"abc")
    end: ReceiveStream = receive
    assert await end.receive_some(10) == b"ABC"
    left, right = memory_stream_pair()
    assert_type(left, trio.StapledStream[MemorySendStream, MemoryReceiveStream])
    await left.send_all(b"x")
    await trio.aclose_forcefully(right)


async def accept_one(listener: Listener[trio.SocketStream]) -> None:
    async with listener:
        stream = await listener.accept()
        assert_type(stream, trio.SocketStream)
        await stream.aclose()


async def by_tcp(nursery: trio.Nursery) -> None:
    listeners: list[trio.SocketListener] = await nursery.start(trio.serve_tcp, echo, 0)
    stream = await open_stream_to_socket_listener(listeners[0])
    assert await say(stream, b"over") == b"over"
    own = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=5)
    assert_type(own, list[trio.SocketListener])
    port = own[0].socket.getsockname()[1]
    nursery.start_soon(accept_one, own[0])
    client = await trio.open_tcp_stream("127.0.0.1", int(port))
    assert_type(client, trio.SocketStream)
    await client.aclose()
    more = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(partial(trio.serve_listeners, echo, more))


async def by_socket() -> None:
    left, right = trio.socket.socketpair()
    with left, right:
        assert_type(left, trio.socket.SocketType)
        assert_type(await left.send(b"abc"), int)
        assert_type(await right.recv(10), bytes)
    sock = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
    with sock:
        await sock.bind(("127.0.0.1", 0))
        await sock.sendto(b"x", sock.getsockname())
        data, _ = await sock.recvfrom(10)
        assert_type(data, bytes)


async def signals() -> None:
    with trio.open_signal_receiver(signal.SIGUSR1) as received:
        signal.raise_signal(signal.SIGUSR1)
        async for number in received:
            assert_type(number, int)
            break


async def main() -> None:
    await stapled()
    await by_socket()
    await signals()
    async with trio.open_nursery() as nursery:
        await by_tcp(nursery)
        nursery.cancel_scope.cancel()


trio.run(main)
