"""What is left behind: objects, references and memory before and after.

A leak grows by at least one each time. CPython's cache of types is emptied before it
is measured: it holds up to 4096 strings that C code looks names up by ("derive", of
groups). What else CPython keeps by itself fades, so a growth is measured again and
again until it is next to nothing.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Awaitable, Callable

ATTEMPTS = 12
NOTHING = 10
"""Fewer than so many objects, references or blocks in a hundred times are no leak."""

Measures = tuple[int, int, int, int]


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def heap_in_use() -> int:
    """Bytes that malloc() has given out; 0 where it does not tell."""

    class Info(ctypes.Structure):
        _fields_ = [(f"field_{number}", ctypes.c_size_t) for number in range(10)]

    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return 0
    mallinfo2.restype = Info
    info = mallinfo2()
    return int(info.field_7 + info.field_1 * 0)


def measure() -> Measures:
    """Objects, references, pymalloc's blocks, malloc's bytes."""
    ctypes.pythonapi.PyType_ClearCache()
    for _ in range(3):
        gc.collect()
    references = getattr(sys, "gettotalrefcount", lambda: 0)()
    return len(gc.get_objects()), references, sys.getallocatedblocks(), heap_in_use()


def difference(before: Measures, after: Measures) -> list[int]:
    return [later - earlier for earlier, later in zip(before, after, strict=True)]


def measuring() -> list[int]:
    """What two measurements in a row find: themselves."""
    before = measure()
    return difference(before, measure())


def growth(function: Callable[[], object], times: int) -> list[int]:
    own = measuring()
    before = measure()
    for _ in range(times):
        function()
    return less(difference(before, measure()), own)


def less(grown: list[int], own: list[int]) -> list[int]:
    return [found - itself for found, itself in zip(grown, own, strict=True)]


def is_nothing(grown: list[int]) -> bool:
    return max(grown[:3]) < NOTHING and grown[3] < NOTHING * 64


def in_words(grown: list[int]) -> str:
    objects, references, blocks, size = grown
    return (
        f"{objects} objects, {references} references, {blocks} blocks, {size} bytes "
        "more"
    )


def check(function: Callable[[], object], times: int = 100) -> None:
    """Call it many times; nothing may be left behind."""
    for _ in range(10):  # caches fill, code is specialised, free lists are stocked
        function()
    for _ in range(ATTEMPTS):
        grown = growth(function, times)
        if is_nothing(grown):
            return
    raise AssertionError(f"{times} times: {in_words(grown)}")


async def check_within(loop: Callable[[], Awaitable[None]]) -> None:
    """The same within a run: nothing is kept until its end."""
    for _ in range(10):
        await loop()
    for _ in range(ATTEMPTS):
        own = measuring()
        before = measure()
        for _ in range(100):
            await loop()
        grown = less(difference(before, measure()), own)
        if is_nothing(grown):
            return
    name = getattr(loop, "__name__", loop)
    raise AssertionError(f"{name}, a hundred times: {in_words(grown)}")
