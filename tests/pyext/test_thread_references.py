"""What calls between tasks and threads leave behind: nothing, and at once."""

from __future__ import annotations

import gc
import traceback
import weakref

import pytest

import ctrio
from ctrio import from_thread, to_thread
from ctrio.testing import trio_test


class FailureError(Exception):
    """Can be referred to weakly, as those of the language cannot."""


@trio_test
async def test_nothing_of_a_call_is_left_when_it_has_returned() -> None:
    class Thing:
        def __call__(self) -> Thing:
            return self

    def fail(error: Exception) -> None:
        raise error

    refs = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            thing, error = Thing(), FailureError()
            refs += [weakref.ref(thing), weakref.ref(error)]
            assert await to_thread.run_sync(thing) is thing
            with pytest.raises(FailureError):
                await to_thread.run_sync(fail, error)
            with pytest.raises(FailureError):
                await to_thread.run_sync(from_thread.run_sync, fail, error)
            error.__traceback__ = None
            del thing, error
            assert [ref() for ref in refs[0::2]] == [None] * (len(refs) // 2)
    finally:
        gc.enable()
    gc.collect()
    assert [ref() for ref in refs] == [None] * len(refs)


@trio_test
async def test_an_error_from_the_run_makes_no_circle() -> None:
    """The frame in which it is raised knows the message, which must not know it."""
    refs: list[weakref.ref[BaseException]] = []

    class NotedError(Exception):
        def __init__(self) -> None:
            refs.append(weakref.ref(self))

    def fail() -> None:
        raise NotedError

    async def fail_async() -> None:
        fail()

    def work() -> None:
        for call in (
            lambda: from_thread.run_sync(fail),
            lambda: from_thread.run(fail_async),
        ):
            try:
                call()
            except NotedError as exc:
                names = [
                    entry.name for entry in traceback.extract_tb(exc.__traceback__)
                ]
                assert names[-1] == "fail"
                # Not those who only caught it to bring it here.
                assert not {"_capture", "run_sync", "run"} & set(names)

    gc.collect()
    gc.disable()
    try:
        await to_thread.run_sync(work)
        assert [ref() for ref in refs] == [None, None]
    finally:
        gc.enable()


@trio_test
async def test_a_result_may_be_anything_even_what_threads_send_themselves() -> None:
    message = ctrio._threads.RunSync(int, ())
    assert await to_thread.run_sync(lambda: message) is message
    error = KeyError("returned")
    assert await to_thread.run_sync(lambda: error) is error
