"""What `import ctrio` brings along, and what its names say of themselves."""

from __future__ import annotations

import importlib
import inspect
import pickle
import subprocess
import sys
from types import ModuleType, new_class
from typing import Any

import pytest

import ctrio
import ctrio.testing

PUBLIC = ["", ".abc", ".from_thread", ".lowlevel", ".socket", ".testing", ".to_thread"]
LATE = {
    "ctrio": [
        "CapacityLimiterStatistics",
        "ConditionStatistics",
        "EventStatistics",
        "LockStatistics",
        "MemoryChannelStatistics",
    ],
    "ctrio.lowlevel": [
        "ParkingLotStatistics",
        "RaiseCancelT",
        "RunStatistics",
        "UnboundedQueueStatistics",
    ],
}


def module(suffix: str) -> ModuleType:
    return importlib.import_module("ctrio" + suffix)


def test_import_leaves_slow_modules_alone() -> None:
    code = """
import sys
sys.path[:] = %r
if sys.version_info < (3, 11):
    import exceptiongroup  # which imports typing and inspect
before = set(sys.modules)
import ctrio
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code % sys.path],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    new = set(done.stdout.split())
    unwanted = (
        "outcome attr attrs inspect typing typing_extensions sniffio idna logging"
    )
    assert "ctrio._ctrio" in new
    assert not new & {*unwanted.split(), "ctrio._stubs", "ctrio._statistics", "ctypes"}


@pytest.mark.parametrize("suffix", PUBLIC)
def test_public_objects_say_that_they_live_in_trio(suffix: str) -> None:
    for name, value in vars(module(suffix)).items():
        own = (inspect.isclass(value) or callable(value)) and not name.startswith("_")
        if own and str(getattr(value, "__module__", "")).startswith(("ctrio", "trio")):
            assert value.__module__ == "trio" + suffix
            assert getattr(value, "__name__", name) == name


def test_methods_say_so_too() -> None:
    assert ctrio.abc.Stream.send_all.__module__ == "trio.abc"
    assert ctrio.SocketListener.accept.__qualname__ == "SocketListener.accept"
    assert ctrio.to_thread.run_sync.__qualname__ == "run_sync"
    assert ctrio.Cancelled.__module__ == "trio"


MADE_IN_C = [
    ctrio.CancelScope,
    ctrio.CapacityLimiter,
    ctrio.Condition,
    ctrio.Event,
    ctrio.Lock,
    ctrio.MemoryReceiveChannel,
    ctrio.MemorySendChannel,
    ctrio.Nursery,
    ctrio.Semaphore,
    ctrio.StrictFIFOLock,
    ctrio.lowlevel.ParkingLot,
    ctrio.lowlevel.RunVar,
    ctrio.lowlevel.RunVarToken,
    ctrio.lowlevel.Task,
    ctrio.lowlevel.TrioToken,
]


@pytest.mark.parametrize("cls", MADE_IN_C, ids=lambda cls: cls.__name__)
def test_so_do_constructors(cls: type) -> None:
    init = cls.__init__  # type: ignore[misc]
    assert init.__module__ == cls.__module__
    assert init.__qualname__ == f"{cls.__name__}.__init__"
    signature = inspect.signature(init)
    assert signature.return_annotation in ("None", "NoReturn")
    assert ["self", *inspect.signature(cls).parameters] == [*signature.parameters]
    assert cls.__doc__


def test_a_constructor_is_there_to_be_looked_at_only() -> None:
    limiter = ctrio.CapacityLimiter(3)
    limiter.__init__(5)  # type: ignore[misc]
    assert limiter.total_tokens == 3
    with pytest.raises(TypeError, match="doesn't apply to a 'object' object"):
        ctrio.CapacityLimiter.__init__(object(), 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no public constructor"):
        ctrio.Nursery()


@pytest.mark.parametrize("owner", LATE)
def test_names_that_are_imported_when_asked_for(owner: str) -> None:
    for name in LATE[owner]:
        assert name in dir(importlib.import_module(owner))
        value = getattr(importlib.import_module(owner), name)
        assert value is getattr(importlib.import_module(owner), name)
        if inspect.isclass(value):
            assert value.__module__ == "trio" + owner.removeprefix("ctrio")
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchName'"):
        importlib.import_module(owner).NoSuchName  # noqa: B018


def test_core_names_are_public_in_exactly_one_place() -> None:
    places = [ctrio, ctrio.lowlevel, ctrio.testing]
    for name, value in vars(ctrio._core).items():
        if not name.startswith("_"):
            found = [place for place in places if vars(place).get(name) is value]
            assert len(found) == 1, name


@pytest.mark.parametrize("suffix", PUBLIC)
def test_classes_are_final_or_meant_to_be_inherited_from(suffix: str) -> None:
    for name, value in vars(module(suffix)).items():
        if not inspect.isclass(value) or not value.__module__.startswith("trio"):
            continue
        if issubclass(value, BaseException) or name in ("SocketType", "TaskStatus"):
            continue
        if suffix == ".abc" or name.endswith("Statistics"):
            continue
        with pytest.raises(TypeError):
            new_class("Sub", (value,))


GENERIC = [
    ctrio.MemoryReceiveChannel,
    ctrio.MemorySendChannel,
    ctrio.TaskStatus,
    ctrio.abc.Channel,
    ctrio.abc.Listener,
    ctrio.abc.ReceiveChannel,
    ctrio.abc.SendChannel,
    ctrio.lowlevel.RunVar,
    ctrio.lowlevel.RunVarToken,
    ctrio.lowlevel.UnboundedQueue,
    ctrio.open_memory_channel,
]


@pytest.mark.parametrize("cls", GENERIC, ids=lambda cls: cls.__name__)
def test_what_is_generic_for_type_checkers_is_so_at_run_time(cls: Any) -> None:
    assert cls[int].__origin__ is cls
    assert cls[int].__args__ == (int,)


def test_what_is_made_through_a_type_argument_is_the_same() -> None:
    send, _ = ctrio.open_memory_channel[int](1)
    assert type(send) is ctrio.MemorySendChannel
    assert type(ctrio.lowlevel.RunVar[int]("name")) is ctrio.lowlevel.RunVar
    staples = ctrio.StapledStream[ctrio.SocketStream, ctrio.SocketStream]
    assert staples.__origin__ is ctrio.StapledStream


@pytest.mark.parametrize("cls", [ctrio.Event, ctrio.Nursery, ctrio.CancelScope])
def test_what_is_not_generic_refuses_type_arguments(cls: Any) -> None:
    with pytest.raises(TypeError):
        cls[int]


def test_versions() -> None:
    assert [int(part) for part in ctrio.__version__.split(".")] == [0, 35, 0]
    assert ctrio.__ctrio_version__ == "0.1.0"


def test_cancelled_cannot_be_made_but_can_be_pickled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(TypeError, match=r"^trio.Cancelled has no public constructor$"):
        ctrio.Cancelled(source="explicit")
    monkeypatch.setitem(sys.modules, "trio", ctrio)  # where pickle looks for it
    made = ctrio.Cancelled._create(source="explicit", reason="so", source_task="<T>")
    copy = pickle.loads(pickle.dumps(made))
    assert type(copy) is ctrio.Cancelled
    assert str(copy) == str(made)
    assert (copy.source, copy.reason, copy.source_task) == ("explicit", "so", "<T>")


def test_socket_has_the_constants_of_the_standard_library() -> None:
    import socket

    assert ctrio.socket.AF_INET is socket.AF_INET
    assert ctrio.socket.gaierror is socket.gaierror
    assert not hasattr(ctrio.socket, "timeout")
    assert not hasattr(ctrio.socket, "error")
    assert ctrio.socket.socket is not socket.socket
    if sys.platform == "linux":
        assert ctrio.socket.IP_BIND_ADDRESS_NO_PORT == 24
