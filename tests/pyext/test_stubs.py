"""What the async functions of the core say when they are looked at."""

from __future__ import annotations

import copy
import inspect
import pickle
import pydoc
import sys
from unittest import mock

import pytest

import ctrio
import ctrio.testing
from ctrio import _stubs
from ctrio._socket import _SocketType

FUNCTIONS = [
    ctrio.sleep,
    ctrio.sleep_until,
    ctrio.sleep_forever,
    ctrio.lowlevel.checkpoint,
    ctrio.lowlevel.checkpoint_if_cancelled,
    ctrio.lowlevel.cancel_shielded_checkpoint,
    ctrio.lowlevel.wait_task_rescheduled,
    ctrio.lowlevel.wait_readable,
    ctrio.lowlevel.wait_writable,
    ctrio.lowlevel.permanently_detach_coroutine_object,
    ctrio.lowlevel.temporarily_detach_coroutine_object,
    ctrio.lowlevel.reattach_detached_coroutine_object,
    ctrio.testing.wait_all_tasks_blocked,
]
METHODS = [
    ctrio.CapacityLimiter.acquire,
    ctrio.CapacityLimiter.acquire_on_behalf_of,
    ctrio.Condition.acquire,
    ctrio.Condition.wait,
    ctrio.Event.wait,
    ctrio.Lock.__aenter__,
    ctrio.Lock.__aexit__,
    ctrio.Lock.acquire,
    ctrio.MemoryReceiveChannel.__anext__,
    ctrio.MemoryReceiveChannel.aclose,
    ctrio.MemoryReceiveChannel.receive,
    ctrio.MemorySendChannel.aclose,
    ctrio.MemorySendChannel.send,
    ctrio.Nursery.start,
    ctrio.Semaphore.acquire,
    _SocketType.recvfrom,
    _SocketType.recvmsg,
    _SocketType.sendmsg,
    _SocketType.sendto,
    ctrio.SocketStream.receive_some,
    ctrio.SocketStream.send_all,
    ctrio.StrictFIFOLock.acquire,
    ctrio.lowlevel.ParkingLot.park,
]


@pytest.mark.parametrize("function", FUNCTIONS + METHODS, ids=lambda f: f.__qualname__)
def test_it_looks_like_an_async_function(function) -> None:  # type: ignore[no-untyped-def]
    assert inspect.iscoroutinefunction(function)
    stub = _stubs
    for part in function.__qualname__.split("."):
        stub = getattr(stub, part)
    assert function.__code__ is stub.__code__  # type: ignore[attr-defined]
    assert inspect.signature(function) == inspect.signature(stub)  # type: ignore[arg-type]
    assert function.__name__ == stub.__name__
    doc = inspect.getdoc(function)
    assert doc is not None
    assert doc == inspect.getdoc(stub)
    assert function.__module__.startswith("trio")


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__qualname__)
def test_it_can_be_copied_and_pickled(
    function: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name == "ctrio" or name.startswith("ctrio."):
            monkeypatch.setitem(sys.modules, name[1:], sys.modules[name])
    assert copy.copy(function) is function
    assert copy.deepcopy(function) is function
    assert pickle.loads(pickle.dumps(function)) is function


def test_a_bound_method_has_no_self_in_its_signature() -> None:
    event = ctrio.Event()
    assert str(inspect.signature(event.wait)) == "() -> 'None'"
    assert inspect.ismethod(event.wait)
    assert inspect.iscoroutinefunction(event.wait)


def test_help_has_something_to_say() -> None:
    text = pydoc.render_doc(ctrio.sleep, renderer=pydoc.plaintext)
    assert "async sleep(seconds: float) -> None" in text.replace("'", "")
    assert "Sleep, while other tasks run." in text


def test_a_mock_made_after_it_is_async() -> None:
    assert isinstance(mock.create_autospec(ctrio.sleep), mock.AsyncMock)
    assert isinstance(mock.MagicMock(spec=ctrio.Event).wait, mock.AsyncMock)


def test_the_exits_that_debuggers_hide_have_code() -> None:
    from ctrio._core._run import NurseryManager

    assert NurseryManager.__aexit__.__code__.co_name == "__aexit__"


def test_bodies_are_never_run() -> None:
    for name, value in vars(_stubs).items():
        if inspect.iscoroutinefunction(value):
            assert value.__doc__, name
