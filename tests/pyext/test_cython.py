"""Coroutines compiled by Cython run as tasks.

Compiled twice: as usual, where `cr_frame` is a frame without lines; and for the limited
API, where it is None, so that the task's own coroutine is a wrapper.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ctrio
from ctrio.testing import MockClock, wait_all_tasks_blocked

pytest.importorskip("Cython")
SOURCE = Path(__file__).resolve().parent.parent / "support/compiled.pyx"
COMPILER = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
LIMITED = f"-DPy_LIMITED_API=0x03{sys.version_info[1]:02x}0000"


def run_on_mock_clock(function: Any, *args: object) -> object:
    return ctrio.run(function, *args, clock=MockClock(autojump_threshold=0))


@pytest.fixture(scope="module")
def c_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("cython") / "compiled.c"
    cython = [sys.executable, "-m", "cython", "-3", str(SOURCE), "-o", str(target)]
    subprocess.run(cython, check=True, timeout=120)
    return target


@pytest.fixture(scope="module", params=["a frame", "no frame"])
def compiled(request: pytest.FixtureRequest, c_source: Path) -> ModuleType:
    if COMPILER is None:
        pytest.skip("no C compiler")
    flags = ["-shared", "-fPIC", "-O0", "-w", f"-I{sysconfig.get_path('include')}"]
    if request.param == "no frame":
        if sys.version_info < (3, 11):
            pytest.skip(
                "Cython's coroutines need what the limited API has from 3.11 on"
            )
        flags += ["-DCYTHON_LIMITED_API=1", LIMITED]
    path = c_source.with_name(request.param.replace(" ", "_")) / "compiled.so"
    path.parent.mkdir()
    build = [COMPILER, *flags, str(c_source), "-o", str(path)]
    subprocess.run(build, check=True, timeout=300)
    spec = importlib.util.spec_from_file_location("compiled", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    coro = module.fails(0)
    assert (coro.cr_frame is None) == (request.param == "no frame")
    coro.close()
    return module


def test_it_is_the_main_task(compiled: Any) -> None:
    log: list[Any] = []
    assert run_on_mock_clock(compiled.sleeps, log, 3) == 3
    assert log == [("compiled.sleeps", 3.0)]


def test_many_sleep_side_by_side_and_with_those_of_python(compiled: Any) -> None:
    log: list[Any] = []

    async def main() -> float:
        async with ctrio.open_nursery() as nursery:
            for seconds in (3, 1, 2):
                nursery.start_soon(compiled.sleeps, log, seconds, name=f"for {seconds}")
            nursery.start_soon(ctrio.sleep, 4)
        return ctrio.current_time()

    assert run_on_mock_clock(main) == 4.0
    assert log == [("for 1", 1.0), ("for 2", 2.0), ("for 3", 3.0)]


def test_a_cancellation_reaches_it_and_waits_for_its_cleaning_up(compiled: Any) -> None:
    log: list[str] = []

    async def main() -> float:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(compiled.is_cancelled, log)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel(reason="enough")
        return ctrio.current_time()

    assert run_on_mock_clock(main) == 1.0
    assert "enough" in log.pop(0)
    assert log == ["cleaned up", "finally"]


def places(error: BaseException) -> list[tuple[str, int | None]]:
    """The functions and lines of a traceback. Cython adds the module to some names."""
    frames = traceback.extract_tb(error.__traceback__)
    return [(frame.name.rpartition(".")[2], frame.lineno) for frame in frames]


def test_what_it_raises_comes_with_its_lines(compiled: Any) -> None:
    async def python(number: int) -> None:
        await compiled.calls(compiled.fails, number)

    async def main() -> None:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(compiled.calls, python, 2)
            nursery.start_soon(ctrio.sleep_forever)

    with pytest.raises(BaseException) as caught:
        run_on_mock_clock(main)
    (error,) = caught.value.exceptions  # type: ignore[attr-defined]
    assert repr(error) == "KeyError('translated')"
    assert repr(error.__cause__) == "ValueError(2)"
    assert [name for name, _ in places(error)][-3:] == ["calls", "python", "calls"]
    name, line = places(error.__cause__)[-1]
    assert name == "fails" and line is not None
    assert SOURCE.read_text().splitlines()[line - 1] == "    raise ValueError(number)"


def test_it_can_be_started(compiled: Any) -> None:
    async def main() -> object:
        async with ctrio.open_nursery() as nursery:
            value = await nursery.start(compiled.is_started)
            nursery.cancel_scope.cancel()
        return value

    assert run_on_mock_clock(main) == "compiled"


def test_it_uses_nurseries_channels_generators_and_threads(compiled: Any) -> None:
    async def main() -> object:
        sending, receiving = ctrio.open_memory_channel[int](0)
        return await compiled.uses_all(ctrio.CapacityLimiter(1), sending, receiving)

    assert run_on_mock_clock(main) == (2, 5, True, 3)


def test_a_debugger_finds_its_task_and_coroutine(compiled: Any) -> None:
    async def main() -> None:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(compiled.is_cancelled, [])
            await wait_all_tasks_blocked()
            (task,) = nursery.child_tasks
            assert task.name == "compiled.is_cancelled"
            assert repr(task).startswith("<Task 'compiled.is_cancelled' at ")
            coro: Any = task.coro
            assert coro.cr_frame is not None
            assert coro.cr_await is not None and not coro.cr_running
            # A debug build of CPython aborts when asked for the line of Cython's frame.
            if not hasattr(sys, "gettotalrefcount"):
                names = [f.f_code.co_name for f, _ in task.iter_await_frames()]
                assert names[0] in ("is_cancelled", "_wrap_coroutine")
            nursery.cancel_scope.cancel()

    run_on_mock_clock(main)


def test_it_is_refused_like_any_other_when_it_is_called_first(compiled: Any) -> None:
    coro = compiled.fails(0)
    with pytest.raises(TypeError, match="expecting an async function"):
        ctrio.run(coro)
    coro.close()
    with pytest.raises(RuntimeError, match="must be called from async context"):
        compiled.sleeps([], 1).send(None)
