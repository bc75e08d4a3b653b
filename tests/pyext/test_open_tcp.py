"""`open_tcp_listeners`, `serve_tcp`, `serve_listeners` and `open_tcp_stream`."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Iterable
from functools import partial
from math import inf

import pytest

import ctrio
from ctrio import SocketListener, SocketStream, socket as tsocket
from ctrio._highlevel_open_tcp_stream import (
    close_all,
    format_host_port,
    reorder_for_rfc_6555_section_5_4,
)
from ctrio.testing import MockClock, open_stream_to_socket_listener, trio_test

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

V4, V6 = tsocket.AF_INET, tsocket.AF_INET6


@pytest.fixture
def clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@trio_test
async def test_listeners_are_opened_for_each_address() -> None:
    (listener,) = await ctrio.open_tcp_listeners(0, host="127.0.0.1", backlog=5)
    async with listener:
        assert listener.socket.getsockname()[1] != 0
        reuse = listener.socket.getsockopt(tsocket.SOL_SOCKET, tsocket.SO_REUSEADDR)
        assert reuse
        async with await open_stream_to_socket_listener(listener) as client:
            async with await listener.accept() as server:
                assert server.socket.getsockname() == client.socket.getpeername()


@trio_test
async def test_bad_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="port must be an int not '80'"):
        await ctrio.open_tcp_listeners("80")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"backlog must be an int or None, not 1\.5"):
        await ctrio.open_tcp_listeners(0, backlog=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="host must be str or bytes, not 3"):
        await ctrio.open_tcp_stream(3, 80)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="port must be int, not '80'"):
        await ctrio.open_tcp_stream("127.0.0.1", "80")  # type: ignore[arg-type]


class World(ctrio.abc.SocketFactory, ctrio.abc.HostnameResolver):
    """A network where names have the addresses of a list, and sockets a fate.

    A fate is what `connect` does: after so many seconds it succeeds, or raises.
    """

    def __init__(self, addresses: Iterable[tuple[int, str]] = ()) -> None:
        self.addresses = list(addresses)
        self.fates: dict[str, float | OSError] = {}
        self.sockets: list[Fake] = []
        self.unsupported: set[int] = set()
        self.fail_to_bind: set[str] = set()

    def install(self) -> None:
        tsocket.set_custom_socket_factory(self)
        tsocket.set_custom_hostname_resolver(self)

    async def getaddrinfo(self, host: object, port: object, *args: int) -> list:  # type: ignore[override,type-arg]
        return [
            (family, tsocket.SOCK_STREAM, 0, "", (address, port))
            for family, address in self.addresses
        ]

    async def getnameinfo(self, *args: object) -> tuple[str, str]:
        raise AssertionError

    def socket(self, family: int = 0, *args: int) -> Fake:  # type: ignore[override]
        if family in self.unsupported:
            raise OSError(errno.EAFNOSUPPORT, "no such family")
        self.sockets.append(Fake(self, family))
        return self.sockets[-1]


class Fake(tsocket.SocketType):
    type = tsocket.SOCK_STREAM

    def __init__(self, world: World, family: int) -> None:
        super().__init__()
        self.world = world
        self._family = family
        self.closed = False
        self.connected_to: object = None
        self.connected_at: float | None = None
        self.bound_to: object = None
        self.options: list[tuple[object, ...]] = []

    @property
    def family(self) -> int:  # type: ignore[override]
        return self._family

    def setsockopt(self, *args: object) -> None:  # type: ignore[override]
        self.options.append(args)

    def getsockopt(self, *args: object) -> int:  # type: ignore[override]
        return 1

    async def bind(self, address: object) -> None:
        await ctrio.lowlevel.checkpoint()
        if address[0] in self.world.fail_to_bind:  # type: ignore[index]
            raise OSError(errno.EADDRNOTAVAIL, "no such address")
        self.bound_to = address

    def listen(self, backlog: int = 0) -> None:
        self.backlog = backlog

    async def connect(self, address: object) -> None:
        self.connected_to = address
        self.began_at = ctrio.current_time()
        fate = self.world.fates[address[0]]  # type: ignore[index]
        if isinstance(fate, OSError):
            raise fate
        await ctrio.sleep(fate)
        self.connected_at = ctrio.current_time()

    def close(self) -> None:
        self.closed = True


@trio_test
async def test_a_family_that_the_system_lacks_is_left_out() -> None:
    world = World([(V4, "1.1.1.1"), (V6, "::1")])
    world.install()
    world.unsupported = {V6}
    (listener,) = await ctrio.open_tcp_listeners(80, host="name", backlog=10**6)
    assert listener.socket is world.sockets[0]
    assert world.sockets[0].backlog == 0xFFFF
    world.unsupported = {V4, V6}
    text = "doesn't support any of the kinds of socket"
    with pytest.raises(OSError, match=text) as caught:
        await ctrio.open_tcp_listeners(80, host="name")
    assert caught.value.errno == errno.EAFNOSUPPORT
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert len(caught.value.__cause__.exceptions) == 2


@trio_test
async def test_one_address_that_fails_closes_the_others() -> None:
    world = World([(V6, "::1"), (V4, "1.1.1.1")])
    world.install()
    world.fail_to_bind = {"1.1.1.1"}
    with pytest.raises(OSError) as caught:
        await ctrio.open_tcp_listeners(80, host="name")
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert [sock.closed for sock in world.sockets] == [True, True]
    assert (tsocket.IPPROTO_IPV6, tsocket.IPV6_V6ONLY, 1) in world.sockets[0].options


@trio_test
async def test_a_server_serves_each_connection_in_a_task() -> None:
    async def shout(stream: SocketStream) -> None:
        async for chunk in stream:
            await stream.send_all(chunk.upper())

    async with ctrio.open_nursery() as nursery:
        serve = partial(ctrio.serve_tcp, host="127.0.0.1")
        listeners: list[SocketListener] = await nursery.start(serve, shout, 0)
        clients = [await open_stream_to_socket_listener(listeners[0]) for _ in "12"]
        for client in clients:
            await client.send_all(b"hello")
        for client in clients:
            assert await client.receive_some() == b"HELLO"
            await client.aclose()
        nursery.cancel_scope.cancel()
    assert listeners[0].socket.fileno() == -1


class Listener(ctrio.abc.Listener[ctrio.abc.AsyncResource]):
    """Accepts what is in a list, then nothing more."""

    def __init__(self, events: list[object]) -> None:
        self.events = events
        self.closed = False

    async def accept(self) -> ctrio.abc.AsyncResource:
        await ctrio.lowlevel.checkpoint()
        if not self.events:
            await ctrio.sleep_forever()
        event = self.events.pop(0)
        if isinstance(event, BaseException):
            raise event
        assert isinstance(event, ctrio.abc.AsyncResource)
        return event

    async def aclose(self) -> None:
        self.closed = True
        await ctrio.lowlevel.checkpoint()


class Resource(ctrio.abc.AsyncResource):
    closed = False

    async def aclose(self) -> None:
        self.closed = True
        await ctrio.lowlevel.checkpoint()


@trio_test
async def test_connections_are_closed_for_handlers_that_do_not(
    clock: MockClock,
) -> None:
    resource = Resource()
    listener = Listener([resource])

    async def handle(stream: ctrio.abc.AsyncResource) -> None:
        assert stream is resource
        assert not resource.closed

    with ctrio.move_on_after(1):
        await ctrio.serve_listeners(handle, [listener])
    assert resource.closed
    assert listener.closed


@trio_test
async def test_handlers_may_live_in_another_nursery(clock: MockClock) -> None:
    resource = Resource()
    listener = Listener([resource])
    running: list[str] = []

    async def handle(stream: object) -> None:
        running.append("begun")
        await ctrio.sleep(10)
        running.append("ended")

    async with ctrio.open_nursery() as handlers:
        with ctrio.move_on_after(1):
            await ctrio.serve_listeners(handle, [listener], handler_nursery=handlers)
        assert running == ["begun"]
    assert running == ["begun", "ended"]


@trio_test
async def test_without_room_it_tries_again_after_a_while(
    clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    codes = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS]
    resource = Resource()
    listener = Listener([*(OSError(code, "full") for code in codes), resource])
    handled: list[float] = []

    async def handle(stream: object) -> None:
        handled.append(ctrio.current_time())

    with ctrio.move_on_after(1):
        await ctrio.serve_listeners(handle, [listener])
    assert handled == [pytest.approx(0.4)]
    assert {record.name for record in caplog.records} == {"trio.serve_listeners"}
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    first = caplog.records[0]
    assert first.getMessage().startswith("accept returned EMFILE (Too many open files)")
    assert first.exc_info is not None


@trio_test
async def test_other_errors_end_the_server() -> None:
    error = OSError(errno.EFAULT, "?")
    with pytest.raises(ExceptionGroup) as caught:
        await ctrio.serve_listeners(ctrio.sleep, [Listener([error])])  # type: ignore[arg-type]
    assert caught.value.exceptions == (error,)


def test_hosts_and_ports_are_written_as_in_urls() -> None:
    assert format_host_port("1.2.3.4", 80) == "1.2.3.4:80"
    assert format_host_port(b"example.com", "https") == "example.com:https"
    assert format_host_port("::1", 80) == "[::1]:80"


@pytest.mark.parametrize(
    ("families", "expected"),
    [("6644", "6464"), ("4466", "4646"), ("666", "666"), ("64", "64"), ("", "")],
)
def test_the_second_address_is_of_the_other_family(
    families: str, expected: str
) -> None:
    targets = [(family, number) for number, family in enumerate(families)]
    reorder_for_rfc_6555_section_5_4(targets)  # type: ignore[arg-type]
    assert "".join(family for family, _ in targets)[:2] == expected[:2]
    assert sorted(number for _, number in targets) == list(range(len(families)))


def test_all_sockets_are_closed_even_if_some_do_not_want_to() -> None:
    class Stubborn:
        def __init__(self, error: BaseException | None = None) -> None:
            self.error = error

        def close(self) -> None:
            if self.error is not None:
                error, self.error = self.error, None
                raise error

    errors = [KeyError(), KeyboardInterrupt()]
    with pytest.raises(BaseExceptionGroup) as caught:
        with close_all() as sockets:
            for error in [*errors, None]:
                sockets.add(Stubborn(error))  # type: ignore[arg-type]
    assert set(caught.value.exceptions) == set(errors)
    with pytest.raises(KeyError):
        with close_all() as sockets:
            sockets.add(Stubborn(KeyError()))  # type: ignore[arg-type]
            sockets.add(Stubborn())  # type: ignore[arg-type]


def test_sockets_are_closed_in_the_order_in_which_they_came() -> None:
    closed: list[int] = []

    class Numbered:
        def __init__(self, number: int) -> None:
            self.number = number

        def close(self) -> None:
            closed.append(self.number)

    backwards = [Numbered(number) for number in range(20)][::-1]
    with close_all() as sockets:
        for sock in backwards:
            sockets.add(sock)  # type: ignore[arg-type]
        sockets.remove(backwards[7])  # type: ignore[arg-type]
    assert closed == [*range(19, 12, -1), *range(11, -1, -1)]


ADDRESSES = [(V6, "::1"), (V6, "::2"), (V4, "1.1.1.1"), (V4, "1.1.1.2")]


async def connect(world: World, **kwargs: float) -> tuple[object, float]:
    """Connect; return the address and when, and check that the losers are closed."""
    world.install()
    stream = await ctrio.open_tcp_stream("name", 80, **kwargs)  # type: ignore[arg-type]
    winner = stream.socket
    assert isinstance(winner, Fake)
    assert not winner.closed
    assert all(sock.closed for sock in world.sockets if sock is not winner)
    return winner.connected_to, ctrio.current_time()


@trio_test
async def test_the_first_address_wins_if_it_answers(clock: MockClock) -> None:
    world = World(ADDRESSES)
    world.fates = {"::1": 0.2}
    assert await connect(world) == (("::1", 80), 0.2)
    assert len(world.sockets) == 1


@trio_test
async def test_the_next_is_tried_after_a_quarter_of_a_second(clock: MockClock) -> None:
    world = World(ADDRESSES)
    world.fates = {"::1": 10, "1.1.1.1": 0.2}
    assert await connect(world) == (("1.1.1.1", 80), 0.45)
    assert [sock.began_at for sock in world.sockets] == [0, 0.25]


@trio_test
async def test_the_next_is_tried_at_once_when_one_fails(clock: MockClock) -> None:
    world = World(ADDRESSES)
    refused = ConnectionRefusedError()
    world.fates = {"::1": refused, "1.1.1.1": refused, "::2": 10, "1.1.1.2": 1}
    assert await connect(world, happy_eyeballs_delay=2) == (("1.1.1.2", 80), 3)
    assert [sock.began_at for sock in world.sockets] == [0, 0, 0, 2]


@trio_test
async def test_one_at_a_time_with_an_infinite_delay(clock: MockClock) -> None:
    world = World(ADDRESSES)
    world.fates = {"::1": 100}
    assert await connect(world, happy_eyeballs_delay=inf) == (("::1", 80), 100)


@trio_test
async def test_if_all_fail_all_errors_are_told(clock: MockClock) -> None:
    world = World(ADDRESSES)
    world.install()
    world.fates = {address: OSError(address) for _, address in ADDRESSES}
    text = "all attempts to connect to name:80 failed"
    with pytest.raises(OSError, match=text) as caught:
        await ctrio.open_tcp_stream("name", 80)
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert len(caught.value.__cause__.exceptions) == 4
    assert all(sock.closed for sock in world.sockets)


@trio_test
async def test_a_name_without_addresses_cannot_be_connected_to() -> None:
    World().install()
    with pytest.raises(OSError, match="no results found for hostname lookup: name:80"):
        await ctrio.open_tcp_stream("name", 80)


@trio_test
async def test_cancelled_it_closes_everything(clock: MockClock) -> None:
    world = World(ADDRESSES)
    world.install()
    world.fates = {address: 10 for _, address in ADDRESSES}
    with ctrio.move_on_after(1) as scope:
        await ctrio.open_tcp_stream("name", 80)
    assert scope.cancelled_caught
    assert len(world.sockets) == 4
    assert all(sock.closed for sock in world.sockets)


@trio_test
async def test_a_local_address_is_bound_to(clock: MockClock) -> None:
    world = World([(V4, "1.1.1.1")])
    world.install()
    world.fates = {"1.1.1.1": 0}
    stream = await ctrio.open_tcp_stream("name", 80, local_address="127.0.0.2")
    assert isinstance(stream.socket, Fake)
    assert stream.socket.bound_to == ("127.0.0.2", 0)
    world.fail_to_bind = {"127.0.0.2"}
    with pytest.raises(OSError) as caught:
        await ctrio.open_tcp_stream("name", 80, local_address="127.0.0.2")
    assert caught.value.__cause__ is not None
    (error,) = caught.value.__cause__.exceptions  # type: ignore[attr-defined]
    assert str(error) == (
        "local_address='127.0.0.2' is incompatible with remote address ('1.1.1.1', 80)"
    )
