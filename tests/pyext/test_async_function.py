"""Functions in C: what everybody sees who inspects, mocks, copies or wraps them.

An ordinary `async def` is the measure, and an ordinary `def` for what `with` calls.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import pickle
import pydoc
import subprocess
import sys
import types
import typing
import weakref
from typing import Any
from unittest import mock

import pytest

import ctrio
import ctrio.testing
from ctrio import _ctrio, _stubs, _stubs_io
from ctrio.testing import trio_test

FUNCTIONS = {
    name: value
    for name, value in vars(_ctrio).items()
    if isinstance(value, _ctrio.async_function)
}
METHODS = {
    f"{owner.__name__}.{name}": value
    for owner in vars(_ctrio).values()
    if isinstance(owner, type)
    for name, value in vars(owner).items()
    if isinstance(value, _ctrio.async_function)
}
ALL = {**FUNCTIONS, **METHODS}
BLOCKS = {
    f"{owner.__name__}.{name}": owner.__dict__[name]
    for owner in (
        ctrio.CancelScope,
        ctrio.MemorySendChannel,
        ctrio.MemoryReceiveChannel,
        _ctrio.NurseryManager,
    )
    for name in ("__enter__", "__exit__")
}


def test_there_are_some() -> None:
    assert {"sleep", "checkpoint", "wait_task_rescheduled"} <= set(FUNCTIONS)
    assert {"Event.wait", "Lock.acquire", "Nursery.start"} <= set(METHODS)


@pytest.mark.parametrize("function", ALL.values(), ids=ALL)
def test_each_has_a_twin_in_python_with_its_name_and_signature(function: Any) -> None:
    code = function.__code__
    assert isinstance(code, types.CodeType)
    assert code.co_name == function.__name__
    assert code.co_flags & inspect.CO_COROUTINE
    assert inspect.iscoroutinefunction(function)
    assert isinstance(inspect.signature(function), inspect.Signature)
    assert function.__doc__ or function.__name__.startswith("_")
    assert isinstance(function.__annotations__, dict)
    assert function.__wrapped__.__code__ is code
    assert callable(function)


@pytest.mark.parametrize("name", sorted(ALL))
def test_each_tells_its_names(name: str) -> None:
    function = ALL[name]
    assert function.__qualname__.split(".")[-1] == function.__name__
    assert function.__name__ == name.split(".")[-1]
    assert function.__module__.split(".")[0] == "trio"
    assert repr(function).startswith(f"<function {function.__qualname__} at 0x")


def test_it_counts_as_an_async_function_however_it_is_got_at() -> None:
    event = ctrio.Event()
    for found in (
        ctrio.sleep,
        ctrio.Event.wait,
        event.wait,
        functools.partial(ctrio.sleep, 1),
        functools.partial(event.wait),
    ):
        assert inspect.iscoroutinefunction(found)
        assert not inspect.isasyncgenfunction(found)
    assert inspect.isroutine(ctrio.sleep)
    assert inspect.ismethod(event.wait)
    assert not inspect.isfunction(ctrio.sleep)  # the one thing that differs


def test_signatures_are_those_of_python_functions() -> None:
    assert list(inspect.signature(ctrio.sleep).parameters) == ["seconds"]
    assert str(inspect.signature(ctrio.Event().wait)) == "() -> 'None'" or (
        list(inspect.signature(ctrio.Event().wait).parameters) == []
    )
    assert list(inspect.signature(ctrio.Event.wait).parameters) == ["self"]
    spec = inspect.getfullargspec(ctrio.sleep)
    assert spec.args == ["seconds"]
    hints = typing.get_type_hints(ctrio.sleep)
    assert hints == {"seconds": float, "return": type(None)}


def test_arguments_come_by_position_or_name() -> None:
    for coro in (ctrio.sleep(1), ctrio.sleep(seconds=1), ctrio.sleep(*[1])):
        coro.close()
    for args, kwargs, text in [
        ((), {}, r"^sleep\(\) missing 1 required positional argument: 'seconds'$"),
        ((1, 2), {}, r"^sleep\(\) takes 1 positional argument but 2 were given$"),
        ((), {"x": 1}, r"^sleep\(\) got an unexpected keyword argument 'x'$"),
        ((1,), {"seconds": 1}, r"got multiple values for argument 'seconds'$"),
    ]:
        with pytest.raises(TypeError, match=text):
            ctrio.sleep(*args, **kwargs)
    with pytest.raises(
        TypeError, match=r"^Event\.wait\(\) takes 1 positional argument"
    ):
        ctrio.Event().wait(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"argument: 'self'$"):
        ctrio.Event.wait()  # type: ignore[call-arg]


def test_a_method_of_another_object_is_refused() -> None:
    with pytest.raises(TypeError, match="doesn't apply to a 'int' object"):
        ctrio.Event.wait(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="doesn't apply to a 'Lock' object|trio.Lock"):
        ctrio.Event.wait(ctrio.Lock())  # type: ignore[arg-type]


@trio_test
async def test_bound_and_unbound_call_the_same() -> None:
    event = ctrio.Event()
    event.set()
    await event.wait()
    await ctrio.Event.wait(event)
    bound = event.wait
    await bound()
    assert bound.__self__ is event  # type: ignore[attr-defined]
    assert bound.__func__ is ctrio.Event.__dict__["wait"]  # type: ignore[attr-defined]
    assert bound == event.wait
    assert hash(bound) == hash(event.wait)


def test_it_can_be_copied_and_pickled_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert copy.copy(ctrio.sleep) is ctrio.sleep
    assert copy.deepcopy(ctrio.sleep) is ctrio.sleep
    monkeypatch.setitem(sys.modules, "trio", ctrio)  # as ctrio.install() does
    monkeypatch.setitem(sys.modules, "trio.lowlevel", ctrio.lowlevel)
    for function in (ctrio.sleep, ctrio.lowlevel.checkpoint, ctrio.Event.wait):
        assert pickle.loads(pickle.dumps(function)) is function


def test_it_takes_attributes_and_weak_references() -> None:
    function: Any = ctrio.sleep
    function.mine = 3
    try:
        assert function.mine == 3
        assert function.__dict__["mine"] == 3
    finally:
        del function.mine
    with pytest.raises(AttributeError):
        _ = function.mine
    assert weakref.ref(function)() is function
    assert {function: 1}[function] == 1


def test_wraps_makes_a_wrapper_that_looks_like_it() -> None:
    @functools.wraps(ctrio.sleep)
    async def wrapper(*args: Any) -> None:
        await ctrio.sleep(*args)

    assert wrapper.__name__ == "sleep"
    assert wrapper.__doc__ == ctrio.sleep.__doc__
    assert wrapper.__wrapped__ is ctrio.sleep  # type: ignore[attr-defined]
    assert list(inspect.signature(wrapper).parameters) == ["seconds"]


def test_its_code_can_be_replaced_as_debuggers_do() -> None:
    function: Any = ctrio.Event.wait
    before = function.__code__
    replaced = before.replace(co_name="hidden")
    function.__code__ = replaced
    try:
        assert function.__code__ is replaced
    finally:
        function.__code__ = before
    assert function.__code__ is before


@pytest.mark.parametrize(
    "function", [*ALL.values(), *BLOCKS.values()], ids=[*ALL, *BLOCKS]
)
def test_what_belongs_to_the_code_is_its_twin_s(function: Any) -> None:
    twin = function.__wrapped__
    assert isinstance(twin, types.FunctionType)
    assert function.__defaults__ is twin.__defaults__
    assert function.__kwdefaults__ is twin.__kwdefaults__
    assert function.__globals__ is twin.__globals__
    assert any(twin.__globals__ is vars(module) for module in (_stubs, _stubs_io))
    if sys.version_info >= (3, 12):
        assert function.__type_params__ == twin.__type_params__ == ()
    if sys.version_info >= (3, 14):
        assert function.__annotate__ is twin.__annotate__


def test_defaults_can_be_read_and_replaced() -> None:
    function: Any = ctrio.testing.wait_all_tasks_blocked
    assert function.__defaults__ == (0.0,)
    assert ctrio.Nursery.start.__kwdefaults__ == {"name": None}  # type: ignore[attr-defined]
    assert ctrio.sleep.__defaults__ is None  # type: ignore[attr-defined]
    assert ctrio.sleep.__kwdefaults__ is None  # type: ignore[attr-defined]
    function.__defaults__ = (5.0,)
    try:
        parameter = inspect.signature(function).parameters["cushion"]
        assert parameter.default == 5.0
    finally:
        function.__defaults__ = (0.0,)
    with pytest.raises(AttributeError):
        function.__globals__ = {}
    with pytest.raises(TypeError):
        function.__defaults__ = 3


def test_names_are_strings() -> None:
    function: Any = ctrio.sleep
    for name in ("__name__", "__qualname__"):
        with pytest.raises(TypeError):
            setattr(function, name, 3)
        with pytest.raises(TypeError):
            delattr(function, name)


@trio_test
async def test_mocks_know_that_it_must_be_awaited() -> None:
    function = mock.create_autospec(ctrio.sleep)
    assert inspect.iscoroutinefunction(function)
    await function(1)
    assert function.await_count == 1
    event = mock.MagicMock(spec=ctrio.Event)
    assert isinstance(event.wait, mock.AsyncMock)
    assert isinstance(event.set, mock.MagicMock)
    await event.wait()
    auto = mock.create_autospec(ctrio.Event, instance=True)
    await auto.wait()
    with mock.patch.object(ctrio.Event, "wait", autospec=True) as patched:
        await ctrio.Event().wait()
    assert patched.await_count == 1


def test_help_and_documentation_tools_find_their_way() -> None:
    text = pydoc.render_doc(ctrio.sleep, renderer=pydoc.plaintext)
    assert "sleep(seconds" in text
    assert "async def sleep(" in inspect.getsource(ctrio.sleep)
    assert inspect.unwrap(ctrio.sleep) is ctrio.sleep.__wrapped__  # type: ignore[attr-defined]


def test_asking_for_a_name_does_not_import_the_twins() -> None:
    script = (
        "import sys, ctrio\n"
        "ctrio.sleep.__name__, ctrio.sleep.__qualname__, ctrio.sleep.__module__\n"
        "repr(ctrio.sleep), repr(ctrio.sleep(1).close())\n"
        "assert 'ctrio._stubs' not in sys.modules\n"
        "ctrio.sleep.__doc__\n"
        "assert 'ctrio._stubs' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


# --- __enter__ and __exit__ -----------------------------------------------------------


@pytest.mark.parametrize("name", BLOCKS)
def test_what_with_calls_looks_like_a_python_function(name: str) -> None:
    function = BLOCKS[name]
    code = function.__code__
    assert isinstance(code, types.CodeType)
    assert code.co_name == function.__name__ == name.split(".")[1]
    assert function.__qualname__ == name
    assert function.__module__.split(".")[0] == "trio"
    assert not inspect.iscoroutinefunction(function)
    assert inspect.isroutine(function)
    parameters = list(inspect.signature(function).parameters)
    assert len(parameters) == (1 if name.endswith("enter__") else 4)
    assert function.__doc__
    assert "return" in function.__annotations__
    assert repr(function).startswith(f"<function {name} at 0x")


@pytest.mark.parametrize("name", BLOCKS)
def test_its_code_can_be_replaced_without_touching_another_s(name: str) -> None:
    """As tractor does for CancelScope.__exit__, to leave it out of tracebacks."""
    function = BLOCKS[name]
    before = {other: each.__code__ for other, each in BLOCKS.items()}
    hidden = before[name].replace(co_consts=(*before[name].co_consts, "hidden"))
    function.__code__ = hidden
    try:
        for other, each in BLOCKS.items():
            assert each.__code__ is (hidden if other == name else before[other])
    finally:
        function.__code__ = before[name]


@trio_test
async def test_a_scope_whose_exit_has_other_code_still_works() -> None:
    function: Any = ctrio.CancelScope.__exit__
    before = function.__code__
    function.__code__ = before.replace(co_name="hidden")
    try:
        with ctrio.move_on_after(5) as scope:
            scope.cancel()
            await ctrio.sleep_forever()
        assert scope.cancelled_caught
    finally:
        function.__code__ = before


@trio_test
async def test_what_with_calls_can_be_called_by_hand() -> None:
    scope: Any = ctrio.CancelScope()
    with contextlib.ExitStack() as stack:
        assert stack.enter_context(scope) is scope
    scope = ctrio.CancelScope()
    assert ctrio.CancelScope.__enter__(scope) is scope
    assert inspect.ismethod(scope.__exit__)
    assert scope.__exit__(etype=None, exc=None, tb=None) is True
    send: Any = ctrio.open_memory_channel[int](0)[0]
    assert send.__enter__() is send
    assert send.__exit__(exc_type=None, exc_value=None, traceback=None) is None
    with pytest.raises(ctrio.ClosedResourceError):
        send.send_nowait(1)


def test_what_with_calls_refuses_other_arguments_as_python_does() -> None:
    scope: Any = ctrio.CancelScope
    send: Any = ctrio.open_memory_channel[int](0)[0]
    for call, text in [
        (lambda: scope.__enter__(), "missing 1 required positional argument: 'self'"),
        (lambda: scope.__exit__(3), "doesn't apply to a 'int' object"),
        (
            lambda: scope().__enter__(1),
            "CancelScope.__enter__() takes 1 positional argument but 2 were given",
        ),
        (
            lambda: scope().__enter__(x=1),
            "CancelScope.__enter__() got an unexpected keyword argument 'x'",
        ),
        (
            lambda: scope().__exit__(None),
            "missing 2 required positional arguments: 'exc' and 'tb'",
        ),
        (
            lambda: send.__enter__(1),
            "MemorySendChannel.__enter__() takes 1 positional argument but 2 were",
        ),
        (
            lambda: send.__exit__(1),
            "MemorySendChannel.__exit__() missing 2 required positional arguments",
        ),
    ]:
        with pytest.raises(TypeError) as caught:
            call()
        assert text in str(caught.value)
