"""KeyboardInterrupt between a call of ours and the instruction that keeps its result.

CPython looks for signals there, where nobody would give back yet what was taken. Here a
signal comes before each instruction of some code in turn, by a trace function: nothing
depends on time.
"""

from __future__ import annotations

import _thread
import gc
import signal
import sys
import threading
import types
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, Protocol

import pytest

import ctrio
from ctrio import CancelScope, open_nursery
from ctrio.lowlevel import checkpoint, enable_ki_protection
from ctrio.testing import wait_all_tasks_blocked

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

Code = Callable[..., Awaitable[object]]


class Source(Protocol):
    """Where a signal can come from."""

    def come_nowait(self) -> None:
        """Have it come; nobody looks for it before the call after this one."""


# Both methods are C, and no frame of theirs is met. The name makes the interrupt wait.
coming: Source = types.SimpleNamespace(come_nowait=_thread.interrupt_main)
quiet: Source = types.SimpleNamespace(come_nowait=gc.isenabled)


class SignalAt:
    """A trace function: has a signal come before the n-th instruction of some code."""

    def __init__(self, code: types.CodeType, n: int) -> None:
        self.code = code
        self.left = n

    def __call__(self, frame: types.FrameType, event: str, _: object) -> Any:
        if frame.f_code is not self.code:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)  # else it is called again, and interrupted itself
                return coming.come_nowait()
        return self


def work() -> None:
    """Be a place where CPython looks for signals."""


def leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def run_and_catch(main: Code, *args: object) -> list[BaseException]:
    try:
        ctrio.run(main, *args)
    except BaseException as error:
        return list(leaves(error))
    return []


def interrupted_at(n: int, code: Code, main: Code, *args: object) -> bool:
    """Run it with one signal, which is all that comes of it; False: it did not come."""
    signal_at = SignalAt(code.__code__, n)  # type: ignore[attr-defined]
    previous = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # 3.12 has to know before it begins to trace
    sys.settrace(signal_at)
    try:
        errors = run_and_catch(main, *args)
    finally:
        sys.settrace(previous)
    came = signal_at.left <= 0
    assert [type(error) for error in errors] == [KeyboardInterrupt] * came
    return came


def interrupted_everywhere(code: Code, *args: object) -> Iterator[int]:
    """Run it once for each of its instructions, with a signal before that."""
    for n in count(1):
        if not interrupted_at(n, code, code, *args):
            assert n > 10
            return
        yield n


def interrupted_when_warm(code: Code, quiet_args: Any, *args: object) -> None:
    """Run it until CPython has specialised its instructions, then with a signal."""

    async def main() -> None:
        for _ in range(100):
            await code(quiet, *quiet_args)
        await code(coming, *args)

    errors = run_and_catch(main)
    assert [type(error) for error in errors] == [KeyboardInterrupt]


# --- what is acquired is released -----------------------------------------------------

MAKERS: list[Callable[[], Any]] = [
    ctrio.Lock,
    ctrio.StrictFIFOLock,
    ctrio.Condition,
    lambda: ctrio.Semaphore(1),
    lambda: ctrio.CapacityLimiter(1),
]
every_maker = pytest.mark.parametrize(
    "make", MAKERS, ids=["lock", "fifo", "condition", "semaphore", "limiter"]
)


async def take(taken: Any) -> None:
    taken.acquire_nowait()
    taken.release()


async def acquire_nowait(taken: Any) -> None:
    taken.acquire_nowait()
    try:
        work()
    finally:
        taken.release()


async def acquire_nowait_if_free(taken: Any) -> None:
    try:
        taken.acquire_nowait()
    except ctrio.WouldBlock:
        return
    try:
        work()
    finally:
        taken.release()


async def await_acquire(taken: Any) -> None:
    await taken.acquire()
    try:
        work()
    finally:
        taken.release()


async def use_async_with(taken: Any) -> None:
    async with taken:
        work()


async def use_async_with_and_await(taken: Any) -> None:
    async with taken:
        await checkpoint()


@every_maker
@pytest.mark.parametrize(
    "idiom",
    [
        acquire_nowait,
        acquire_nowait_if_free,
        await_acquire,
        use_async_with,
        use_async_with_and_await,
    ],
)
def test_what_was_acquired_is_released_wherever_the_signal_comes(
    make: Callable[[], Any], idiom: Code, recwarn: pytest.WarningsRecorder
) -> None:
    taken = make()
    for _ in interrupted_everywhere(idiom, taken):
        ctrio.run(take, taken)
    assert not recwarn.list  # as of coroutines that nobody awaits


@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="3.10 looks for signals after Python functions too",
)
def test_so_it_is_when_a_function_in_between_acquires() -> None:
    lock = ctrio.Lock()

    def acquire() -> None:
        return lock.acquire_nowait()

    async def idiom() -> None:
        acquire()
        try:
            work()
        finally:
            lock.release()

    async def main() -> None:
        await idiom()

    n = 1
    while interrupted_at(n, acquire, main):  # type: ignore[arg-type]
        ctrio.run(take, lock)
        n += 1
    assert n > 3


@pytest.mark.parametrize("idiom", [await_acquire, use_async_with])
def test_so_it_is_after_waiting(idiom: Code, recwarn: pytest.WarningsRecorder) -> None:
    async def hold(lock: ctrio.Lock) -> None:
        async with lock:
            await wait_all_tasks_blocked()

    async def main(lock: ctrio.Lock) -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(hold, lock)
            while not lock.locked():
                await checkpoint()
            await idiom(lock)

    lock, n = ctrio.Lock(), 1
    while interrupted_at(n, idiom, main, lock):
        ctrio.run(take, lock)
        n += 1
    assert n > 10
    assert not recwarn.list


async def warm_acquire_nowait(source: Source, taken: Any) -> None:
    source.come_nowait()
    taken.acquire_nowait()
    try:
        work()
    finally:
        taken.release()


async def warm_acquire_on_behalf_of(source: Source, limiter: Any) -> None:
    source.come_nowait()
    limiter.acquire_on_behalf_of_nowait(work)
    try:
        work()
    finally:
        limiter.release_on_behalf_of(work)


async def warm_async_with(source: Source, taken: Any) -> None:
    async with taken:
        source.come_nowait()


@every_maker
@pytest.mark.parametrize("idiom", [warm_acquire_nowait, warm_async_with])
def test_so_it_is_in_code_that_cpython_has_specialised(
    make: Callable[[], Any], idiom: Code, recwarn: pytest.WarningsRecorder
) -> None:
    taken = make()
    interrupted_when_warm(idiom, (taken,), taken)
    ctrio.run(take, taken)
    assert not recwarn.list


def test_so_it_is_with_arguments() -> None:
    limiter = ctrio.CapacityLimiter(1)
    interrupted_when_warm(warm_acquire_on_behalf_of, (limiter,), limiter)
    assert limiter.borrowed_tokens == 0


# --- what is entered is left ----------------------------------------------------------


def test_a_with_block_of_c_is_left() -> None:
    lock = threading.Lock()

    async def idiom() -> None:
        with lock:
            work()

    for _ in interrupted_everywhere(idiom):
        assert not lock.locked()


def test_a_cancel_scope_is_left() -> None:
    async def idiom() -> None:
        with CancelScope() as scope:
            work()
        assert not scope.cancelled_caught

    for _ in interrupted_everywhere(idiom):
        pass  # one that is not left is a RuntimeError


def test_a_nursery_is_left_and_its_children_are_ended(
    recwarn: pytest.WarningsRecorder,
) -> None:
    ended = []

    # Before its first instruction a task cannot promise anything.
    @enable_ki_protection
    async def child() -> None:
        try:
            await checkpoint()
        finally:
            ended.append("child")

    async def idiom() -> None:
        async with open_nursery() as nursery:
            nursery.start_soon(child)
            started.append("child")

    started: list[str] = []
    for _ in interrupted_everywhere(idiom):
        assert len(started) <= len(ended) <= len(started) + 1
        started.clear()
        ended.clear()
    assert not recwarn.list


# --- what is received is kept ---------------------------------------------------------


def test_what_was_received_is_not_lost() -> None:
    got: list[int] = []

    async def idiom(receive: Any) -> None:
        value = receive.receive_nowait()
        got.append(value)

    def filled() -> Any:
        send, receive = ctrio.open_memory_channel[int](1)
        ctrio.run(fill, send)
        return receive

    async def fill(send: Any) -> None:
        send.send_nowait(1)

    for n in count(1):
        receive = filled()
        if not interrupted_at(n, idiom, idiom, receive):
            break
        assert len(got) + receive.statistics().current_buffer_used == 1
        got.clear()
    assert n > 5


def test_a_clone_is_closed() -> None:
    async def idiom(channel: Any) -> None:
        with channel.clone():
            work()

    send, receive = ctrio.open_memory_channel[int](1)
    for _ in interrupted_everywhere(idiom, send):
        assert send.statistics().open_send_channels == 1
    for _ in interrupted_everywhere(idiom, receive):
        assert send.statistics().open_receive_channels == 1


# --- and it does not wait for long ----------------------------------------------------


async def loop_over_nothing() -> None:
    while True:
        pass


async def loop_over_acquire_nowait() -> None:
    lock = ctrio.Lock()
    while True:
        lock.acquire_nowait()
        lock.release()


async def loop_over_nowait_only() -> None:
    send, receive = ctrio.open_memory_channel[int](1)
    while True:
        send.send_nowait(1)
        receive.receive_nowait()


async def loop_over_with() -> None:
    lock = threading.Lock()
    while True:
        with lock:
            pass


async def loop_over_async_with() -> None:
    lock = ctrio.Lock()
    while True:
        async with lock:
            pass


async def loop_over_await() -> None:
    while True:
        await checkpoint()


@pytest.mark.parametrize(
    "loop",
    [
        loop_over_nothing,
        loop_over_acquire_nowait,
        loop_over_nowait_only,
        loop_over_with,
        loop_over_async_with,
        loop_over_await,
    ],
)
def test_an_endless_loop_ends_wherever_the_signal_comes(loop: Code) -> None:
    instructions = len(loop.__code__.co_code) // 2  # type: ignore[attr-defined]
    for n in range(1, 2 * instructions):
        assert interrupted_at(n, loop, loop)


def test_recursion_ends() -> None:
    lock = ctrio.Lock()
    reached = []

    def recurse() -> None:
        lock.acquire_nowait()
        lock.release()
        coming.come_nowait()
        recurse()
        reached.append("end")

    async def main() -> None:
        recurse()

    assert [type(error) for error in run_and_catch(main)] == [KeyboardInterrupt]
    assert not reached


def test_a_call_that_looks_for_signals_itself_is_interrupted_at_once() -> None:
    """Else `input()` would go on waiting: what follows it does not count."""

    async def main() -> None:
        reached = []
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
            try:
                reached.append("try")
            finally:
                reached.append("finally")
        with pytest.raises(KeyboardInterrupt):
            coming.come_nowait(signal.raise_signal(signal.SIGINT))  # type: ignore
        with pytest.raises(KeyboardInterrupt):
            lock.acquire_nowait(signal.raise_signal(signal.SIGINT))  # type: ignore
        assert not reached

    lock = ctrio.Lock()
    ctrio.run(main)


def test_entering_something_that_waits_is_interrupted_at_once() -> None:
    """As of a lock that is taken; this `__enter__` looks for signals as that does."""

    reached, this_thread = [], threading.get_ident()

    class Waiting:
        __enter__ = staticmethod(
            partial(signal.pthread_kill, this_thread, signal.SIGINT)
        )

        def __exit__(self, *_: object) -> None:
            reached.append("exit")

    async def main() -> None:
        with pytest.raises(KeyboardInterrupt), Waiting():
            reached.append("body")

    ctrio.run(main)
    assert not reached


# --- the idle wait --------------------------------------------------------------------

ROUNDS = 400


class BeforeWait:
    """An instrument that does something before the run goes to sleep."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.before_io_wait = function


def test_a_signal_between_the_last_look_and_the_wait_ends_the_wait() -> None:
    async def main() -> None:
        token = ctrio.lowlevel.current_trio_token()
        for _ in range(ROUNDS):
            # Called by C from C, after which the run goes to sleep.
            token.run_sync_soon(_thread.interrupt_main)
            with pytest.raises(KeyboardInterrupt):
                await ctrio.sleep_forever()

    ctrio.run(main)


def test_no_signal_at_the_wait_is_lost() -> None:
    """A thread sends each when the run goes to sleep: it comes before, in, or after."""
    go, end = threading.Semaphore(0), []
    main_thread = threading.get_ident()

    def send() -> None:
        while go.acquire() and not end:
            signal.pthread_kill(main_thread, signal.SIGINT)

    async def main() -> int:
        caught = 0
        while caught < ROUNDS:
            try:
                going.append(True)
                await ctrio.sleep_forever()
            except KeyboardInterrupt:
                caught += 1
        return caught

    def before_wait(timeout: float) -> None:
        if timeout > 0 and going:
            going.clear()
            go.release()

    going: list[bool] = []
    thread = threading.Thread(target=send)
    thread.start()
    try:
        assert ctrio.run(main, instruments=[BeforeWait(before_wait)]) == ROUNDS
    finally:
        end.append(True)
        go.release()
        thread.join()
