"""No program crashes, hangs or leaks for want of memory: a sample of `failing.py`.

Of each program every 19th allocation fails, another one of 19 in each program: what
all have in common, the beginning and the end of a run, is met with every number.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from growth import check

sys.path.insert(0, str(Path(__file__).resolve().parent))

from corpus_broken import PROGRAMS as BROKEN
from corpus_outside import PROGRAMS
from failing import ONLY_THE_CORE_S, Options, build_allocator, examine

EVERY = 19


@pytest.fixture(scope="module")
def allocator() -> None:
    """Needed: a compiler, and a CPython that can do without memory."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("what CPython itself does badly is listed for 3.11 only, as yet")
    if ONLY_THE_CORE_S:
        pytest.skip("a debug build of CPython ends by assertions of its own")
    try:
        build_allocator()
    except (OSError, RuntimeError) as problem:
        pytest.skip(f"the allocator that fails cannot be built: {problem}")


@pytest.mark.usefixtures("allocator")
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_allocation_that_fails_is_an_error_and_nothing_else(name: str) -> None:
    start = 1 + list(PROGRAMS).index(name) * 5 % EVERY
    result = examine(name, Options(start=start, every=EVERY))
    assert result.findings == []
    assert result.calls > 100
    assert result.runs > result.calls // EVERY


@pytest.mark.usefixtures("allocator")
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_found(name: str) -> None:
    result = examine(name, Options(corpus="corpus_broken"))
    found = " ".join(text for _, text in result.findings)
    words = {
        "is_right": "",
        "leaves_something_behind": "blocks behind each time",
        "dies": "dies (-6)",
        "says_something_else": "KeyError: 'nothing of memory'",
        "goes_on_as_if_nothing_had_happened": "'not done' instead of 'done'",
        "complains_elsewhere": "KeyError('complaint')",
        "says_it_elsewhere": "",
    }[name]
    assert words in found
    assert bool(words) == bool(found)


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_that_ran_has_left_nothing(program: Callable[[], object]) -> None:
    logging.disable()  # pytest keeps what is logged
    gc.freeze()  # and has a large heap
    try:
        check(program, 25)
    finally:
        gc.unfreeze()
        logging.disable(logging.NOTSET)
