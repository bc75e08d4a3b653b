"""An HTTP/1.1 server for a folder, as a plain Trio program.

    python file_server.py [FOLDER] [--port PORT]

- `Server.run`: cancelling the inner nursery stops the accepting; the deadline of
  the outer one is the time that running responses then get to finish.
- `Server.serve`: a nursery for each connection: one task talks to the client, one
  hangs up on it when the server stops.
- `Connection.receive_request`: one cancel scope hangs up on an idle client, times
  out a slow one, and ends the waiting when the server stops.
- `Connection.talk`: a crash ends its own connection and nothing else.
"""

from __future__ import annotations

import argparse
import mimetypes
import os
import signal
import sys
import traceback
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote

import h11
import trio

CHUNK = 64 * 1024
CRASH_URL = "/__crash__"


class Server:
    """A folder on the network, and what has become of the requests for it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.folder = options.folder.resolve()
        self.stopping = trio.Event()
        self.connections = self.running = 0
        self.served = self.timed_out = self.crashed = self.cut_off = 0

    async def run(self) -> int:
        """Serve until SIGINT or SIGTERM; return the number of tasks left over."""
        tasks_before = trio.lowlevel.current_statistics().tasks_living
        options = self.options
        listeners = await trio.open_tcp_listeners(options.port, host=options.host)
        host, port = listeners[0].socket.getsockname()[:2]
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as connections:
                async with trio.open_nursery() as accepting:
                    accept = partial(trio.serve_listeners, handler_nursery=connections)
                    accepting.start_soon(accept, self.serve, listeners)
                    print(f"serving {self.folder} on http://{host}:{port}/", flush=True)
                    await anext(signals)
                    accepting.cancel_scope.cancel()
                print(f"stopping: {self.running} responses running", flush=True)
                self.stopping.set()
                connections.cancel_scope.deadline = trio.current_time() + options.grace
        return trio.lowlevel.current_statistics().tasks_living - tasks_before

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection in a nursery of its own."""
        self.connections += 1
        name = f"connection {self.connections}"
        connection = Connection(self, stream)
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(connection.talk, nursery.cancel_scope, name=name)
            await self.stopping.wait()
            connection.receiving.cancel()

    def find(self, url_path: str) -> Path | None:
        """Return the file behind a URL, or None if there is none.

        Links are followed first and the result judged afterwards, so that neither
        `..` nor a symbolic link leads out of the folder.
        """
        try:
            wanted = self.folder / url_path.lstrip("/")
            found = Path(os.path.realpath(wanted, strict=True))
        except (OSError, ValueError):
            return None
        good = found.is_relative_to(self.folder) and found.is_file()
        return found if good and os.access(found, os.R_OK) else None


class Connection:
    """One client: h11 knows the protocol, the stream carries the bytes."""

    def __init__(self, server: Server, stream: trio.SocketStream) -> None:
        self.server = server
        self.stream = stream
        self.http = h11.Connection(h11.SERVER)
        self.request: h11.Request | None = None
        self.wants_head = False
        self.receiving = trio.CancelScope()

    async def talk(self, connection_scope: trio.CancelScope) -> None:
        """Answer this client until either side has had enough; contain a crash."""
        try:
            await self.answer_requests()
        except trio.TooSlowError:  # It does not take what we send.
            self.server.timed_out += 1
        except trio.BrokenResourceError:
            pass  # It went away, which is its right.
        except Exception as error:
            self.server.crashed += 1
            report_crash(error, self.request)
            with suppress(trio.TooSlowError, trio.BrokenResourceError):
                if self.http.our_state is h11.SEND_RESPONSE:
                    await self.send_page(HTTPStatus.INTERNAL_SERVER_ERROR)
        connection_scope.cancel()

    async def answer_requests(self) -> None:
        while not self.server.stopping.is_set():
            request = await self.receive_request()
            if request is None:
                return
            self.server.running += 1
            try:
                await self.respond(request)
            except trio.Cancelled:
                self.server.cut_off += 1
                raise
            finally:
                self.server.running -= 1
            self.server.served += 1
            if self.http.our_state is not h11.DONE:
                return  # One side said "Connection: close".
            self.http.start_next_cycle()

    async def receive_request(self) -> h11.Request | None:
        """Return the next request, or None when this client has to go."""
        options = self.server.options
        try:
            with trio.move_on_after(options.idle_timeout) as self.receiving:
                if not self.http.trailing_data[0]:
                    self.http.receive_data(await self.stream.receive_some(CHUNK))
                self.receiving.deadline = trio.current_time() + options.timeout
                return await self.read_request()
        except h11.RemoteProtocolError:
            await self.send_page(HTTPStatus.BAD_REQUEST)
            return None
        begun = self.http.their_state is not h11.IDLE or self.http.trailing_data[0]
        if begun and not self.server.stopping.is_set():
            self.server.timed_out += 1
            await self.send_page(HTTPStatus.REQUEST_TIMEOUT)
        return None

    async def read_request(self) -> h11.Request | None:
        self.request, self.wants_head = None, False
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.http.receive_data(await self.stream.receive_some(CHUNK))
            elif isinstance(event, h11.Request):
                self.request = event
                self.wants_head = event.method == b"HEAD"
            elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                return self.request

    async def respond(self, request: h11.Request) -> None:
        path = unquote(request.target.decode("ascii").partition("?")[0])
        if request.method not in (b"GET", b"HEAD"):
            await self.send_page(HTTPStatus.NOT_IMPLEMENTED)
        elif path == CRASH_URL and self.server.options.crash:
            raise RuntimeError("this URL crashes on purpose")
        elif (found := self.server.find(path)) is None:
            await self.send_page(HTTPStatus.NOT_FOUND)
        else:
            await self.send_file(found)

    async def send_file(self, path: Path) -> None:
        with open(path, "rb") as file:
            left = os.fstat(file.fileno()).st_size
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            events: list[h11.Event] = [self.head(HTTPStatus.OK, kind, left)]
            while not self.wants_head and (data := file.read(min(CHUNK, left))):
                left -= len(data)
                await self.send(*events, h11.Data(data=data))
                events = []
            await self.send(*events, h11.EndOfMessage())

    async def send_page(self, status: HTTPStatus) -> None:
        data = f"{status.value} {status.phrase}\n".encode()
        head = self.head(status, "text/plain", len(data))
        body = [] if self.wants_head else [h11.Data(data=data)]
        await self.send(head, *body, h11.EndOfMessage())

    def head(self, status: HTTPStatus, kind: str, length: int) -> h11.Response:
        close = status >= 400 or self.server.stopping.is_set()
        headers = [
            ("Date", formatdate(usegmt=True)),
            ("Content-Type", kind),
            ("Content-Length", str(length)),
            ("Connection", "close" if close else "keep-alive"),
        ]
        return h11.Response(status_code=status, headers=headers, reason=status.phrase)

    async def send(self, *events: h11.Event) -> None:
        data = b"".join(self.http.send(event) or b"" for event in events)
        if data:
            with trio.fail_after(self.server.options.send_timeout):
                await self.stream.send_all(data)


def report_crash(error: Exception, request: h11.Request | None) -> None:
    """Tell on stderr which task crashed, at which request, and where."""
    target = request.target.decode("ascii") if request else "no request"
    task = trio.lowlevel.current_task()
    print(f"task {task.name!r} crashed at {target}", file=sys.stderr)
    traceback.print_exception(error)


def open_descriptors() -> int | None:
    """Count this process's open descriptors, where the system lists them."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the files of a folder by HTTP.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0: any free one")
    seconds = partial(parser.add_argument, type=float, metavar="SECONDS")
    seconds("--idle-timeout", default=60, help="for a client to begin a request")
    seconds("--timeout", default=10, help="for a client to end it")
    seconds("--send-timeout", default=30, help="for a client to take a chunk")
    seconds("--grace", default=5, help="for running responses, once stopped")
    parser.add_argument("--crash", action="store_true", help=f"{CRASH_URL} crashes")
    server = Server(parser.parse_args())
    before = open_descriptors()
    tasks = trio.run(server.run)
    after = open_descriptors()
    descriptors = "unknown" if before is None or after is None else after - before
    print(
        f"served {server.served}, timed out {server.timed_out}, "
        f"crashed {server.crashed}, cut off {server.cut_off}; "
        f"left over: tasks {tasks}, descriptors {descriptors}"
    )


if __name__ == "__main__":
    main()
