"""Interpreters with a GIL of their own, each with its own loop.

In processes of their own: an interpreter's mistake may take the process with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="interpreters got GILs of their own in 3.12"
)

SUPPORT = Path(__file__).resolve().parent.parent / "support"


def lines_of(script: str) -> list[str]:
    """What a script prints that has `interpreters` imported as `them`."""
    path = [str(SUPPORT), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", f"import interpreters as them\n{script}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        timeout=120,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.splitlines()


# Of everything some: in an interpreter that is given `inbox` and `outbox`, ends of
# pipes to another one. Neither gets on without the other's loop.
EVERYTHING = """
import os
import ctrio
from ctrio import from_thread, to_thread
from ctrio.lowlevel import current_task, in_trio_run, wait_readable

async def sends(channel):
    async with channel:
        for number in range(10):
            await channel.send(number)

async def pings(rounds):
    for number in range(rounds):
        os.write(outbox, bytes([number]))
        await wait_readable(inbox)
        assert os.read(inbox, 1) == bytes([number])

async def cancelled(ends):
    try:
        await ctrio.sleep_forever()
    finally:
        ends.append(current_task().name)

def in_worker(number):
    assert from_thread.run(ctrio.sleep, 0) is None
    return from_thread.run_sync(pow, number, 2)

async def main():
    ends = []
    sending, receiving = ctrio.open_memory_channel(0)
    async with ctrio.open_nursery() as nursery:
        nursery.start_soon(pings, 20)
        nursery.start_soon(sends, sending)
        assert [number async for number in receiving] == list(range(10))
        squares = [await to_thread.run_sync(in_worker, number) for number in (2, 3)]
        assert squares == [4, 9]
        async with ctrio.open_nursery() as inner:
            for number in range(3):
                inner.start_soon(cancelled, ends, name=number)
            await ctrio.testing.wait_all_tasks_blocked()
            inner.cancel_scope.cancel()
        assert sorted(ends) == ["0", "1", "2"], ends
    try:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(to_thread.run_sync, divmod, 1, 0)
    except* ZeroDivisionError:
        pass

import ctrio.testing
ctrio.run(main)
assert not in_trio_run()
"""

TWO = f"""
import os

def pair():
    left, right = os.pipe(), os.pipe()
    code = {EVERYTHING!r}
    ends = (left[0], right[1]), (right[0], left[1])
    return [f"inbox, outbox = {{pair}}\\n{{code}}" for pair in ends], left + right
"""


def test_two_loops_run_at_once() -> None:
    script = """
codes, _ = pair()
them.end_together({them.create(): code for code in codes})
print("end")
"""
    assert lines_of(TWO + script) == ["end"]


def test_four_loops_and_the_main_interpreter_s_do_not_see_each_other() -> None:
    script = """
import ctrio

codes, _ = pair()
more, _ = pair()
others = {them.create(): code for code in codes + more}

async def main():
    await ctrio.to_thread.run_sync(them.execute_together, others)
    assert ctrio.lowlevel.current_task().name == "__main__.main"
    assert ctrio.lowlevel.in_trio_run()

ctrio.run(main)
for interpreter in others:
    them.destroy(interpreter)
print("end")
"""
    assert lines_of(TWO + script) == ["end"]


def test_each_has_its_own_module_and_types() -> None:
    script = """
import ctrio

code = '''
import ctrio
from ctrio import _ctrio
assert not hasattr(ctrio.Event, "patched")
assert not ctrio.lowlevel.in_trio_run()
ctrio.Event.patched = ctrio.lowlevel.patched = {}
_ctrio.bind(TooSlowError=KeyError)
assert hash(ctrio.Event()) == 1
print([id(getattr(_ctrio, name)) for name in ("Event", "Task", "run")])
'''
ctrio.Event.patched = 0
hashes = [hash(ctrio.Event()) for _ in range(5)]
both = them.create(), them.create()

async def main():
    for interpreter in both:
        them.execute(interpreter, code)
    with ctrio.fail_after(0):
        await ctrio.lowlevel.checkpoint()

try:
    ctrio.run(main)
except ctrio.TooSlowError:
    assert ctrio.Event.patched == 0 and not hasattr(ctrio.lowlevel, "patched")
    print([id(getattr(ctrio._ctrio, name)) for name in ("Event", "Task", "run")])
for interpreter in both:
    them.destroy(interpreter)
"""
    printed = [eval(line) for line in lines_of(script)]
    assert len(printed) == 3
    assert len({identity for line in printed for identity in line}) == 9


TURNS = 20 if os.environ.get("CTRIO_LONG") else 3


def test_time_after_time_two_interpreters_end_and_leave_nothing() -> None:
    script = """
from pathlib import Path

def leavings():
    return [len(list(Path(f"/proc/self/{what}").iterdir())) for what in ("task", "fd")]

for turn in range(turns):
    codes, pipes = pair()
    them.end_together({them.create(): code for code in codes})
    for number in pipes:
        os.close(number)
    if turn == 0:
        first = leavings()
print(leavings() == first, first[0])
"""
    assert lines_of(f"turns = {TURNS}\n{TWO}{script}") == ["True 1"]


def test_the_end_of_an_interpreter_waits_for_no_idle_worker() -> None:
    script = """
interpreter = them.create()
them.execute(interpreter, '''
import ctrio
from ctrio._core import _thread_cache
_thread_cache.IDLE_TIMEOUT = 1_000_000

async def main():
    async with ctrio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(ctrio.to_thread.run_sync, int)

ctrio.run(main)
''')
them.destroy(interpreter)
print("end")
"""
    assert lines_of(script) == ["end"]


def test_a_worker_that_was_given_up_may_end_after_the_run() -> None:
    script = """
import os
inbox, outbox = os.pipe()
interpreter = them.create()
them.execute(interpreter, f'''
import os
import ctrio
from ctrio._core import _thread_cache
_thread_cache.IDLE_TIMEOUT = 1_000_000

async def main():
    with ctrio.move_on_after(0):
        await ctrio.to_thread.run_sync(os.read, {inbox}, 1, abandon_on_cancel=True)

ctrio.run(main)
''')
os.write(outbox, b"x")
them.destroy(interpreter)
print("end")
"""
    assert lines_of(script) == ["end"]


def test_an_interpreter_may_end_with_all_sorts_of_things_left() -> None:
    script = """
for _ in range(5):
    interpreter = them.create()
    them.execute(interpreter, '''
import warnings
import ctrio
warnings.simplefilter("ignore")
left = [ctrio.Event(), ctrio.Lock(), ctrio.open_memory_channel(3), ctrio.sleep(1)]
left.append(ctrio.CancelScope())

async def numbers():
    try:
        yield left
    finally:
        await ctrio.sleep(0)

async def fails():
    left.append(ctrio.lowlevel.current_task())
    raise ValueError(left)

async def main():
    left.append(numbers())
    await left[-1].__anext__()
    async with ctrio.open_nursery() as nursery:
        left.append(nursery)
        nursery.start_soon(fails)

try:
    ctrio.run(main)
except BaseException as failure:
    left.append(failure)
left.append(left)
''')
    them.destroy(interpreter)
print("end")
"""
    assert lines_of(script) == ["end"]
