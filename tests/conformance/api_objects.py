"""Makes an object of each public class of Trio, or of ctrio, and asks what it can do.

A part of `api_dump.py`: it is run with either package.
"""

from __future__ import annotations

import copy
import gc
import importlib
import pickle
import re
import sys
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

Facts = dict[str, Any]

HIDDEN = re.compile(r"\bc?trio\._[a-z._]*|0x[0-9a-f]+|(?<=time=|fset=)[0-9.]+")
EXCEPTIONS = """
    BrokenResourceError BusyResourceError ClosedResourceError EndOfChannel
    RunFinishedError TooSlowError TrioInternalError WouldBlock
"""


def shown(text: str) -> str:
    """A repr or a warning without addresses, times, and names of private modules."""
    return HIDDEN.sub("…", text).replace("ctrio.", "trio.")


def answer(ask: Callable[[], object]) -> str:
    """What comes of it: "True", "<generator>" and so on, or the error."""
    try:
        return shown(str(ask()))
    except Exception as exc:
        return shown(f"{type(exc).__name__}: {exc}")


def facts(value: Any) -> Facts:
    """What is asked of an object."""
    return {
        "repr": shown(repr(value)),
        "weak reference": answer(lambda: weakref.ref(value)() is value),
        "new attribute": answer(lambda: setattr(value, "new_attribute", 1)),
        "hash": answer(lambda: bool(hash(value)) or True),
        "equality": answer(lambda: (value == value, value == object())),
        "truth": answer(lambda: bool(value)),
        "length": answer(lambda: len(value)),
        "iteration": answer(lambda: type(iter(value)).__name__),
        "copy": answer(lambda: type(copy.copy(value)).__name__),
    }


def facts_of_exception(exc: BaseException) -> Facts:
    """What is asked of an exception besides."""
    again = pickle.loads(pickle.dumps(exc))
    assert type(again) is type(exc)
    found = [("text", str(exc)), ("arguments", repr(exc.args))]
    found += [("pickled text", str(again)), ("pickled arguments", repr(again.args))]
    found += [("attributes", repr(vars(exc))), ("pickled", repr(vars(again)))]
    return {**facts(exc), **{name: shown(text) for name, text in found}}


def primitives(trio: ModuleType) -> Iterator[tuple[str, Any]]:
    """What tasks wait for."""
    yield "Event", trio.Event()
    yield "Lock", trio.Lock()
    yield "StrictFIFOLock", trio.StrictFIFOLock()
    yield "Condition", trio.Condition()
    yield "Semaphore", trio.Semaphore(0)
    yield "Semaphore with a bound", trio.Semaphore(1, max_value=3)
    yield "CapacityLimiter", trio.CapacityLimiter(2)
    yield "ParkingLot", trio.lowlevel.ParkingLot()
    yield "UnboundedQueue", trio.lowlevel.UnboundedQueue()
    ends = trio.open_memory_channel(1)
    yield from zip(("send end", "receive end"), ends, strict=True)
    yield "CancelScope", trio.CancelScope()
    yield "CancelScope with a deadline", trio.CancelScope(deadline=7)
    yield "relative CancelScope", trio.CancelScope(relative_deadline=7)
    yield "shielded CancelScope", trio.CancelScope(shield=True)
    yield "RunVar", trio.lowlevel.RunVar("name", 3)
    yield "TASK_STATUS_IGNORED", trio.TASK_STATUS_IGNORED
    yield "Abort", trio.lowlevel.Abort.SUCCEEDED


def testing(trio: ModuleType) -> Iterator[tuple[str, Any]]:
    """The objects of `trio.testing`."""
    kit = importlib.import_module(f"{trio.__name__}.testing")
    yield "MockClock", kit.MockClock()
    yield "autojumping MockClock", kit.MockClock(rate=2.0, autojump_threshold=0)
    yield "Sequencer", kit.Sequencer()
    ends = zip(("one", "two"), kit.memory_stream_pair(), strict=True)
    for name, stream in ends:
        yield f"StapledStream {name}", stream
        yield f"MemorySendStream {name}", stream.send_stream
        yield f"MemoryReceiveStream {name}", stream.receive_stream
    yield "assert_checkpoints", kit.assert_checkpoints()


def statistics(trio: ModuleType) -> Iterator[tuple[str, Any]]:
    """Those of each kind."""
    for name, value in primitives(trio):
        if hasattr(value, "statistics"):
            yield f"statistics of {name}", value.statistics()


async def in_a_run(trio: ModuleType, seen: dict[str, Any]) -> None:
    """Add what exists in a run only."""
    low = trio.lowlevel
    seen["Task"] = low.current_task()
    seen["root Task"] = low.current_root_task()
    seen["TrioToken"] = low.current_trio_token()
    seen["clock"] = low.current_clock()
    seen["open_nursery"] = trio.open_nursery()
    variable = low.RunVar("another")
    seen["RunVarToken"] = token = variable.set(3)
    seen["RunVar that is set"] = variable
    variable.reset(token)
    lock = trio.Lock()
    async with lock, trio.open_nursery() as nursery:
        seen["Lock that is held"] = lock
        seen["Nursery"] = nursery
        facts_now(seen)

        async def child(task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
            seen["task_status"] = task_status
            facts_now(seen)
            task_status.started(task_status)

        await nursery.start(child)
    with trio.CancelScope() as scope:
        facts_now({**seen, "CancelScope that is open": scope})
        scope.cancel("for a reason")
        try:
            await low.checkpoint()
        except trio.Cancelled as exc:
            seen["Cancelled"] = facts_of_exception(exc)
            raise
    seen["CancelScope that was cancelled"] = scope
    facts_now(seen)


def facts_now(seen: dict[str, Any]) -> None:
    """Turn objects into facts, before they change."""
    for name, value in seen.items():
        if not isinstance(value, dict):
            seen[name] = facts(value)


def outside(trio: ModuleType) -> Iterator[tuple[str, Callable[[], object]]]:
    """What can be called by mistake where nothing runs."""
    low = trio.lowlevel
    for name in ("current_time", "current_effective_deadline", "open_nursery"):
        yield name, getattr(trio, name)
    for name in dir(low):
        if name.startswith(("current_", "currently_", "in_trio_")):
            yield name, getattr(low, name)
    yield "reschedule", lambda: low.reschedule(None)
    yield "add_instrument", lambda: low.add_instrument(None)
    yield "remove_instrument", lambda: low.remove_instrument(None)
    yield "notify_closing", lambda: low.notify_closing(0)
    yield "spawn_system_task", lambda: low.spawn_system_task(bool)
    yield "CancelScope.__enter__", lambda: trio.CancelScope().__enter__()
    yield "Lock.acquire_nowait", trio.Lock().acquire_nowait
    yield "Lock.release", trio.Lock().release
    yield "CapacityLimiter.acquire_nowait", trio.CapacityLimiter(1).acquire_nowait
    yield "Semaphore.acquire_nowait", trio.Semaphore(0).acquire_nowait
    yield "Condition.notify", trio.Condition().notify
    yield "ParkingLot.break_lot", low.ParkingLot().break_lot
    yield "RunVar.get", low.RunVar("name").get
    yield "move_on_after", lambda: trio.move_on_after(-1)
    yield "fail_after", lambda: trio.fail_after(float("nan"))
    yield "CancelScope", lambda: trio.CancelScope(deadline=1, relative_deadline=1)
    yield "relative CancelScope", lambda: trio.CancelScope(relative_deadline=1).deadline
    yield "from_thread.run", lambda: trio.from_thread.run(trio.sleep, 0)
    yield "from_thread.run_sync", lambda: trio.from_thread.run_sync(bool)
    yield "from_thread.check_cancelled", trio.from_thread.check_cancelled
    yield "Nursery", trio.Nursery
    yield "open_memory_channel", lambda: trio.open_memory_channel(-1)
    yield "open_memory_channel of a float", lambda: trio.open_memory_channel(1.5)
    yield "Semaphore", lambda: trio.Semaphore(-1)
    yield "Semaphore over its bound", lambda: trio.Semaphore(2, max_value=1)
    yield "CapacityLimiter", lambda: trio.CapacityLimiter(-1)
    yield "Condition", lambda: trio.Condition(trio.Semaphore(1))
    yield "StapledStream", lambda: trio.StapledStream()
    yield "run of a coroutine function's result", lambda: trio.run(3)
    yield "TaskStatus", trio.TaskStatus


def calls(trio: ModuleType) -> Iterator[tuple[str, Callable[[], Awaitable[object]]]]:
    """Calls of async functions, of all that can be made outside of a run."""
    low = trio.lowlevel
    yield "sleep", lambda: trio.sleep(1)
    yield "sleep_until", lambda: trio.sleep_until(1)
    yield "sleep_forever", trio.sleep_forever
    for name in ("checkpoint", "checkpoint_if_cancelled", "cancel_shielded_checkpoint"):
        yield name, getattr(low, name)
    yield "wait_readable", lambda: low.wait_readable(0)
    yield "wait_writable", lambda: low.wait_writable(0)
    yield "wait_task_rescheduled", lambda: low.wait_task_rescheduled(bool)
    yield "wait_all_tasks_blocked", trio.testing.wait_all_tasks_blocked
    yield "to_thread.run_sync", lambda: trio.to_thread.run_sync(bool)
    yield "Event.wait", trio.Event().wait
    yield "Condition.wait", trio.Condition().wait
    yield "CapacityLimiter.acquire", trio.CapacityLimiter(1).acquire
    yield "Semaphore.acquire", trio.Semaphore(1).acquire
    yield "ParkingLot.park", low.ParkingLot().park
    send, receive = trio.open_memory_channel(0)
    yield "MemorySendChannel.send", lambda: send.send(1)
    yield "MemorySendChannel.aclose", send.aclose
    yield "MemoryReceiveChannel.receive", receive.receive
    yield "MemoryReceiveChannel.aclose", receive.aclose
    yield "open_tcp_stream", lambda: trio.open_tcp_stream("", 1)
    yield "serve_listeners", lambda: trio.serve_listeners(bool, [])
    yield "aclose_forcefully", lambda: trio.aclose_forcefully(receive)


def warnings_of(call: Callable[[], Awaitable[object]]) -> list[str]:
    """What is said when a coroutine is made and dropped."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
        gc.collect()
    return [f"{w.category.__name__}: {shown(str(w.message))}" for w in caught]


def table(trio: ModuleType) -> dict[str, Facts]:
    """All of this, by name."""
    for name in list(sys.modules):  # where pickle looks for the classes
        if name.partition(".")[0] == "ctrio":
            sys.modules.setdefault(name.removeprefix("c"), sys.modules[name])
    found = {name: facts(value) for name, value in primitives(trio)}
    found.update((name, facts(value)) for name, value in testing(trio))
    found.update((name, facts(value)) for name, value in statistics(trio))
    for name in EXCEPTIONS.split():
        found[name] = facts_of_exception(getattr(trio, name)("text", 3))
    trio.run(in_a_run, trio, found)
    for name, action in outside(trio):
        found[f"{name} outside of a run"] = {"answer": answer(action)}
    for name, call in calls(trio):
        found[f"a dropped call of {name}"] = {"warnings": warnings_of(call)}
    return found
