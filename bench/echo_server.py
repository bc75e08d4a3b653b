"""An echo server in a process of its own, for the echo row.

    python echo_server.py KIND MODULE [VARIANT]

It listens on the loopback interface, says {"port": …} on standard output and serves
until it is killed. VARIANT is "stream" for trio's interface, and for asyncio's
"protocol" or "buffered".
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from surroundings import load, run_on_asyncio, run_on_trio

HOST = "127.0.0.1"
BUFFER_BYTES = 65536


def say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


async def serve_trio(trio: Any) -> None:
    async def echo(stream: Any) -> None:
        receive, send = stream.receive_some, stream.send_all
        while data := await receive(BUFFER_BYTES):
            await send(data)

    async with trio.open_nursery() as nursery:
        serve = trio.serve_tcp
        listeners = await nursery.start(lambda **k: serve(echo, 0, host=HOST, **k))
        say({"port": listeners[0].socket.getsockname()[1]})


def make_protocol(aio: Any, variant: str) -> Any:
    """The protocol class: made here, since asyncio comes as an argument."""

    class Echo(aio.Protocol):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:
            self.write = transport.write

        def data_received(self, data: bytes) -> None:
            self.write(data)

    class BufferedEcho(aio.BufferedProtocol):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:
            self.write = transport.write
            self.view = memoryview(bytearray(BUFFER_BYTES))

        def get_buffer(self, sizehint: int) -> memoryview:
            return self.view

        def buffer_updated(self, nbytes: int) -> None:
            self.write(bytes(self.view[:nbytes]))

    return {"protocol": Echo, "buffered": BufferedEcho}[variant]


async def serve_asyncio(aio: Any, variant: str) -> None:
    loop = aio.get_running_loop()
    server = await loop.create_server(make_protocol(aio, variant), HOST, 0)
    say({"port": server.sockets[0].getsockname()[1]})
    await loop.create_future()


def main() -> None:
    kind, module_name, variant = sys.argv[1:4]
    module, _ = load(module_name)
    if kind == "trio":
        run_on_trio(module, lambda: serve_trio(module))
    else:
        aio = importlib.import_module("asyncio")
        run_on_asyncio(aio, module, lambda: serve_asyncio(aio, variant))


if __name__ == "__main__":
    main()
