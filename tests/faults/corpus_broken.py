"""Programs that meet a failed allocation badly, each in a way that must be noticed."""

from __future__ import annotations

import os
from collections.abc import Callable

import ctrio

PROGRAMS: dict[str, Callable[[], object]] = {}
KEPT: list[object] = []


def program(function: Callable[[], object]) -> Callable[[], object]:
    PROGRAMS[function.__name__] = function
    return function


def allocate() -> object:
    bytearray(100)
    return "done"


@program
def is_right() -> object:
    return allocate()


@program
def leaves_something_behind() -> object:
    """Whatever the core asks for before the main task begins."""
    kept: list[object] = []

    async def main() -> None:
        kept.append("reached")

    try:
        ctrio.run(main)
    except BaseException:
        if not kept:
            KEPT.append(object())
        raise
    return "done"


@program
def dies() -> object:
    try:
        return allocate()
    except MemoryError:
        os.abort()


@program
def says_something_else() -> object:
    try:
        return allocate()
    except MemoryError:
        raise KeyError("nothing of memory") from None


@program
def goes_on_as_if_nothing_had_happened() -> object:
    try:
        return allocate()
    except MemoryError:
        return "not done"


@program
def complains_elsewhere() -> object:
    class Complains:
        def __del__(self) -> None:
            raise KeyError("complaint") from None

    try:
        return allocate()
    except MemoryError:
        Complains()
        raise


@program
def says_it_elsewhere() -> object:
    class Complains:
        def __del__(self) -> None:
            raise MemoryError

    try:
        return allocate()
    except MemoryError:
        Complains()
    return None
