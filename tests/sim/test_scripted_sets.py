"""Equal scripted runs walk sets of our objects in the same order.

Addresses differ from run to run, and so does what the process has done before; neither
may show.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from numbered import MAKERS
from scripted_echo import placeholder

import ctrio
from ctrio import _ctrio


def run(async_fn: object, *args: object) -> object:
    return _ctrio.run_scripted(1, placeholder, async_fn, *args)[0]


def order(objects: list[object]) -> list[int]:
    """Tell in which order a set of them is walked, as places in the list."""
    places = {id(one): place for place, one in enumerate(objects)}
    return [places[id(one)] for one in set(objects)]


def disturb(count: int) -> list[object]:
    """Move addresses about, and count on what is counted in the process."""
    kept = [ctrio.Event() for _ in range(count)]
    assert len({hash(event) for event in kept}) == count
    return kept


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_set_of_what_the_run_made(make: Callable[[], object]) -> None:
    async def main() -> list[int]:
        return order([make() for _ in range(5)])

    seen, kept = [], []
    for count in range(8):
        kept.append(disturb(count))
        seen.append(run(main))
    assert seen == [seen[0]] * 8


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_set_of_what_was_made_before_the_run(make: Callable[[], object]) -> None:
    async def main(objects: list[object]) -> list[int]:
        return order(objects)

    seen, kept = [], []
    for count in range(8):
        kept.append(disturb(count))
        seen.append(run(main, [make() for _ in range(5)]))
    assert seen == [seen[0]] * 8


def test_sets_of_nurseries_and_of_tasks() -> None:
    async def main() -> tuple[list[int], list[int]]:
        tasks: list[object] = []
        nurseries: list[object] = []

        async def child() -> None:
            async with ctrio.open_nursery() as nursery:
                tasks.append(ctrio.lowlevel.current_task())
                nurseries.append(nursery)
                await ctrio.lowlevel.checkpoint()

        async with ctrio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(child)
        return order(tasks), order(nurseries)

    seen, kept = [], []
    for count in range(8):
        kept.append(disturb(count))
        seen.append(run(main))
    assert seen == [seen[0]] * 8


def test_asking_for_one_more_hash_moves_no_other() -> None:
    async def main(asks: bool) -> list[int]:
        objects: list[object] = [ctrio.Event() for _ in range(5)]
        if asks:
            hash(objects[3])
        return order(objects)

    assert run(main, False) == run(main, True)
