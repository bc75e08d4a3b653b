"""`Cell`: how a thread of ours sleeps until another one wakes it."""

from __future__ import annotations

import signal
import threading

import pytest

import ctrio
from ctrio._ctrio import Cell, run_scripted  # type: ignore[attr-defined]
from ctrio.testing import trio_test


def test_a_post_before_the_wait_is_kept_and_a_second_one_is_not_counted() -> None:
    cell = Cell()
    assert not cell.wait(0)
    cell.post()
    cell.post()
    assert cell.wait()
    assert not cell.wait(timeout=0)


def test_a_wait_ends_without_a_post_when_its_time_is_over() -> None:
    cell = Cell()
    for timeout in (-1, 0, 1e-6, 0.001, 0.025):
        assert not cell.wait(timeout)
    cell.post()
    assert cell.wait(-1)


@pytest.mark.parametrize("timeout", [None, 1000, float("inf")])
def test_others_run_while_one_waits_and_any_of_them_may_post(
    timeout: float | None,
) -> None:
    cell, answer = Cell(), Cell()
    results: list[bool] = []

    def wait() -> None:
        answer.post()
        results.append(cell.wait(timeout))
        answer.post()

    thread = threading.Thread(target=wait)
    thread.start()
    assert answer.wait()
    assert results == []
    cell.post()
    assert answer.wait()
    thread.join()
    assert results == [True]


def test_one_post_wakes_one_thread() -> None:
    cell, answer = Cell(), Cell()
    woken: list[int] = []

    def wait(number: int) -> None:
        cell.wait()
        woken.append(number)
        answer.post()

    threads = [threading.Thread(target=wait, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for count in range(1, 4):
        cell.post()
        assert answer.wait()
        assert len(woken) == count
    for thread in threads:
        thread.join()
    assert sorted(woken) == [0, 1, 2]


def test_a_timeout_has_to_be_a_number() -> None:
    cell = Cell()
    with pytest.raises(TypeError):
        cell.wait("x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^timeout must not be NaN$"):
        cell.wait(float("nan"))
    with pytest.raises(TypeError, match="positional argument"):
        cell.wait(1, 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Cell(1)  # type: ignore[call-arg]


@pytest.mark.parametrize("timeout", [None, 1000])
def test_a_signal_handler_runs_during_a_wait(timeout: float | None) -> None:
    """It posts: the wait goes on until then, and no longer."""
    cell, waiting = Cell(), Cell()
    main = threading.main_thread().ident
    assert main is not None

    def disturb() -> None:
        waiting.wait()
        signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda number, frame: cell.post())
    try:
        thread = threading.Thread(target=disturb)
        thread.start()
        waiting.post()
        assert cell.wait(timeout)
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_handler_that_raises_ends_the_wait() -> None:
    cell, waiting = Cell(), Cell()
    main = threading.main_thread().ident
    assert main is not None

    def disturb() -> None:
        waiting.wait()
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=disturb)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        waiting.post()
        cell.wait()
    thread.join()
    cell.post()
    assert cell.wait(0)


@trio_test
async def test_a_cell_of_a_run_works_outside_of_it() -> None:
    cell = Cell()
    await ctrio.to_thread.run_sync(cell.post)
    assert cell.wait()


def test_a_cell_outlives_the_run_that_made_it() -> None:
    async def make() -> Cell:
        return Cell()

    cell = ctrio.run(make)
    cell.post()
    assert cell.wait()


def test_in_a_scripted_run_time_is_the_script_s_and_costs_nothing() -> None:
    async def main() -> Cell:
        cell = Cell()
        begin = ctrio.current_time()
        assert not cell.wait(1000)
        assert ctrio.current_time() - begin >= 1000
        cell.post()
        assert cell.wait(1000)
        assert ctrio.current_time() - begin < 2000
        return cell

    cell = run_scripted(1, None, main)[0]
    assert not cell.wait(0)  # the script is gone: it is the machine's now
    cell.post()
    assert cell.wait()
