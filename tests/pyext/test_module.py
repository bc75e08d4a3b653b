"""ctrio._ctrio itself: what it exports, and bind()."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import types
from typing import Any

import pytest

import ctrio
from ctrio import _ctrio

PUBLIC_TYPES = {
    "CancelScope": "trio",
    "Nursery": "trio",
    "NurseryManager": "trio._core._run",
    "Task": "trio.lowlevel",
    "TrioToken": "trio.lowlevel",
    "RunVar": "trio.lowlevel",
    "Event": "trio",
    "Lock": "trio",
    "StrictFIFOLock": "trio",
    "Semaphore": "trio",
    "Condition": "trio",
    "CapacityLimiter": "trio",
    "ParkingLot": "trio.lowlevel",
    "MemorySendChannel": "trio",
    "MemoryReceiveChannel": "trio",
}


@pytest.mark.parametrize(("name", "module"), PUBLIC_TYPES.items())
def test_the_types_say_that_they_are_trio_s(name: str, module: str) -> None:
    found = getattr(_ctrio, name)
    assert isinstance(found, type)
    assert found.__module__ == module
    assert found.__qualname__ == name
    assert repr(found) == f"<class '{module}.{name}'>"


def test_no_type_is_static() -> None:
    """A static type could not be used by two interpreters; and takes no attributes."""
    for name, value in vars(_ctrio).items():
        if isinstance(value, type):
            value.patched = True  # type: ignore[attr-defined]
            assert value.patched, name  # type: ignore[attr-defined]
            del value.patched  # type: ignore[attr-defined]


def test_everything_that_is_exported_has_a_name_of_its_own() -> None:
    for name, value in vars(_ctrio).items():
        if isinstance(value, (type, types.BuiltinFunctionType, _ctrio.async_function)):
            assert value.__name__ == name
    assert isinstance(_ctrio.__doc__, str)
    assert _ctrio.__name__ == "ctrio._ctrio"


def test_bind_takes_names_and_nothing_else() -> None:
    with pytest.raises(TypeError, match="keyword arguments only"):
        _ctrio.bind(3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="does not know 'nonsense'"):
        _ctrio.bind(nonsense=3)


def test_what_was_bound_can_be_bound_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(ctrio.TooSlowError):
        pass

    async def main() -> None:
        with ctrio.fail_after(0):
            await ctrio.lowlevel.checkpoint()

    _ctrio.bind(TooSlowError=Mine)
    try:
        with pytest.raises(Mine):
            ctrio.run(main)
    finally:
        _ctrio.bind(TooSlowError=ctrio.TooSlowError)
    with pytest.raises(ctrio.TooSlowError) as caught:
        ctrio.run(main)
    assert type(caught.value) is ctrio.TooSlowError


def run_script(script: str) -> str:
    completed = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert completed.stderr == ""
    assert completed.returncode == 0
    return completed.stdout


UNBOUND = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("ctrio._ctrio", {_ctrio.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
try:
    module.run(module.checkpoint)
except RuntimeError as exc:
    print(exc)
"""


def test_without_bind_nothing_runs() -> None:
    assert "bind() was not given" in run_script(UNBOUND)


TWICE = """
import gc, sys
import ctrio
first = sys.modules["ctrio._ctrio"]
for name in [name for name in sys.modules if name.split(".")[0] == "ctrio"]:
    del sys.modules[name]
import ctrio as again
second = sys.modules["ctrio._ctrio"]
assert first is not second
assert first.Event is not second.Event

async def main(library, other):
    async with library.open_nursery() as nursery:
        event = library.Event()
        nursery.start_soon(event.wait)
        await library.lowlevel.checkpoint()
        event.set()
    assert library.lowlevel.in_trio_run()
    assert not other.lowlevel.in_trio_run()
    return "done"

assert ctrio.run(main, ctrio, again) == "done"
assert again.run(main, again, ctrio) == "done"
assert ctrio.run(main, ctrio, again) == "done"
del again, second, main
gc.collect()
print("end")
"""


def test_two_copies_of_it_do_not_see_each_other() -> None:
    """As in two interpreters, but that both run on this thread's Python."""
    assert run_script(TWICE) == "end\n"


NESTED = """
import signal, sys, warnings
import ctrio as one
for name in [name for name in sys.modules if name.split(".")[0] == "ctrio"]:
    del sys.modules[name]
import ctrio as two
warnings.simplefilter("ignore", RuntimeWarning)  # both want to hear of signals

async def inner(mine, other, around):
    low, answers = mine.lowlevel, []
    task, token = low.current_task(), low.current_trio_token()
    await low.checkpoint()
    token.run_sync_soon(answers.append, "called")
    if other not in around:
        assert other.run(inner, other, mine, (mine,)) == "done"
    for library in (mine, *around):
        try:
            library.run(inner, library, None, ())
        except RuntimeError as error:
            assert str(error) == "Attempted to call run() from inside a run()"
        else:
            raise AssertionError
    assert low.current_task() is task
    assert low.in_trio_task() and low.in_trio_run()
    async with mine.open_nursery() as nursery:
        nursery.start_soon(mine.sleep, 0)
        with mine.CancelScope() as scope:
            scope.cancel()
            await mine.sleep_forever()
    assert scope.cancelled_caught and answers == ["called"]
    assert low.current_task() is task and low.current_trio_token() is token
    return "done"

def fails(mine, other):
    async def failing():
        try:
            other.run(failing_inner)
        except KeyError:
            return mine.lowlevel.in_trio_task(), other.lowlevel.in_trio_run()
    async def failing_inner():
        raise KeyError
    return mine.run(failing)

for a, b in [(one, two), (two, one)]:
    assert a.run(inner, a, b, ()) == "done"
    assert fails(a, b) == (True, False)
for library in (one, two):
    context = library._core._run.GLOBAL_RUN_CONTEXT
    assert context.__dict__ == {} and not library.lowlevel.in_trio_run()
assert signal.set_wakeup_fd(-1) == -1
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
print("end")
"""


def test_a_run_of_one_copy_may_be_inside_a_run_of_another() -> None:
    """Two interpreters can share a thread; each sees its own run only."""
    assert run_script(NESTED) == "end\n"


UNLOADED = """
import gc, sys
import ctrio

async def main():
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(ctrio.sleep, 0)

ctrio.run(main)
coroutine = ctrio.sleep(1)
coroutine.close()
event, scope = ctrio.Event(), ctrio.CancelScope()
del main
for name in [name for name in sys.modules if name.split(".")[0] == "ctrio"]:
    del sys.modules[name]
del ctrio
gc.collect()
gc.collect()
repr(event), repr(scope), repr(coroutine)
print("end")
"""


def test_its_objects_outlive_the_module() -> None:
    assert run_script(UNLOADED) == "end\n"


LOST = """
import ctrio

async def lost():
    pass

for coro in (lost(), ctrio.sleep(1)):
    cycle = [coro]
    cycle.append(cycle)  # it is found when modules have gone
del coro, cycle
import gc
gc.disable()
"""


def test_a_coroutine_lost_at_the_very_end_warns_as_one_of_python() -> None:
    """It said "ImportError: sys.meta_path is None" instead."""
    done = subprocess.run(
        [sys.executable, "-c", LOST], capture_output=True, text=True, check=False
    )
    told = [line for line in done.stderr.splitlines() if "tracemalloc" not in line]
    assert len(told) == 2, done.stderr
    assert sorted(line.partition(": ")[2] for line in told) == [
        "RuntimeWarning: coroutine 'lost' was never awaited",
        "RuntimeWarning: coroutine 'sleep' was never awaited",
    ]


def test_nothing_of_it_can_be_instantiated_that_should_not() -> None:
    made: list[Any] = []
    for name in ("coroutine", "async_function", "RunContext", "Runner", "_TaskStatus"):
        with pytest.raises(TypeError):
            made.append(getattr(_ctrio, name)())
    assert made == []


def test_the_wheel_has_no_c_library() -> None:
    try:
        files = importlib.metadata.files("ctrio") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed from a wheel")
    assert not [path for path in files if path.suffix in (".a", ".h", ".pc", ".map")]
    assert not [path for path in files if "libctrio" in path.name]
