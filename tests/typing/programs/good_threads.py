"""Into threads and back."""

from __future__ import annotations

import threading

from typing_extensions import assert_type

import ctrio as trio


def add(a: int, b: int) -> int:
    return a + b


async def shout(text: str) -> str:
    await trio.lowlevel.checkpoint()
    return text.upper()


def in_thread(text: str) -> str:
    trio.from_thread.check_cancelled()
    now = trio.from_thread.run_sync(trio.current_time)
    assert_type(now, float)
    shouted = trio.from_thread.run(shout, text)
    assert_type(shouted, str)
    return shouted


def foreign(token: trio.lowlevel.TrioToken, into: list[str]) -> None:
    into.append(trio.from_thread.run(shout, "foreign", trio_token=token))
    token.run_sync_soon(into.append, "last", idempotent=True)


async def main() -> list[str]:
    total = await trio.to_thread.run_sync(add, 1, 2)
    assert_type(total, int)
    assert total == 3
    limiter = trio.CapacityLimiter(1)
    said = await trio.to_thread.run_sync(
        in_thread, "hello", limiter=limiter, abandon_on_cancel=False, thread_name="t"
    )
    assert_type(said, str)
    assert_type(trio.to_thread.current_default_thread_limiter(), trio.CapacityLimiter)
    into = [said]
    thread = threading.Thread(
        target=foreign, args=(trio.lowlevel.current_trio_token(), into)
    )
    thread.start()
    await trio.to_thread.run_sync(thread.join)
    return into


assert trio.run(main)[:2] == ["HELLO", "FOREIGN"]
