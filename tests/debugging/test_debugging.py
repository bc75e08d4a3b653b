"""Debugging is as on trio: each scripted run gives the same on both.

Needs CTRIO_TEST_TRIO, a Python with real trio in it; tools/run_tests.py sets it.
"""

from __future__ import annotations

import os
import sys

import pytest
from both import first_difference, normal, on_both, without_arrows
from runs import RUNS


@pytest.mark.skipif("CTRIO_TEST_TRIO" not in os.environ, reason="no trio to run beside")
@pytest.mark.parametrize("name", RUNS)
def test_both_give_the_same(name: str) -> None:
    run = RUNS[name]
    if sys.version_info < run.since:
        pytest.skip(f"needs CPython {'.'.join(map(str, run.since))}")
    found = on_both(run)
    assert first_difference(found["trio"][1], found["ctrio"][1]) == ""
    assert (found["trio"][0], found["ctrio"][0]) == (run.status, run.status)
    assert len(found["trio"][1]) >= run.least


PRINTED = """\
(Pdb) (Pdb) --Call--
> /x/site-packages/trio/_core/_run.py(2)run()
-> timeout = gen.send(next_send)
trio.WouldBlock
> /x/lib/python3.11/contextlib.py(3)helper()
-> return 3
--Return--
> <programs>/step.py(8)add()->WaitTaskResch...7f>)
-> await trio.sleep(1)
(Pdb) 5
Traceback (most recent call last):
  File "<programs>/step.py", line 9, in <module>
    steady.run(main)
  File "/x/site-packages/ctrio/_threads.py", line 2, in run
    return library()
           ^^^^^^^^^
  File "/x/lib/python3.11/threading.py", line 3, in run
    kept
  |   File "/x/site-packages/outcome/_impl.py", line 4, in unwrap
  |     raise captured_error
  | ValueError: at 0x7f00
"""


def test_only_the_library_s_frames_are_taken_out() -> None:
    assert normal(PRINTED) == [
        "--Return--\n> <programs>/step.py(8)add()-><yielded>\n-> await trio.sleep(1)",
        "5",
        "Traceback (most recent call last):",
        '  File "<programs>/step.py", line 9, in <module>',
        "    steady.run(main)",
        '  File "/x/lib/python3.11/threading.py", line 3, in run',
        "    kept",
        "  | ValueError: at 0x",
    ]


def test_a_difference_is_found_wherever_it_is() -> None:
    assert first_difference(["a", "b"], ["a", "b"]) == ""
    assert "trio has\nb\nctrio has\nc" in first_difference(["a", "b"], ["a", "c"])
    assert "ctrio has\nthe end" in first_difference(["a", "b"], ["a"])
    assert "trio has\nthe end" in first_difference(["a"], ["a", "b"])


def test_without_arrows_a_stack_has_the_same_frames() -> None:
    outer, inner = "  <programs>/a.py(1)f()\n-> x", "> <programs>/a.py(2)g()\n-> y"
    records = [inner, "text", outer, inner, "> quoted"]
    assert without_arrows(records) == [
        "text",
        outer,
        "  " + inner[2:],
        "> quoted",
    ]
