"""What a task may ask about its run, and what the run's object shows of it."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

import ctrio
from ctrio import open_nursery
from ctrio.lowlevel import (
    checkpoint,
    current_clock,
    current_root_task,
    current_statistics,
    current_task,
    current_trio_token,
    in_trio_run,
    in_trio_task,
    spawn_system_task,
)
from ctrio.testing import MockClock, trio_test, wait_all_tasks_blocked

ASKED = [
    ctrio.current_time,
    ctrio.current_effective_deadline,
    current_clock,
    current_root_task,
    current_statistics,
    current_task,
    current_trio_token,
]


@pytest.mark.parametrize("ask", ASKED)
def test_outside_of_a_run_there_is_no_answer(ask: Any) -> None:
    with pytest.raises(RuntimeError, match="^must be called from async context$"):
        ask()
    with pytest.raises(TypeError):
        ask(1)


def test_whether_this_is_a_run_or_a_task_can_be_asked_anywhere() -> None:
    seen = []

    def note() -> None:
        seen.append((in_trio_run(), in_trio_task()))

    async def main() -> None:
        note()
        current_trio_token().run_sync_soon(note)
        await wait_all_tasks_blocked()
        await ctrio.to_thread.run_sync(note)

    note()
    ctrio.run(main)
    note()
    assert seen == [
        (False, False),
        (True, True),
        (True, True),  # of the entry queue's own task
        (False, False),
        (False, False),
    ]


@trio_test
async def test_the_answers_are_the_same_object_each_time() -> None:
    for ask in (current_task, current_root_task, current_trio_token, current_clock):
        first = ask()
        await checkpoint()
        assert ask() is first


@trio_test
async def test_a_callback_can_ask_as_a_task_can() -> None:
    seen: list[Any] = []

    def callback() -> None:
        seen.append(current_task())
        seen.append(current_root_task())
        seen.append(current_trio_token())

    token = current_trio_token()
    token.run_sync_soon(callback)
    await wait_all_tasks_blocked()
    assert seen[0] is not current_task()
    assert seen[1:] == [current_root_task(), token]


def test_the_time_is_the_clock_s() -> None:
    clock = MockClock()

    async def main() -> None:
        assert current_clock() is clock
        assert ctrio.current_time() == 0
        clock.jump(5)
        assert ctrio.current_time() == 5

    ctrio.run(main, clock=clock)


@trio_test
async def test_without_a_clock_time_passes_and_starts_anywhere() -> None:
    first = ctrio.current_time()
    assert ctrio.current_time() >= first
    clock: Any = current_clock()
    assert isinstance(clock, ctrio.abc.Clock)
    assert clock.current_time() == pytest.approx(first, abs=60)


def test_the_statistics_count_what_there_is() -> None:
    async def main() -> None:
        before = current_statistics()
        assert before.tasks_living == 3  # <init>, the entry queue's, this one
        assert before.tasks_runnable == 0
        assert before.seconds_to_next_deadline == inf
        assert before.run_sync_soon_queue_size == 0
        assert before.io_statistics.backend in ("epoll", "kqueue", "windows")
        async with open_nursery() as nursery:
            nursery.start_soon(ctrio.sleep, 10)
            nursery.start_soon(checkpoint)
            now = current_statistics()
            assert now.tasks_living == 5
            assert now.tasks_runnable == 2
            await wait_all_tasks_blocked()
            now = current_statistics()
            assert now.tasks_living == 4
            assert now.tasks_runnable == 0
            assert now.seconds_to_next_deadline == 10
            current_trio_token().run_sync_soon(lambda: None)
            current_trio_token().run_sync_soon(lambda: None)
            assert current_statistics().run_sync_soon_queue_size == 2
            with ctrio.move_on_after(-0.0):
                assert current_statistics().seconds_to_next_deadline == 10
            with ctrio.CancelScope(deadline=ctrio.current_time() + 3):
                assert current_statistics().seconds_to_next_deadline == 3
            nursery.cancel_scope.cancel()
        assert current_statistics().seconds_to_next_deadline == inf

    ctrio.run(main, clock=MockClock())


# --- the run's object -----------------------------------------------------------------


@trio_test
async def test_the_runner_shows_its_parts() -> None:
    task: Any = current_task()
    runner = task._runner
    assert ctrio._core._run.GLOBAL_RUN_CONTEXT.runner is runner
    assert runner.main_task is task
    assert runner.init_task is current_root_task()
    token = current_trio_token()
    assert runner.trio_token is token
    assert runner.clock is current_clock()
    assert runner.tasks >= {task, runner.init_task}
    assert not runner.is_guest
    assert not runner.ki_pending
    assert runner.strict_exception_groups is True
    assert runner.clock.current_time() == pytest.approx(ctrio.current_time(), abs=60)


@trio_test
async def test_system_tasks_are_children_of_the_system_nursery() -> None:
    runner: Any = current_task()._runner  # type: ignore[attr-defined]
    task = spawn_system_task(ctrio.sleep_forever)
    assert task in runner.system_nursery.child_tasks
    assert task.parent_nursery is runner.system_nursery
    assert task in runner.tasks
    count = len(runner.tasks)
    async with open_nursery() as nursery:
        nursery.start_soon(checkpoint)
        assert len(runner.tasks) == count + 1
    assert len(runner.tasks) == count


def test_the_runner_outlives_its_run_without_harm() -> None:
    kept: list[Any] = []

    async def main() -> None:
        kept.append(current_task()._runner)  # type: ignore[attr-defined]
        kept.append(current_task())

    ctrio.run(main)
    runner, task = kept
    assert task._runner is runner
    assert not runner.tasks
    repr(runner)
