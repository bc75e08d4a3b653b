"""Helpers that everything else uses."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from functools import partial
from types import ModuleType, SimpleNamespace

import pytest

import ctrio
from ctrio._core._concat_tb import concat_tb
from ctrio._util import (
    ConflictDetector,
    MultipleExceptionError,
    NoPublicConstructor,
    coroutine_or_error,
    final,
    fixup_module_metadata,
    is_main_thread,
    name_asyncgen,
    raise_saving_context,
    raise_single_exception_from_group,
)

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup


async def nothing() -> None:
    pass


def test_a_coroutine_comes_out_of_an_async_function() -> None:
    for function in (nothing, partial(nothing), lambda: nothing()):
        coro = coroutine_or_error(function)
        coro.close()


class Deferred:
    """Named as Twisted's."""


async def agen() -> AsyncGenerator[int, None]:
    yield 1


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (Deferred(), "are you trying to use a library written for asyncio/twisted"),
        (Deferred, r"^Trio got unexpected <.*Deferred"),
        ((_ for _ in ()), "are you trying to use a library written for asyncio"),
        (agen, "expected an async function but got an async generator"),
        (int, "^Trio expected an async function, but 'int' appears to be synchronous$"),
    ],
)
def test_what_is_no_async_function_is_told_what_it_is(
    function: Callable[[], object], text: str
) -> None:
    with pytest.raises(TypeError, match=text):
        coroutine_or_error(function)


def test_a_coroutine_is_told_what_it_is() -> None:
    with pytest.raises(TypeError, match="instead it got a coroutine object"):
        coroutine_or_error(nothing())  # type: ignore[arg-type,unused-coroutine]


def test_an_asyncio_future_is_told_what_it_is() -> None:
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    loop.close()
    for function in (future, lambda: future):
        with pytest.raises(TypeError, match="asyncio"):
            coroutine_or_error(function)


def test_a_type_error_of_the_function_itself_stays_as_it_is() -> None:
    with pytest.raises(TypeError, match="positional argument"):
        coroutine_or_error(nothing, 1)


def test_sniffio_sees_trio_inside_the_call() -> None:
    import sniffio

    def function() -> object:
        assert sniffio.thread_local.name == "trio"
        return nothing()

    before = sniffio.thread_local.name
    coroutine_or_error(function).close()
    assert sniffio.thread_local.name == before


def test_two_at_once_is_a_conflict() -> None:
    detector = ConflictDetector("busy")
    with detector:
        with pytest.raises(ctrio.BusyResourceError, match="^busy$"):
            with detector:
                pass
    with detector:
        pass


def test_only_the_main_thread_is_the_main_thread() -> None:
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(is_main_thread()))
    thread.start()
    thread.join()
    assert answers == [False]
    assert is_main_thread()


def test_metadata_of_ours_is_fixed_and_that_of_others_is_not() -> None:
    def function() -> None: ...

    def foreign() -> None: ...

    def private() -> None: ...

    class Klass:
        def method(self) -> None: ...

    Klass.itself = Klass  # type: ignore[attr-defined]
    mine = "ctrio._somewhere"
    for thing in (function, private, Klass, Klass.method):
        thing.__module__ = mine
    submodule = ModuleType("ctrio.sub")
    nameless = SimpleNamespace(__module__="trio._x")
    fixup_module_metadata(
        "trio.public",
        {
            "renamed": function,
            "foreign": foreign,
            "_private": private,
            "Klass": Klass,
            "sub": submodule,
            "nameless": nameless,
        },
    )
    assert (function.__module__, function.__name__) == ("trio.public", "renamed")
    assert function.__qualname__ == "renamed"
    assert foreign.__module__ == __name__
    assert private.__module__ == mine
    assert Klass.method.__qualname__ == "Klass.method"
    assert Klass.method.__module__ == "trio.public"
    assert submodule.__name__ == "ctrio.sub"
    assert nameless.__module__ == "trio.public"


def test_a_final_class_has_no_subclasses() -> None:
    @final
    class Last:
        pass

    with pytest.raises(TypeError, match="Sub does not support subclassing$"):
        type("Sub", (Last,), {})


def test_without_public_constructor_there_is_a_private_one() -> None:
    class Special(metaclass=NoPublicConstructor):
        def __init__(self, a: int, *, b: int) -> None:
            self.sum = a + b

    with pytest.raises(TypeError, match="Special has no public constructor$"):
        Special(1, b=2)
    assert Special._create(1, b=2).sum == 3


def test_async_generators_have_a_name_as_long_as_they_live_and_after() -> None:
    generator = agen()
    assert name_asyncgen(generator) == f"{__name__}.agen"
    asyncio.run(generator.aclose())
    assert name_asyncgen(generator) == f"<{__file__}>.agen"
    namespace: dict[str, Callable[[], AsyncGenerator[None, None]]] = {}
    exec("async def nowhere(): yield", namespace)
    assert name_asyncgen(namespace["nowhere"]()) == "<<string>>.nowhere"


def test_context_is_saved() -> None:
    error, context = ValueError(), KeyError()
    error.__context__ = context
    try:
        raise IndexError
    except IndexError:
        with pytest.raises(ValueError) as caught:
            raise_saving_context(error)
    assert caught.value.__context__ is context


def test_the_one_error_comes_out_of_its_group() -> None:
    error = ValueError("the one")
    error.__cause__, error.__context__ = KeyError(), IndexError()
    cancelled = [ctrio.Cancelled._create() for _ in range(2)]
    for members in ([error], [cancelled[0], error, cancelled[1]]):
        with pytest.raises(ValueError, match="the one") as caught:
            raise_single_exception_from_group(BaseExceptionGroup("", members))
        assert isinstance(caught.value.__cause__, KeyError)
        assert isinstance(caught.value.__context__, IndexError)
    with pytest.raises(ctrio.Cancelled) as caught_cancelled:
        raise_single_exception_from_group(BaseExceptionGroup("", cancelled))
    assert caught_cancelled.value is cancelled[0]


def test_several_errors_do_not_come_out_of_their_group() -> None:
    group = ExceptionGroup("", [ValueError(), KeyError()])
    with pytest.raises(MultipleExceptionError) as caught:
        raise_single_exception_from_group(group)
    assert caught.value.__cause__ is group


@pytest.mark.parametrize("end", [KeyboardInterrupt("text"), SystemExit(3)])
def test_the_end_of_the_program_wins(end: BaseException) -> None:
    group = BaseExceptionGroup("", [ValueError(), KeyError(), end])
    with pytest.raises(type(end)) as caught:
        raise_single_exception_from_group(group)
    assert caught.value is not end
    assert caught.value.args == end.args
    assert caught.value.__cause__ is group


def test_tracebacks_are_joined() -> None:
    def deep(depth: int) -> None:
        if depth:
            deep(depth - 1)
        raise ValueError

    def names(exc: BaseException) -> list[str]:
        tb, found = exc.__traceback__, []
        while tb is not None:
            found.append(f"{tb.tb_frame.f_code.co_name}:{tb.tb_lineno}")
            tb = tb.tb_next
        return found

    errors = []
    for depth in (1, 2):
        try:
            deep(depth)
        except ValueError as exc:
            errors.append(exc)
    expected = names(errors[0]) + names(errors[1])
    joined = concat_tb(errors[0].__traceback__, errors[1].__traceback__)
    assert names(ValueError().with_traceback(joined)) == expected
    assert concat_tb(None, joined) is joined
