"""`open_signal_receiver`."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

import ctrio
from ctrio._signals import _signal_handler, get_pending_signal_count
from ctrio.testing import trio_test, wait_all_tasks_blocked

USR1, USR2 = signal.SIGUSR1, signal.SIGUSR2


@pytest.fixture(autouse=True)
def handled() -> Iterator[list[int]]:
    """What reaches the handlers of the program itself."""
    signals: list[int] = []

    def handler(signum: int, frame: object) -> None:
        signals.append(signum)

    with _signal_handler([USR1, USR2], handler):
        before = signal.getsignal(USR1)
        yield signals
        assert signal.getsignal(USR1) is before


async def settle() -> None:
    """Wait until signals that have been raised are in the receiver."""
    await wait_all_tasks_blocked()


@trio_test
async def test_signals_can_be_waited_for(handled: list[int]) -> None:
    got: list[int] = []

    async def wait(receiver: Iterator[int]) -> None:
        async for signum in receiver:  # type: ignore[attr-defined]
            got.append(signum)

    with ctrio.open_signal_receiver(USR1, USR2) as receiver:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(wait, receiver)
            for signum in (USR1, USR2, USR1):
                await wait_all_tasks_blocked()
                signal.raise_signal(signum)
            await settle()
            nursery.cancel_scope.cancel()
    assert got == [USR1, USR2, USR1]
    assert handled == []


@trio_test
async def test_a_signal_that_comes_twice_is_there_once() -> None:
    with ctrio.open_signal_receiver(USR1, USR2) as receiver:
        for signum in (USR1, USR2, USR1):
            signal.raise_signal(signum)
            await settle()
        assert get_pending_signal_count(receiver) == 2
        assert [await anext(receiver), await anext(receiver)] == [USR1, USR2]
        assert get_pending_signal_count(receiver) == 0


@trio_test
async def test_what_nobody_has_asked_for_goes_to_the_program(
    handled: list[int],
) -> None:
    with ctrio.open_signal_receiver(USR1, USR2) as receiver:
        signal.raise_signal(USR1)
        await settle()
        signal.raise_signal(USR2)  # still in the entry queue when the block ends
    assert handled == [USR1]
    await settle()
    assert handled == [USR1, USR2]
    with pytest.raises(RuntimeError, match="block already exited"):
        await anext(receiver)


@trio_test
async def test_all_are_given_back_even_if_the_program_fails_to_take_some() -> None:
    taken: list[int] = []

    def fail(signum: int, frame: object) -> None:
        taken.append(signum)
        raise KeyError(signum)

    with _signal_handler([USR1, USR2], fail):
        with pytest.raises(KeyError) as caught:
            with ctrio.open_signal_receiver(USR1, USR2):
                signal.raise_signal(USR1)
                signal.raise_signal(USR2)
                await settle()
    assert sorted(taken) == sorted([USR1, USR2])
    assert isinstance(caught.value.__context__, KeyError)


@trio_test
async def test_one_bad_signal_leaves_the_others_as_they_were() -> None:
    before = signal.getsignal(USR1)
    with pytest.raises(ValueError):
        with ctrio.open_signal_receiver(USR1, 1234567):
            raise AssertionError
    assert signal.getsignal(USR1) is before
    with ctrio.open_signal_receiver(USR1, USR1):
        assert signal.getsignal(USR1) is not before


def test_it_has_to_receive_something() -> None:
    with pytest.raises(TypeError, match="No signals were provided"):
        with ctrio.open_signal_receiver():
            raise AssertionError


@trio_test
async def test_another_thread_cannot_have_it() -> None:
    def inside_thread() -> None:
        async def main() -> None:
            with ctrio.open_signal_receiver(USR1):
                raise AssertionError

        with pytest.raises(RuntimeError, match="Python interpreter's main thread"):
            ctrio.run(main)

    await ctrio.to_thread.run_sync(inside_thread)


@trio_test
async def test_one_task_at_a_time_may_wait() -> None:
    results: list[object] = []

    async def wait(receiver: Iterator[int]) -> None:
        try:
            results.append(await anext(receiver))  # type: ignore[call-overload]
        except ctrio.BusyResourceError as exc:
            results.append(str(exc))

    with ctrio.open_signal_receiver(USR1) as receiver:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(wait, receiver)
            nursery.start_soon(wait, receiver)
            await wait_all_tasks_blocked()
            signal.raise_signal(USR1)
    assert results == [
        "only one task can iterate on a signal receiver at a time",
        USR1,
    ]
