"""Threads that are given the wrong thing to do."""

from __future__ import annotations

import ctrio as trio
from ctrio.lowlevel import Abort, RaiseCancelT, RunVar


async def wait(number: int) -> int:
    return number


def abort(raise_cancel: RaiseCancelT) -> bool:
    return True


def abort_now(raise_cancel: RaiseCancelT) -> Abort:
    return Abort.SUCCEEDED


print(Abort.DONE)  # error: attr-defined
variable: RunVar[int] = RunVar("variable", "0")  # error: arg-type


async def main() -> None:
    await trio.to_thread.run_sync(len, 3)  # error: arg-type
    await trio.to_thread.run_sync(len)  # error: arg-type
    await trio.to_thread.run_sync(len, "abc", limiter=3)  # error: arg-type
    await trio.lowlevel.wait_task_rescheduled(abort)  # error: arg-type
    await trio.lowlevel.wait_task_rescheduled(abort_now)
    variable.set("1")  # error: arg-type
    trio.lowlevel.spawn_system_task(wait)  # error: arg-type


text: str = trio.from_thread.run_sync(len, "abc")  # error: assignment
trio.from_thread.run(len, "abc")  # error: arg-type
text = trio.from_thread.run(wait, 1)  # error: assignment
