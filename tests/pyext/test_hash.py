"""Objects hash by the order in which they were made, never by their address.

Sets and dicts of them are then walked in the same order in every run of a program. Each
run counts what is made in it; what is made outside gets its number when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from numbered import MAKERS

import ctrio
from ctrio.testing import trio_test


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_outside_a_run_the_next_one_asked_has_the_next_number(
    make: Callable[[], object],
) -> None:
    first, second, third = make(), make(), make()
    numbers = [hash(third), hash(first), hash(second)]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert [hash(third), hash(first), hash(second)] == numbers


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@trio_test
async def test_in_a_run_the_next_one_made_has_the_next_number(
    make: Callable[[], object],
) -> None:
    first, second, third = make(), make(), make()
    last, middle = hash(third), hash(second)
    assert hash(first) < middle < last
    assert middle - hash(first) == last - middle


def test_each_run_counts_anew() -> None:
    async def main() -> int:
        return hash(ctrio.Event())

    assert ctrio.run(main) == ctrio.run(main)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_equality_stays_identity(make: Callable[[], object]) -> None:
    one, other = make(), make()
    assert one == one
    assert one != other
    assert len({one, other, one}) == 2


@trio_test
async def test_tasks_hash_by_the_order_of_spawning() -> None:
    tasks = []

    async def note() -> None:
        tasks.append(ctrio.lowlevel.current_task())

    async with ctrio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(note)
            await ctrio.testing.wait_all_tasks_blocked()
        assert isinstance(hash(nursery), int)
    numbers = [hash(task) for task in tasks]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
