"""GLOBAL_RUN_CONTEXT: what runs on this thread, readable and writable as a dict."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

import ctrio
from ctrio.lowlevel import checkpoint, current_task, in_trio_run, in_trio_task
from ctrio.testing import trio_test

context: Any = ctrio._core._run.GLOBAL_RUN_CONTEXT


def test_outside_of_a_run_it_is_empty() -> None:
    assert dict(context.__dict__) == {}
    assert len(context.__dict__) == 0
    for name in ("runner", "task"):
        assert not hasattr(context, name)
        assert name not in context.__dict__
        text = f"^'RunContext' object has no attribute '{name}'$"
        with pytest.raises(AttributeError, match=text):
            getattr(context, name)
        with pytest.raises(AttributeError):
            delattr(context, name)
        with pytest.raises(KeyError):
            context.__dict__[name]
        with pytest.raises(KeyError):
            del context.__dict__[name]


@trio_test
async def test_in_a_task_it_has_runner_and_task() -> None:
    task: Any = current_task()
    assert context.task is task
    assert context.runner is task._runner
    assert context.__dict__ == {"runner": context.runner, "task": task}
    await checkpoint()
    assert context.task is task


@trio_test
async def test_the_dict_reads_like_one() -> None:
    view = context.__dict__
    runner, task = context.runner, context.task
    assert len(view) == 2
    assert sorted(view) == ["runner", "task"]
    assert sorted(view.keys()) == ["runner", "task"]
    assert dict(view.items()) == {"runner": runner, "task": task}
    assert set(view.values()) == {runner, task}
    assert view["task"] is task
    assert view.get("task") is task
    assert view.get("nothing") is None
    assert view.get("nothing", 3) == 3
    assert "task" in view
    assert "nothing" not in view
    assert 3 not in view
    assert view == context.__dict__
    assert view != {}
    assert repr(view) == repr({"runner": runner, "task": task})
    copy = view.copy()
    assert type(copy) is dict
    assert copy == view
    with pytest.raises(KeyError):
        view["nothing"]


@trio_test
async def test_writing_to_the_dict_has_effect() -> None:
    saved = context.__dict__.copy()
    context.__dict__.clear()
    assert not in_trio_run()
    assert not in_trio_task()
    with pytest.raises(RuntimeError, match="must be called from async context"):
        current_task()
    assert context.__dict__ == {}
    context.__dict__.update(saved)
    assert current_task() is saved["task"]
    assert context.__dict__.pop("task") is saved["task"]
    assert not in_trio_task()
    assert in_trio_run()
    assert context.__dict__.pop("task", "default") == "default"
    with pytest.raises(KeyError):
        context.__dict__.pop("task")
    context.__dict__["task"] = saved["task"]
    assert in_trio_task()
    del context.__dict__["runner"]
    assert not in_trio_run()
    context.__dict__.update(runner=saved["runner"])
    assert in_trio_run()
    await checkpoint()


@trio_test
async def test_writing_to_the_attributes_has_effect() -> None:
    task, runner = context.task, context.runner
    del context.task
    del context.runner
    assert not in_trio_run()
    with pytest.raises(AttributeError):
        del context.task
    context.runner = runner
    context.task = task
    assert current_task() is task
    await checkpoint()


@trio_test
async def test_only_runners_and_tasks_fit() -> None:
    for wrong in (None, 3, "task"):
        with pytest.raises(TypeError):
            context.task = wrong
        with pytest.raises(TypeError):
            context.__dict__["runner"] = wrong
    with pytest.raises(TypeError):
        context.task = context.runner
    with pytest.raises(AttributeError):
        context.nonsense = 3
    with pytest.raises(KeyError):
        context.__dict__["nonsense"] = 3
    await checkpoint()


@pytest.mark.filterwarnings("ignore:It looks like Trio's signal handling code:Warning")
def test_another_run_may_take_place_while_one_is_put_aside() -> None:
    """What trio-asyncio does, without the greenlets."""
    results = []

    async def inner() -> str:
        await checkpoint()
        return "inner"

    async def main() -> None:
        saved = context.__dict__.copy()
        context.__dict__.clear()
        try:
            results.append(ctrio.run(inner))
        finally:
            context.__dict__.update(saved)
        await checkpoint()
        assert current_task() is saved["task"]
        results.append("outer")

    ctrio.run(main)
    assert results == ["inner", "outer"]
    assert context.__dict__ == {}


FORKING = """
import os
import ctrio

context = ctrio._core._run.GLOBAL_RUN_CONTEXT

async def inner():
    await ctrio.lowlevel.checkpoint()
    return "child"

async def main():
    await ctrio.lowlevel.checkpoint()
    child = os.fork()
    if child == 0:
        del context.task, context.runner
        assert not ctrio.lowlevel.in_trio_run()
        os._exit(7 if ctrio.run(inner) == "child" else 1)
    _, status = os.waitpid(child, 0)
    await ctrio.lowlevel.checkpoint()
    return os.waitstatus_to_exitcode(status)

assert ctrio.run(main) == 7
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where there is fork()")
def test_after_a_fork_the_child_can_forget_the_run_and_begin_another() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60)


@trio_test
async def test_each_thread_has_its_own() -> None:
    seen = []

    def look() -> None:
        seen.append(dict(context.__dict__))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [{}]
    assert len(context.__dict__) == 2


@trio_test
async def test_the_garbage_collector_finds_the_runner() -> None:
    """Tools find a run from another thread by this."""

    def runners(value: object) -> list[object]:
        if not isinstance(value, dict):
            return []
        if "runner" in value:
            return [value["runner"]]
        return [found for inner in value.values() for found in runners(inner)]

    found = [runner for held in gc.get_referents(context) for runner in runners(held)]
    assert found == [context.runner]


def test_after_the_run_the_garbage_collector_finds_none() -> None:
    ctrio.run(checkpoint)
    held = gc.get_referents(context)
    assert [value for value in held if isinstance(value, dict) and value] == []


@trio_test
async def test_what_is_assigned_is_kept_alive_and_let_go() -> None:
    task, runner = context.task, context.runner
    for _ in range(3):
        context.__dict__.update({"task": task, "runner": runner})
        context.task = task
    await checkpoint()


@trio_test
async def test_awaiting_with_somebody_else_s_task_current_is_refused() -> None:
    other = ctrio.lowlevel.current_root_task()
    mine = context.task
    context.task = other
    try:
        with pytest.raises((RuntimeError, ctrio.TrioInternalError)):
            ctrio.Event().wait().send(None)
    finally:
        context.task = mine
    await checkpoint()
