"""Under a chooser an event may fall between any two steps of a Python run.

However busy its tasks are: the loop looks at the machine after each step, where
without a chooser it would use up a batch first.
"""

from __future__ import annotations

from math import inf

from scripted_echo import adopt, placeholder

import ctrio
from ctrio import _ctrio
from ctrio.testing import wait_all_tasks_blocked

PORT = 7
MANY = 10_000


def run(seed: int, async_fn: object, *args: object) -> object:
    return _ctrio.run_scripted(seed, placeholder, async_fn, *args)[0]


async def one_byte_beside_a_busy_task() -> int:
    """Tell how many checkpoints the client passed before the server had its byte."""
    heard = b""

    async def serve() -> None:
        nonlocal heard
        with adopt(_ctrio.scripted_listener(PORT)) as listener:
            sock, _ = await listener.accept()
            with sock:
                heard = await sock.recv(1)

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with adopt(_ctrio.scripted_socket()) as sock:
            await wait_all_tasks_blocked()
            await sock.connect(("127.0.0.1", PORT))
            await sock.send(b"x")
            for count in range(MANY):
                if heard:
                    return count
                await ctrio.lowlevel.checkpoint()
    return MANY


def test_a_byte_arrives_although_a_task_never_waits() -> None:
    assert max(run(seed, one_byte_beside_a_busy_task) for seed in range(20)) < 100


async def a_call_beside_a_busy_task() -> int:
    called = False

    def call() -> None:
        nonlocal called
        called = True

    ctrio.lowlevel.current_trio_token().run_sync_soon(call)
    for count in range(MANY):
        if called:
            return count
        await ctrio.lowlevel.checkpoint()
    return MANY


def test_a_call_from_outside_is_made_although_a_task_never_waits() -> None:
    assert max(run(seed, a_call_beside_a_busy_task) for seed in range(20)) < 100


async def two_that_never_wait_beside_a_deadline() -> bool:
    """Cancel by a deadline in the past: what fires it is the look at the clock."""

    async def spin() -> None:
        for _ in range(MANY):
            await ctrio.lowlevel.checkpoint()

    with ctrio.CancelScope() as scope:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(spin)
            nursery.start_soon(spin)
            scope.deadline = -inf
    return scope.cancelled_caught


def test_a_deadline_fires_although_two_tasks_never_wait() -> None:
    assert all(run(seed, two_that_never_wait_beside_a_deadline) for seed in range(20))
