"""Async generators that nobody closes."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import AsyncGenerator, Generator

import pytest

import ctrio
from ctrio.testing import trio_test, wait_all_tasks_blocked


async def counting(events: list[object]) -> AsyncGenerator[int, None]:
    try:
        for number in range(10):
            yield number
    finally:
        task = ctrio.lowlevel.current_task()
        events.append(f"closing in {task.name}")
        try:
            await ctrio.sleep_forever()
        except ctrio.Cancelled as exc:
            events.append(exc.reason)
            raise


def test_what_is_left_at_the_end_of_the_run_is_closed() -> None:
    events: list[object] = []
    kept: list[object] = []

    async def main() -> None:
        generator = counting(events)
        kept.append(generator)
        assert await generator.__anext__() == 0
        events.append("main ends")

    ctrio.run(main)
    assert events == [
        "main ends",
        "closing in <init>",
        "disallow async work when closing async generators during trio shutdown",
    ]


@trio_test
async def test_what_is_collected_is_closed_soon_with_a_warning() -> None:
    events: list[object] = []

    async def leave() -> None:
        async for _ in counting(events):
            break

    with pytest.warns(ResourceWarning, match=r"counting' was garbage collected before"):
        await leave()
        gc.collect()
    await wait_all_tasks_blocked()
    name = f"{__name__}.counting"
    assert events[0] == f"closing in close asyncgen {name} (abandoned)"


@trio_test
async def test_what_was_closed_or_has_ended_is_left_alone() -> None:
    async def numbers() -> AsyncGenerator[int, None]:
        yield 1
        yield 2

    assert [number async for number in numbers()] == [1, 2]
    generator = numbers()
    await generator.__anext__()
    await generator.aclose()
    del generator
    gc.collect()
    await wait_all_tasks_blocked()  # a warning would have been an error


def test_an_error_at_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[object] = []

    async def failing() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            raise ValueError("at the end")

    async def main() -> None:
        generator = failing()
        kept.append(generator)
        await generator.__anext__()

    with caplog.at_level(logging.ERROR):
        ctrio.run(main)
    (record,) = caplog.records
    assert record.name == "trio.async_generator_errors"
    assert "failing' -- surround your use of the generator" in record.getMessage()
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "at the end"


def test_one_that_begins_another_while_it_is_closed() -> None:
    events: list[object] = []
    kept: list[object] = []

    async def beginning() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            other = counting(events)
            kept.append(other)
            await other.__anext__()

    async def main() -> None:
        generator = beginning()
        kept.append(generator)
        await generator.__anext__()

    ctrio.run(main)
    assert events[0] == "closing in <init>"


def test_those_left_at_the_end_are_closed_in_the_order_of_first_iteration() -> None:
    closed: list[int] = []
    kept: list[object] = []

    async def numbered(number: int, then: int = 0) -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            closed.append(number)
            for other in range(then):
                generator = numbered(100 + other)
                kept.append(generator)
                await generator.__anext__()

    async def main() -> None:
        generators = [numbered(number, then=number % 3) for number in range(20)]
        kept.extend(generators)
        for generator in reversed(generators):
            await generator.__anext__()

    ctrio.run(main)
    begun = [100 + other for number in range(20)[::-1] for other in range(number % 3)]
    assert closed == [*range(20)[::-1], *begun]


def test_the_hooks_of_others_are_put_back() -> None:
    def firstiter(agen: object) -> None: ...

    def finalizer(agen: object) -> None: ...

    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter, finalizer)
    try:

        async def main() -> None:
            assert sys.get_asyncgen_hooks() != (firstiter, finalizer)

        ctrio.run(main)
        assert sys.get_asyncgen_hooks() == (firstiter, finalizer)
    finally:
        sys.set_asyncgen_hooks(*before)


class Waiting:
    """Awaited, it hands over to the loop, whichever that is."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Foreign:
    """An async generator that is first iterated outside a task, within a run."""

    def __init__(self) -> None:
        self.iterated: list[object] = []
        self.finalized: list[object] = []

    async def awaiting(self) -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            await Waiting()

    async def plain(self) -> AsyncGenerator[int, None]:
        yield 1

    def begin_in_run(self, generators: list[AsyncGenerator[int, None]]) -> None:
        """Iterate them where a run is but no task, in an instrument."""

        class Begin(ctrio.abc.Instrument):
            def before_io_wait(self, timeout: float) -> None:
                while generators:
                    step = generators.pop().__anext__()
                    with pytest.raises(StopIteration):
                        step.send(None)
                gc.collect()

        async def main() -> None:
            await ctrio.lowlevel.checkpoint()

        ctrio.run(main, instruments=[Begin()])


def test_foreign_ones_are_the_hosts() -> None:
    foreign = Foreign()
    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(
        lambda agen: foreign.iterated.append(id(agen)),
        lambda agen: foreign.finalized.append(id(agen)),
    )
    try:
        generator = foreign.plain()
        number = id(generator)
        generators = [generator]
        del generator
        foreign.begin_in_run(generators)
    finally:
        sys.set_asyncgen_hooks(*before)
    assert foreign.iterated == foreign.finalized == [number]


def test_foreign_ones_without_a_host_may_not_await(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unraisable: list[str] = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda info: unraisable.append(str(info.exc_value))
    )
    foreign = Foreign()
    foreign.begin_in_run([foreign.plain()])
    assert not any("Non-Trio async generator" in text for text in unraisable)
    foreign.begin_in_run([foreign.awaiting()])
    assert any("awaited something during finalization" in t for t in unraisable)
