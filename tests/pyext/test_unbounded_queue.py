"""The deprecated queue."""

from __future__ import annotations

import pytest

import ctrio
from ctrio.lowlevel import UnboundedQueue
from ctrio.testing import assert_checkpoints, trio_test, wait_all_tasks_blocked

pytestmark = pytest.mark.filterwarnings(
    "ignore:trio.lowlevel.UnboundedQueue:FutureWarning"
)


def make() -> UnboundedQueue[object]:
    return UnboundedQueue()


def test_it_is_deprecated() -> None:
    with pytest.warns(ctrio.TrioDeprecationWarning, match=r"open_memory_channel"):
        make()


@trio_test
async def test_it_gives_all_there_is() -> None:
    queue = make()
    with pytest.raises(ctrio.WouldBlock):
        queue.get_batch_nowait()
    assert queue.empty()
    queue.put_nowait(1)
    queue.put_nowait(2)
    assert (queue.qsize(), queue.empty()) == (2, False)
    assert repr(queue) == "<UnboundedQueue holding 2 items>"
    with assert_checkpoints():
        assert await queue.get_batch() == [1, 2]
    queue.put_nowait(3)
    assert queue.get_batch_nowait() == [3]


@trio_test
async def test_one_task_that_waits_gets_what_comes() -> None:
    queue = make()
    batches: list[list[object]] = []

    async def get() -> None:
        batches.append(await queue.get_batch())

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(get)
        nursery.start_soon(get)
        await wait_all_tasks_blocked()
        assert queue.statistics().tasks_waiting == 2
        queue.put_nowait(1)
        queue.put_nowait(2)
        with pytest.raises(ctrio.WouldBlock):
            queue.get_batch_nowait()  # it is promised to the task that was woken
        assert queue.statistics().qsize == 2
        await wait_all_tasks_blocked()
        assert batches == [[1, 2]]
        queue.put_nowait(3)
    assert batches == [[1, 2], [3]]


@trio_test
async def test_it_can_be_iterated() -> None:
    queue = make()
    batches: list[list[object]] = []

    async def get() -> None:
        async for batch in queue:
            batches.append(batch)

    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(get)
        for item in (1, 2):
            await wait_all_tasks_blocked()
            queue.put_nowait(item)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert batches == [[1], [2]]
