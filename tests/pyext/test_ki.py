"""KeyboardInterrupt: where it may strike, and how else it gets to the main task."""

from __future__ import annotations

import _thread
import gc
import os
import signal
import subprocess
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from functools import partial

import pytest

import ctrio
from ctrio import TrioInternalError, lowlevel
from ctrio.lowlevel import (
    checkpoint,
    currently_ki_protected,
    disable_ki_protection,
    enable_ki_protection,
)
from ctrio.testing import wait_all_tasks_blocked


def interrupt() -> None:
    """Do as Ctrl-C: the handler runs before this returns."""
    signal.raise_signal(signal.SIGINT)


# --- marks ---------------------------------------------------------------------------


def ask() -> bool:
    return currently_ki_protected()


def test_outside_of_a_run_everything_is_protected() -> None:
    assert currently_ki_protected()
    assert ask()


def test_a_mark_counts_for_what_the_function_calls_and_the_innermost_wins() -> None:
    @disable_ki_protection
    def outer() -> list[bool]:
        return [ask(), inner(), ask()]

    @enable_ki_protection
    def inner() -> bool:
        return ask()

    assert outer() == [False, True, False]


def test_the_last_mark_replaces_those_before() -> None:
    def function() -> bool:
        return currently_ki_protected()

    disable_ki_protection(enable_ki_protection(function))
    assert not function()
    enable_ki_protection(function)
    assert function()


def test_the_function_itself_is_returned() -> None:
    def function() -> None: ...

    class Holder:
        def method(self) -> None: ...

    bound = Holder().method
    assert enable_ki_protection(function) is function
    assert disable_ki_protection(function) is function
    assert enable_ki_protection(bound) is bound


def test_a_mark_belongs_to_one_code_object_and_not_to_equal_ones() -> None:
    def make() -> Callable[[], bool]:
        return eval(compile("lambda: ask()", "same", "eval"), globals())

    one, other = make(), make()
    assert one.__code__ == other.__code__
    assert one.__code__ is not other.__code__
    disable_ki_protection(one)
    assert not one()
    assert other()


def test_a_changed_copy_of_a_code_object_has_no_mark() -> None:
    @disable_ki_protection
    def function() -> bool:
        return ask()

    copy = types.FunctionType(function.__code__.replace(co_name="copy"), globals())
    assert not function()
    assert copy()


def test_a_mark_does_not_keep_code_alive() -> None:
    def function() -> None: ...

    copy = types.FunctionType(function.__code__.replace(co_name="copy"), globals())
    enable_ki_protection(copy)
    code = weakref.ref(copy.__code__)
    del copy
    gc.collect()
    assert code() is None


def test_generators_keep_the_mark_of_their_function() -> None:
    @disable_ki_protection
    def generate() -> Iterator[bool]:
        while True:
            try:
                yield ask()
            except KeyError:
                yield ask()

    generator = generate()
    assert next(generator) is False
    assert generator.throw(KeyError()) is False


def test_what_has_no_code_cannot_be_marked() -> None:
    class Odd:
        __code__ = "text"

    with pytest.raises(AttributeError, match="__code__"):
        enable_ki_protection(len)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="no code object"):
        disable_ki_protection(Odd())  # type: ignore[type-var]


def test_our_own_async_functions_can_be_marked_without_being_looked_into() -> None:
    code = """
import sys, ctrio
from ctrio.lowlevel import enable_ki_protection
assert enable_ki_protection(ctrio.sleep) is ctrio.sleep
acquire = ctrio.Lock().acquire
assert enable_ki_protection(acquire) is acquire
assert "ctrio._stubs" not in sys.modules
"""
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_a_function_of_the_async_generator_package_is_unwrapped() -> None:
    def real() -> bool:
        return currently_ki_protected()

    def wrapper() -> bool:
        return real()

    wrapper.__wrapped__ = real  # type: ignore[attr-defined]
    wrapper._async_gen_function = id(wrapper)  # type: ignore[attr-defined]
    disable_ki_protection(wrapper)
    assert not real()
    assert currently_ki_protected()


def test_finalizers_are_protected_by_their_name() -> None:
    answers = []

    class Dying:
        def __del__(self) -> None:
            answers.append(ask())

    @disable_ki_protection
    def drop() -> None:
        Dying()
        gc.collect()

    drop()
    assert answers == [True]


def test_looking_at_frames_does_not_keep_their_variables_alive() -> None:
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    assert currently_ki_protected()
    del thing
    gc.collect()
    assert gone() is None


# --- tasks ----------------------------------------------------------------------------


def test_tasks_are_open_and_system_tasks_are_protected() -> None:
    answers = {}

    async def child(name: str) -> None:
        answers[name] = ask()
        await checkpoint()
        answers[name + " later"] = ask()

    async def main() -> None:
        assert not ask()
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(child, "task")
        lowlevel.spawn_system_task(child, "system task")
        lowlevel.spawn_system_task(disable_ki_protection(child2), "marked")
        await wait_all_tasks_blocked()

    async def child2(name: str) -> None:
        answers[name] = ask()

    ctrio.run(main)
    assert answers == {
        "task": False,
        "task later": False,
        "system task": True,
        "system task later": True,
        "marked": False,
    }


def test_the_frames_below_a_run_do_not_count() -> None:
    @disable_ki_protection
    def caller() -> bool:
        async def main() -> bool:
            token = lowlevel.current_trio_token()
            answers = []
            token.run_sync_soon(lambda: answers.append(ask()))
            await wait_all_tasks_blocked()
            return answers[0]

        assert not ask()
        return ctrio.run(main)

    assert caller()


def test_a_coroutine_that_was_replaced_by_a_generator_is_still_the_task_s() -> None:
    def shim(coro: object) -> Iterator[object]:
        value = None
        while True:
            try:
                value = yield coro.send(value)  # type: ignore[attr-defined]
            except StopIteration as stop:
                return stop.value

    async def main() -> bool:
        task = lowlevel.current_task()
        task.coro = shim(task.coro)
        await checkpoint()
        return ask()

    assert ctrio.run(main) is False


# --- the signal -----------------------------------------------------------------------


def test_in_an_open_task_it_is_raised_on_the_spot() -> None:
    async def main() -> None:
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        await checkpoint()

    ctrio.run(main)


def test_in_a_protected_task_it_waits_for_the_main_task_s_next_checkpoint() -> None:
    events = []

    @enable_ki_protection
    async def child() -> None:
        interrupt()
        events.append("child goes on")
        await checkpoint()
        events.append("past a checkpoint")

    async def main() -> None:
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(child)
            try:
                await ctrio.sleep_forever()
            except KeyboardInterrupt:
                events.append("main")

    ctrio.run(main)
    assert events[0] == "child goes on"
    assert sorted(events[1:]) == ["main", "past a checkpoint"]


def test_signals_that_come_before_the_first_was_delivered_are_one() -> None:
    @enable_ki_protection
    async def main() -> None:
        interrupt()
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            await checkpoint()
        await checkpoint()
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            await checkpoint()

    ctrio.run(main)


def test_restricted_to_checkpoints_even_open_code_goes_on() -> None:
    async def main() -> None:
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            await checkpoint()

    ctrio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)


def test_one_that_nobody_took_ends_the_run_and_keeps_the_error_as_context() -> None:
    @enable_ki_protection
    async def main() -> None:
        interrupt()
        raise LookupError

    with pytest.raises(KeyboardInterrupt) as caught:
        ctrio.run(main)
    assert isinstance(caught.value.__context__, LookupError)


def test_one_that_hits_the_loop_goes_to_the_main_task() -> None:
    caught = []

    async def bystander(event: ctrio.Event) -> None:
        try:
            await event.wait()
            for _ in range(100):  # many places to be interrupted at
                ask()
        except KeyboardInterrupt:
            caught.append("bystander")

    async def main() -> None:
        token, event = lowlevel.current_trio_token(), ctrio.Event()
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(bystander, event)
            await wait_all_tasks_blocked()
            # Called by C from C, so no bytecode follows that would notice the signal:
            # the next one to be run is the bystander's.
            token.run_sync_soon(_thread.interrupt_main)
            token.run_sync_soon(event.set)
            try:
                await ctrio.sleep_forever()
            except KeyboardInterrupt:
                caught.append("main")

    ctrio.run(main)
    assert caught == ["main"]


class AtTheEnd:
    """An instrument that does something when all tasks are gone."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.after_run = function


async def nothing() -> None:
    pass


def test_one_that_comes_with_the_last_call_of_the_run_is_raised_by_run() -> None:
    with pytest.raises(KeyboardInterrupt):
        ctrio.run(nothing, instruments=[AtTheEnd(_thread.interrupt_main)])
    with pytest.raises(KeyboardInterrupt):
        ctrio.run(nothing, instruments=[AtTheEnd(interrupt)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_signal_s_handler_that_raises_at_the_end_does_no_harm_to_ours() -> None:
    def broken(number: int, frame: object) -> None:
        raise ZeroDivisionError

    previous = signal.signal(signal.SIGUSR1, broken)
    try:
        send = partial(_thread.interrupt_main, signal.SIGUSR1)
        with pytest.raises(TrioInternalError) as caught:
            ctrio.run(nothing, instruments=[AtTheEnd(send)])
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGUSR1, previous)


# --- the handler ----------------------------------------------------------------------


def present_handler() -> object:
    return signal.getsignal(signal.SIGINT)


async def ask_for_handler() -> object:
    return present_handler()


def test_the_handler_is_there_for_the_run_and_then_python_s_is_back() -> None:
    during = ctrio.run(ask_for_handler)
    assert during is not signal.default_int_handler
    assert present_handler() is signal.default_int_handler


def test_python_s_handler_is_back_when_the_run_fails() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        ctrio.run(fail)
    assert present_handler() is signal.default_int_handler
    with pytest.raises(TypeError):
        ctrio.run(nothing, instruments=5)  # type: ignore[arg-type]
    assert present_handler() is signal.default_int_handler


def test_a_handler_of_somebody_else_s_is_left_alone() -> None:
    def theirs(number: int, frame: object) -> None: ...

    async def replace() -> None:
        signal.signal(signal.SIGINT, theirs)

    try:
        ctrio.run(replace)
        assert present_handler() is theirs
        assert ctrio.run(ask_for_handler) is theirs
        assert present_handler() is theirs
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_run_in_another_thread_has_no_handler() -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(ctrio.run(ask_for_handler)))
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


def test_a_handler_that_outlives_its_run_swallows_the_signal() -> None:
    handler = ctrio.run(ask_for_handler)
    signal.signal(signal.SIGINT, handler)  # type: ignore[arg-type]
    try:
        interrupt()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_the_handler_accepts_a_signal_without_a_frame_and_nothing_else() -> None:
    @enable_ki_protection
    async def main() -> None:
        handler = present_handler()
        assert callable(handler)
        handler(signal.SIGINT, None)
        with pytest.raises(KeyboardInterrupt):
            await checkpoint()
        with pytest.raises(TypeError, match="a number and a frame"):
            handler(signal.SIGINT, "frame")
        with pytest.raises(TypeError, match="a number and a frame"):
            handler(signal.SIGINT)

    ctrio.run(main)


def test_the_handler_does_not_keep_the_run_alive() -> None:
    async def main() -> weakref.ref[object]:
        return weakref.ref(lowlevel.current_task()._runner)

    runner = ctrio.run(main)
    gc.collect()
    assert runner() is None
