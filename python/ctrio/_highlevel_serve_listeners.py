"""Runs a task for each connection that listeners accept."""

from __future__ import annotations

import errno
import os

from ._core import TASK_STATUS_IGNORED, open_nursery
from ._highlevel_generic import aclose_forcefully
from ._timeouts import sleep
from ._util import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, NoReturn, TypeAlias, TypeVar

    from ._abc import AsyncResource, Listener
    from ._core import Nursery, TaskStatus

    StreamT = TypeVar("StreamT", bound=AsyncResource)
    ListenerT = TypeVar("ListenerT", bound=Listener[Any])
    Handler: TypeAlias = Callable[[StreamT], Awaitable[object]]

ACCEPT_CAPACITY_ERRNOS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
"""What accept() says when the system has no room for another connection."""

SLEEP_TIME = 0.100
"""How long to wait then, in the hope that others close something; in seconds."""


async def _run_handler(stream: StreamT, handler: Handler[StreamT]) -> None:
    try:
        await handler(stream)
    finally:
        await aclose_forcefully(stream)


async def _serve_one_listener(
    listener: Listener[StreamT],
    handler_nursery: Nursery,
    handler: Handler[StreamT],
) -> NoReturn:
    async with listener:
        while True:
            try:
                stream = await listener.accept()
            except OSError as exc:
                if exc.errno not in ACCEPT_CAPACITY_ERRNOS:
                    raise
                _log_lack_of_capacity(exc.errno)
                await sleep(SLEEP_TIME)
            else:
                handler_nursery.start_soon(_run_handler, stream, handler)


def _log_lack_of_capacity(code: int) -> None:
    import logging

    logging.getLogger("trio.serve_listeners").error(
        "accept returned %s (%s); retrying in %s seconds",
        errno.errorcode[code],
        os.strerror(code),
        SLEEP_TIME,
        exc_info=True,
    )


async def serve_listeners(
    handler: Handler[StreamT],
    listeners: list[ListenerT],
    *,
    handler_nursery: Nursery | None = None,
    task_status: TaskStatus[list[ListenerT]] = TASK_STATUS_IGNORED,
) -> NoReturn:
    """Run a task for each connection; only cancelling ends it.

    When the system has no room for another connection, this is logged and accepting
    pauses for a moment. An error in a handler ends the whole server, as in any
    nursery.

    Args:
        handler: An async function that gets the connection, which is closed after.
        listeners: Where the connections come from; they are closed at the end.
        handler_nursery: Where the tasks run, or anything that has `start_soon`; by
            default a nursery of its own.
        task_status: With `Nursery.start` the listeners are returned.
    """
    async with open_nursery() as nursery:
        if handler_nursery is None:
            handler_nursery = nursery
        for listener in listeners:
            nursery.start_soon(_serve_one_listener, listener, handler_nursery, handler)
        # Connections have been queueing up since the listeners were opened: this
        # comes last because then nothing can go wrong any more.
        task_status.started(listeners)
    raise AssertionError("_serve_one_listener should never complete")
