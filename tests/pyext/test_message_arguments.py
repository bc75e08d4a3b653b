"""What `recvfrom`, `recvmsg`, `sendto` and `sendmsg` take, and what they refuse."""

from __future__ import annotations

import socket as stdlib_socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from datagrams import DATAGRAMS, Pair, ours

import ctrio
from ctrio import socket as tsocket
from ctrio.testing import assert_checkpoints, assert_no_checkpoints, trio_test

Arguments = tuple[Any, ...]


# Addresses.


class Resolver(ctrio.abc.HostnameResolver):
    """Knows one address, and remembers what it was asked."""

    def __init__(self, address: tuple[Any, ...]) -> None:
        self.address = address
        self.asked: list[object] = []

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: object,
        port: object,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> list[object]:
        self.asked.append((host, port, family, type, proto))
        return [(family, type, proto, "", self.address)]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:  # type: ignore[override]
        raise NotImplementedError


@trio_test
async def test_names_are_looked_up_and_numbers_are_not(bound: Pair) -> None:
    left, right = bound
    there = right.getsockname()
    resolver = Resolver(there)
    tsocket.set_custom_hostname_resolver(resolver)
    assert await left.sendto(b"one", there) == 3
    assert await left.sendmsg([b"two"], [], 0, there) == 3
    assert resolver.asked == []
    with assert_checkpoints():
        assert await left.sendto(b"three", ("somewhere", 80)) == 5
    with assert_checkpoints():
        assert await left.sendto(b"four", 0, ("somewhere", "http")) == 4
    with assert_checkpoints():
        assert await left.sendmsg([b"five"], [], 0, ("somewhere", 80)) == 4
    kind = (left.family, DATAGRAMS, 0)
    assert resolver.asked == [
        (b"somewhere", 80, *kind),
        (b"somewhere", "http", *kind),
        (b"somewhere", 80, *kind),
    ]
    for data in (b"one", b"two", b"three", b"four", b"five"):
        assert await right.recv(10) == data


@trio_test
async def test_an_address_that_makes_no_sense_fails_before_any_checkpoint(
    bound: Pair, pair: Pair
) -> None:
    sock: Any = bound[0]
    unix: Any = pair[0]
    port = bound[1].getsockname()[1]
    with ctrio.CancelScope() as scope:
        scope.cancel()  # nobody looks
        for wrong in (5, None, "127.0.0.1", ("127.0.0.1",), [sock.getsockname()]):
            with (
                assert_no_checkpoints(),
                pytest.raises(ValueError, match="address sho"),
            ):
                await sock.sendto(b"x", wrong)
        with assert_no_checkpoints(), pytest.raises(ValueError, match="null character"):
            await sock.sendto(b"x", (sock.getsockname()[0] + "\0", port))
        with assert_no_checkpoints(), pytest.raises(ValueError, match="address should"):
            await sock.sendmsg([b"x"], [], 0, "nowhere")
        with assert_no_checkpoints(), pytest.raises(AssertionError):
            await unix.sendto(b"x", 5)
        with assert_no_checkpoints(), pytest.raises(IndexError, match="out of range"):
            await sock.sendto()
    assert not scope.cancelled_caught


@trio_test
async def test_ports_may_be_of_any_integral_type(bound: Pair) -> None:
    class Address(tuple[Any, ...]):
        pass

    class Port(int):
        pass

    left, right = bound
    host, port, *rest = right.getsockname()
    assert await left.sendto(b"x", Address((host, Port(port), *rest))) == 1
    assert (await right.recvfrom(10))[1] == left.getsockname()
    if rest:  # what does not fit there is cut off, without a word
        assert await left.sendto(b"x", (host, port, 1 << 32, 1 << 32)) == 1
        assert (await right.recvmsg(10))[3] == left.getsockname()


AUDIT = """
import socket
import sys
import ctrio
from ctrio.testing import assert_checkpoints, wait_all_tasks_blocked

events = []
refuse = False

def hook(name, args):
    if name in ("socket.sendto", "socket.sendmsg"):
        events.append((name, *args))
        if refuse:
            raise PermissionError("refused")

sys.addaudithook(hook)

async def main():
    global refuse
    left, right = socket.socketpair(type=socket.SOCK_DGRAM)
    udp = socket.socket(type=socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    address = udp.getsockname()
    with left, right, udp:
        sock, pair = (ctrio.socket.from_stdlib_socket(raw) for raw in (udp, left))
        await sock.sendto(b"x", address)
        await sock.sendmsg([b"x"], [], 0, address)
        await pair.sendmsg([b"x"])
        assert events == [
            ("socket.sendto", udp, address),
            ("socket.sendmsg", udp, address),
            ("socket.sendmsg", left, None),
        ], events
        events.clear()
        # Not for an address that is wrong; for buffers that are, and before them.
        for wrong in (
            lambda: sock.sendto("x", address),
            lambda: sock.sendto(b"x", ("127.0.0.1", 70000)),
            lambda: sock.sendmsg([b"x"], [], "x", address),
            lambda: sock.sendmsg([5], [], 0, address),
            lambda: sock.sendmsg([b"x"], 5, 0, address),
        ):
            try:
                await wrong()
            except (TypeError, OverflowError):
                pass
            else:
                raise AssertionError("it was not refused")
        assert events == [("socket.sendmsg", udp, address)] * 2, events
        events.clear()
        refuse = True
        for refused in (sock.sendto(b"y", address), pair.sendmsg([b"y"])):
            try:
                with assert_checkpoints():
                    await refused
            except PermissionError as exc:
                assert str(exc) == "refused"
            else:
                raise AssertionError("the hook was not heard")
        refuse = False
        # One event a call of the system: two for one that waits.
        count = 0
        try:
            while True:
                left.send(b"x")
                count += 1
        except BlockingIOError:
            events.clear()
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(pair.sendmsg, [b"z"])
            await wait_all_tasks_blocked()
            assert events == [("socket.sendmsg", left, None)]
            for _ in range(count):
                right.recv(10)
        assert set(events[1:]) == {("socket.sendmsg", left, None)}

ctrio.run(main)
"""


def test_sends_are_audited() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AUDIT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# Arguments.


class WrongIterable:
    def __iter__(self) -> None:
        raise TypeError("mine")


class WrongSequence:
    def __getitem__(self, index: int) -> None:
        raise TypeError("mine")


CUT = memoryview(bytearray(8))[::2]
HERE = ("127.0.0.1", 9)
WRONG: dict[str, list[Arguments]] = {
    "recvfrom": [(), (1, 2, 3), ("x",), (-1,), (1.5,), (1, "x"), (2**70,)],
    "recvfrom_into": [
        *(
            (),
            (b"x",),
            (bytearray(3), 4),
            (bytearray(3), -1),
            (CUT,),
            (bytearray(3), "x"),
        ),
        *((bytearray(3), 1, 2**40), (5,), (bytearray(1), 1, 1, 1)),
    ],
    "recvmsg": [
        *((), (-1,), ("x",), (1, -1), (1, 2**31), (1, "x"), (1, 1, "x"), (1, 1, 1, 1)),
        (-1, -1),
    ],
    "recvmsg_into": [
        *((), (5,), ([5],), ([b"x"],), ([CUT],), ([], -1), ([], 2**31), ([5], -1)),
        *((WrongIterable(),), (WrongSequence(),), ([], 1, "x"), ([], 1, 1, 1)),
    ],
    "sendto": [
        *((b"x", 0, 0, HERE), ("x", HERE), (CUT, HERE), (b"x", "y", HERE)),
        *((b"x", ("127.0.0.1", 70000)), (b"x", ("127.0.0.1", -1)), (b"x", 2**40, HERE)),
        *((b"x", ("127.0.0.1", 2**70)), ("x", ("127.0.0.1", 70000))),
    ],
    "sendmsg": [
        *((5,), ([5],), (b"ab",), ([CUT],), (WrongIterable(),), (WrongSequence(),)),
        *(([b"x"], None), ([b"x"], 5), ([b"x"], [5]), ([b"x"], [(1, 2)])),
        *(([b"x"], [(1, 2, "x")]), ([b"x"], [("x", 2, b"x")]), ([b"x"], [(1, 2, CUT)])),
        *(([b"x"], (), "x"), ([5], None, "x"), ([5], None), ([5], (), 0, None)),
        ([b"x"], (), 0, ("127.0.0.1", 70000)),
    ],
}


@pytest.mark.parametrize(
    ("method", "args"), [(method, args) for method in WRONG for args in WRONG[method]]
)
@trio_test
async def test_wrong_arguments_fail_like_the_standard_library_s_but_after_a_checkpoint(
    method: str, args: Arguments
) -> None:
    with stdlib_socket.socket(type=DATAGRAMS) as raw:
        sock = ours(raw)
        with pytest.raises(Exception) as standard:
            getattr(stdlib_socket.socket, method)(raw, *args)
        coroutine = getattr(sock, method)(*args)
        with assert_checkpoints(), pytest.raises(standard.type) as caught:
            await coroutine
    assert str(caught.value) == str(standard.value)


@trio_test
async def test_keywords_are_where_the_standard_library_has_them(pair: Pair) -> None:
    sock: Any = pair[0]
    await pair[1].send(b"abc")
    assert await sock.recvfrom_into(buffer=bytearray(5), nbytes=2, flags=0) == (2, None)
    for method in ("recvfrom", "recvmsg", "recvmsg_into"):
        with pytest.raises(TypeError) as standard:
            getattr(stdlib_socket.socket, method)(sock._sock, bufsize=1)
        with assert_checkpoints(), pytest.raises(TypeError) as caught:
            await getattr(sock, method)(bufsize=1)
        # While there is a profile function CPython leaves the name of the class away.
        assert str(caught.value).removeprefix("socket.") == (
            str(standard.value).removeprefix("socket.")
        )


SENDTO = "_SocketType.sendto() "
SENDMSG = "_SocketType.sendmsg() "
MISUSES: list[tuple[Callable[[Any], object], str]] = [
    (
        lambda s: s.sendto(b"x", flags=1),
        SENDTO + "got an unexpected keyword argument 'flags'",
    ),
    (
        lambda s: s.sendmsg(),
        SENDMSG + "missing 1 required positional argument: 'buffers'",
    ),
    (
        lambda s: s.sendmsg(1, 2, 3, 4, 5),
        SENDMSG + "takes from 2 to 5 positional arguments but 6 were given",
    ),
    (
        lambda s: s.sendmsg([], flags=1),
        SENDMSG
        + "got some positional-only arguments passed as keyword arguments: 'flags'",
    ),
    (lambda s: s.sendmsg([], x=1), SENDMSG + "got an unexpected keyword argument 'x'"),
]


@pytest.mark.parametrize(("call", "message"), MISUSES)
def test_what_a_python_function_would_not_take_is_refused_at_the_call(
    call: Callable[[Any], object], message: str, pair: Pair
) -> None:
    with pytest.raises(TypeError) as caught:
        call(pair[0])
    assert str(caught.value) == message


@trio_test
async def test_a_list_that_shrinks_while_it_is_read_harms_nobody(pair: Pair) -> None:
    class Level:
        def __index__(self) -> int:
            items.clear()
            return stdlib_socket.SOL_SOCKET

    items: list[Any] = [(Level(), stdlib_socket.SCM_RIGHTS, b"") for _ in range(3)]
    assert await pair[0].sendmsg([b"x"], items) == 1


class OfPython:
    """An object whose buffer comes from a method of a Python class (PEP 688)."""

    def __init__(self, *memories: memoryview) -> None:
        self.memories = list(
            memories
        )  # One for each time that it is asked; the last stays.

    def __buffer__(self, flags: int) -> memoryview:
        return self.memories.pop(0) if len(self.memories) > 1 else self.memories[0]


needs_pep_688 = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="__buffer__ methods came with CPython 3.12"
)
SEND: dict[str, Callable[[Any, Any], Any]] = {
    "send": lambda sock, data: sock.send(data),
    "sendmsg": lambda sock, data: sock.sendmsg([data]),
}
RECEIVE: dict[str, Callable[[Any, Any], Any]] = {
    "recv_into": lambda sock, buffer: sock.recv_into(buffer),
    "recv_into, by name": lambda sock, buffer: sock.recv_into(buffer=buffer),
    "recvfrom_into": lambda sock, buffer: sock.recvfrom_into(buffer),
    "recvfrom_into, by name": lambda sock, buffer: sock.recvfrom_into(buffer=buffer),
    "recvmsg_into": lambda sock, buffer: sock.recvmsg_into([buffer]),
}


@needs_pep_688
@pytest.mark.parametrize("send", SEND.values(), ids=SEND)
@trio_test
async def test_what_is_sent_may_come_from_a_method(
    send: Callable[[Any, Any], Any], pair: Pair
) -> None:
    assert await send(pair[0], OfPython(memoryview(b"abc"))) == 3
    assert await pair[1].recv(10) == b"abc"


@needs_pep_688
@trio_test
async def test_what_is_sent_to_an_address_may_come_from_a_method(bound: Pair) -> None:
    left, right = bound
    assert await left.sendto(OfPython(memoryview(b"abc")), right.getsockname()) == 3
    assert await right.recv(10) == b"abc"


@needs_pep_688
@pytest.mark.parametrize("receive", RECEIVE.values(), ids=RECEIVE)
@trio_test
async def test_what_is_received_may_go_where_a_method_says(
    receive: Callable[[Any, Any], Any], pair: Pair
) -> None:
    memory = bytearray(5)
    await pair[1].send(b"abc")
    await receive(pair[0], OfPython(memoryview(memory)))
    assert memory == b"abc\0\0"


@needs_pep_688
@pytest.mark.parametrize("receive", RECEIVE.values(), ids=RECEIVE)
@pytest.mark.parametrize(
    "second",
    [memoryview(b"abcde"), memoryview(bytearray(10))[::2]],
    ids=["read", "apart"],
)
@trio_test
async def test_a_method_that_changes_its_mind_is_refused(
    receive: Callable[[Any, Any], Any], second: memoryview, pair: Pair
) -> None:
    buffer = OfPython(memoryview(bytearray(5)), second)
    await pair[1].send(b"abc")
    with pytest.raises(BufferError):
        await receive(pair[0], buffer)
    assert await pair[0].recv(10) == b"abc"
