"""CapacityLimiter."""

from __future__ import annotations

import gc
import math
import re
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import ctrio
from ctrio._statistics import CapacityLimiterStatistics
from ctrio.testing import assert_checkpoints, trio_test, wait_all_tasks_blocked

HAS_ONE = "^this borrower is already holding one of this CapacityLimiter's tokens$"
HAS_NONE = "^this borrower isn't holding any of this CapacityLimiter's tokens$"


class Borrower:
    """Compares as told, and counts how often it is asked."""

    def __init__(self, key: object, hook: Callable[[], object] | None = None) -> None:
        self.key = key
        self.hook = hook

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        for one in (self, other):
            if isinstance(one, Borrower) and one.hook is not None:
                one.hook()
        return isinstance(other, Borrower) and self.key == other.key


def test_the_class_is_trios_and_final() -> None:
    assert ctrio.CapacityLimiter.__module__ == "trio"
    with pytest.raises(TypeError):
        type("Sub", (ctrio.CapacityLimiter,), {})


@pytest.mark.parametrize("total", [1.0, "1", None, -math.inf, math.nan])
def test_tokens_are_counted_in_whole_numbers(total: Any) -> None:
    text = r"^total_tokens must be an int or math\.inf$"
    with pytest.raises(TypeError, match=text):
        ctrio.CapacityLimiter(total)
    limiter = ctrio.CapacityLimiter(1)
    with pytest.raises(TypeError, match=text):
        limiter.total_tokens = total
    assert limiter.total_tokens == 1


@pytest.mark.parametrize("total", [-1, -(10**30)])
def test_there_are_no_fewer_tokens_than_none(total: int) -> None:
    with pytest.raises(ValueError, match=r"^total_tokens must be >= 0$"):
        ctrio.CapacityLimiter(total_tokens=total)


@pytest.mark.parametrize("total", [0, 3, 10**30, math.inf])
def test_a_limiter_tells_its_numbers(total: float) -> None:
    limiter = ctrio.CapacityLimiter(total)
    assert (limiter.total_tokens, limiter.available_tokens) == (total, total)
    if total:
        limiter.acquire_on_behalf_of_nowait("a")
        assert limiter.available_tokens == total - 1
    lent = limiter.borrowed_tokens
    assert lent == min(total, 1)
    pattern = rf"<trio\.CapacityLimiter at 0x\w+, {lent}/{total} with 0 waiting>"
    assert re.fullmatch(pattern, repr(limiter))
    borrowers: list[object] = ["a"] * int(lent)
    expected = CapacityLimiterStatistics(lent, total, borrowers, 0)
    assert limiter.statistics() == expected
    with pytest.raises(AttributeError):
        del limiter.total_tokens


def test_without_a_task_there_is_no_borrower() -> None:
    limiter = ctrio.CapacityLimiter(1)
    for call in (limiter.acquire_nowait, limiter.release):
        with pytest.raises(RuntimeError, match=r"^must be called from async context$"):
            call()
    limiter.acquire_on_behalf_of_nowait(borrower="a")
    limiter.release_on_behalf_of(borrower="a")
    with pytest.raises(TypeError, match="missing 1 required"):
        limiter.release_on_behalf_of()  # type: ignore[call-arg]


@trio_test
async def test_nobody_gets_two_tokens_nor_gives_back_anothers() -> None:
    limiter = ctrio.CapacityLimiter(5)
    me = ctrio.lowlevel.current_task()
    with assert_checkpoints():
        await limiter.acquire()
    assert limiter.statistics().borrowers == [me]
    with pytest.raises(RuntimeError, match=HAS_ONE):
        limiter.acquire_nowait()
    with pytest.raises(RuntimeError, match=HAS_ONE):
        limiter.acquire_on_behalf_of_nowait(me)
    with pytest.raises(RuntimeError, match=HAS_ONE):
        await limiter.acquire()
    limiter.release()
    for release in (limiter.release, lambda: limiter.release_on_behalf_of("a")):
        with pytest.raises(RuntimeError, match=HAS_NONE):
            release()
    async with limiter:
        assert limiter.borrowed_tokens == 1
    with pytest.raises(RuntimeError, match=HAS_NONE):
        await limiter.__aexit__(None, None, None)


@trio_test
async def test_borrowers_are_compared_as_in_a_set() -> None:
    limiter = ctrio.CapacityLimiter(5)
    await limiter.acquire_on_behalf_of("a" * 1000)
    with pytest.raises(RuntimeError, match=HAS_ONE):
        limiter.acquire_on_behalf_of_nowait("".join(["a"] * 1000))
    limiter.release_on_behalf_of("".join(["a"] * 1000))
    limiter.acquire_on_behalf_of_nowait(1)
    with pytest.raises(RuntimeError, match=HAS_ONE):
        await limiter.acquire_on_behalf_of(1.0)
    limiter.release_on_behalf_of(True)
    one, same, other = Borrower(1), Borrower(1), Borrower(2)
    for borrower in (one, other):
        limiter.acquire_on_behalf_of_nowait(borrower)
    with pytest.raises(RuntimeError, match=HAS_ONE):
        limiter.acquire_on_behalf_of_nowait(same)
    limiter.release_on_behalf_of(same)
    assert limiter.statistics().borrowers == [other]
    assert limiter.statistics().borrowers[0] is other


@trio_test
async def test_a_borrower_must_be_hashable() -> None:
    limiter = ctrio.CapacityLimiter(1)
    for call in (limiter.acquire_on_behalf_of_nowait, limiter.release_on_behalf_of):
        with pytest.raises(TypeError, match="unhashable type: 'list'"):
            call([])
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        await limiter.acquire_on_behalf_of([])
    assert limiter.borrowed_tokens == 0


@trio_test
async def test_an_error_of_a_comparison_is_raised_and_changes_nothing() -> None:
    def fail() -> None:
        raise ZeroDivisionError("hook")

    limiter = ctrio.CapacityLimiter(2)
    limiter.acquire_on_behalf_of_nowait(Borrower(1))
    for call in (limiter.acquire_on_behalf_of_nowait, limiter.release_on_behalf_of):
        with pytest.raises(ZeroDivisionError, match="hook"):
            call(Borrower(2, fail))
    borrower = Borrower(2, fail)
    ref = weakref.ref(borrower)
    with pytest.raises(ZeroDivisionError, match="hook"):
        await limiter.acquire_on_behalf_of(borrower)
    del borrower
    assert ref() is None
    assert limiter.borrowed_tokens == 1


def test_a_comparison_may_change_the_limiter() -> None:
    limiter = ctrio.CapacityLimiter(10)
    done: list[bool] = []

    def meddle() -> None:
        if not done:
            done.append(True)
            limiter.release_on_behalf_of(first)
            for number in range(5, 10):
                limiter.acquire_on_behalf_of_nowait(Borrower(number))

    first = Borrower(1)
    limiter.acquire_on_behalf_of_nowait(first)
    limiter.acquire_on_behalf_of_nowait(Borrower(2, meddle))
    assert done
    assert limiter.borrowed_tokens == 6
    keys = {borrower.key for borrower in limiter.statistics().borrowers}
    assert keys == {2, 5, 6, 7, 8, 9}


@trio_test
async def test_tokens_go_to_who_has_waited_longest() -> None:
    limiter = ctrio.CapacityLimiter(1)
    order: list[int] = []

    async def borrow(number: int) -> None:
        await limiter.acquire_on_behalf_of(number)
        order.append(number)

    async with ctrio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(borrow, number)
            await wait_all_tasks_blocked()
        assert repr(limiter).endswith(" 1/1 with 3 waiting>")
        assert list(limiter._pending_borrowers.values()) == [1, 2, 3]
        assert set(limiter._pending_borrowers) == nursery.child_tasks
        limiter.release_on_behalf_of(0)
        assert limiter.statistics() == CapacityLimiterStatistics(1, 1, [1], 2)
        with pytest.raises(ctrio.WouldBlock):
            limiter.acquire_nowait()
        limiter.total_tokens = 2
        assert limiter.statistics() == CapacityLimiterStatistics(2, 2, [1, 2], 1)
        limiter.total_tokens = 1
        limiter.release_on_behalf_of(1)
        assert limiter.statistics() == CapacityLimiterStatistics(1, 1, [2], 1)
        limiter.release_on_behalf_of(2)
    assert sorted(order) == [0, 1, 2, 3]
    assert limiter._pending_borrowers == {}


@trio_test
async def test_while_somebody_waits_nobody_overtakes() -> None:
    limiter = ctrio.CapacityLimiter(0)
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(limiter.acquire)
        await wait_all_tasks_blocked()
        limiter.total_tokens = 1
        with pytest.raises(ctrio.WouldBlock):
            limiter.acquire_nowait()
        assert limiter.statistics().borrowers == list(nursery.child_tasks)


@trio_test
async def test_a_cancelled_acquire_has_borrowed_nothing() -> None:
    limiter = ctrio.CapacityLimiter(1)
    with ctrio.CancelScope() as scope:
        scope.cancel()
        await limiter.acquire()
    assert scope.cancelled_caught
    assert limiter.borrowed_tokens == 0
    await limiter.acquire()
    borrower = Borrower(1)
    ref = weakref.ref(borrower)
    with ctrio.CancelScope() as scope:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(limiter.acquire_on_behalf_of, borrower)
            await wait_all_tasks_blocked()
            scope.cancel()
    limiter.release()
    assert (limiter.borrowed_tokens, limiter._pending_borrowers) == (0, {})
    del borrower
    gc.collect()  # the nursery's traces
    assert ref() is None


@trio_test
async def test_a_token_may_be_given_back_before_its_borrower_has_woken() -> None:
    limiter = ctrio.CapacityLimiter(1)
    async with ctrio.open_nursery() as nursery:
        await limiter.acquire()
        nursery.start_soon(limiter.acquire_on_behalf_of, "a")
        await wait_all_tasks_blocked()
        limiter.release()
        limiter.release_on_behalf_of("a")
        assert limiter.borrowed_tokens == 0
    limiter.acquire_on_behalf_of_nowait("a")


@trio_test
async def test_two_tasks_that_wait_for_one_borrower_share_its_token() -> None:
    limiter = ctrio.CapacityLimiter(0)
    async with ctrio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(limiter.acquire_on_behalf_of, "a")
        await wait_all_tasks_blocked()
        limiter.total_tokens = 5
        assert limiter.statistics().tasks_waiting == 0
        assert limiter.statistics().borrowers == ["a"]
    limiter.release_on_behalf_of("a")
    with pytest.raises(RuntimeError, match=HAS_NONE):
        limiter.release_on_behalf_of("a")


@trio_test
async def test_cycles_through_borrowers_are_collected() -> None:
    limiter = ctrio.CapacityLimiter(1)
    borrower = Borrower(limiter)
    limiter.acquire_on_behalf_of_nowait(borrower)
    refs: list[weakref.ref[Any]] = [weakref.ref(limiter), weakref.ref(borrower)]
    del limiter, borrower
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_a_limiter_forgets_the_total_it_had() -> None:
    total = 10**20
    limiter = ctrio.CapacityLimiter(total)
    before = sys.getrefcount(total)
    for _ in range(10):
        limiter.total_tokens = 1
        limiter.total_tokens = total
    assert sys.getrefcount(total) == before


@trio_test
async def test_a_borrower_dies_with_its_loan() -> None:
    limiter = ctrio.CapacityLimiter(2)
    borrower = Borrower(1)
    ref = weakref.ref(borrower)
    await limiter.acquire_on_behalf_of(borrower)
    del borrower
    assert ref() is not None
    limiter.release_on_behalf_of(Borrower(1))
    assert ref() is None
    borrower = Borrower(3)
    ref = weakref.ref(borrower)
    limiter.total_tokens = 0
    with pytest.raises(ctrio.WouldBlock):
        limiter.acquire_on_behalf_of_nowait(borrower)
    limiter.total_tokens = 2
    del borrower
    assert ref() is None
    borrower = Borrower(2)
    ref = weakref.ref(borrower)
    limiter.acquire_on_behalf_of_nowait(borrower)
    del borrower, limiter
    assert ref() is None
