"""What a real program has around the measured code, and the loops it runs on.

A loop with no deadline and no descriptor can take shortcuts that no server ever
sees. So every slice and every echo server runs with one deadline an hour away and
one socket on which nothing ever arrives.

The modules under measurement are arguments, never imports: trio and whatever
stands beside it run the very same lines.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import socket
from collections.abc import Awaitable, Callable
from typing import Any

FAR_SECONDS = 3600.0

#: How many turns it takes until tasks just started are parked; one would do.
SETTLE_TURNS = 3


async def settle_trio(trio: Any) -> None:
    for _ in range(SETTLE_TURNS):
        await trio.lowlevel.checkpoint()


async def settle_asyncio(aio: Any) -> None:
    for _ in range(SETTLE_TURNS):
        await aio.sleep(0)


def run_on_trio(trio: Any, body: Callable[[], Awaitable[Any]]) -> Any:
    """Run `body` under `trio.run`, surrounded, and return its result."""

    async def main() -> Any:
        idle, other = socket.socketpair()
        idle.setblocking(False)
        with idle, other:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep, FAR_SECONDS)
                nursery.start_soon(trio.lowlevel.wait_readable, idle)
                await settle_trio(trio)
                result = await body()
                nursery.cancel_scope.cancel()
        return result

    return trio.run(main)


def run_on_asyncio(
    aio: Any, loop_module: Any, body: Callable[[], Awaitable[Any]]
) -> Any:
    """Run `body` on a new loop of `loop_module`, surrounded the same way."""

    async def main() -> Any:
        loop = aio.get_running_loop()
        idle, other = socket.socketpair()
        idle.setblocking(False)
        with idle, other:
            far = loop.call_later(FAR_SECONDS, lambda: None)
            loop.add_reader(idle.fileno(), lambda: None)
            await settle_asyncio(aio)
            result = await body()
            loop.remove_reader(idle.fileno())
            far.cancel()
        return result

    with aio.Runner(loop_factory=loop_module.new_event_loop) as runner:
        return runner.run(main())


def load(name: str) -> tuple[Any, str]:
    """Import the module of this name; also say which version it is."""
    module = importlib.import_module(name)
    try:
        return module, importlib.metadata.version(name.partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return module, str(getattr(module, "__version__", ""))
