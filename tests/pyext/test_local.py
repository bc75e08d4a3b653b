"""RunVar and its tokens."""

from __future__ import annotations

import gc
import re
import sys
import weakref
from typing import Any

import pytest

import ctrio
from ctrio.lowlevel import RunVar, RunVarToken
from ctrio.testing import trio_test

OUTSIDE = r"^Cannot be used outside of a run context$"


def test_the_classes_are_trios_and_final() -> None:
    for cls in (RunVar, RunVarToken):
        assert cls.__module__ == "trio.lowlevel"
        with pytest.raises(TypeError):
            type("Sub", (cls,), {})
    text = r"^trio\.lowlevel\.RunVarToken has no public constructor$"
    with pytest.raises(TypeError, match=text):
        RunVarToken()


def test_a_variable_has_a_name_and_perhaps_a_default() -> None:
    assert repr(RunVar("x")) == "<RunVar name='x'>"
    assert repr(RunVar[int](name=3, default=1)) == "<RunVar name=3>"  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        RunVar()  # type: ignore[call-arg]
    var = RunVar("x", default=1)
    assert (var._name, var._default) == ("x", 1)
    assert RunVar("x")._default.__name__ == "_NoValue"
    assert RunVar("x") != RunVar("x")


def test_a_variable_keeps_its_name() -> None:
    class Name(str):
        """Can be weakly referenced."""

    name = Name("x")
    ref = weakref.ref(name)
    var = RunVar[int](name)
    del name
    assert var._name is ref()
    del var
    assert ref() is None


@trio_test
async def test_get_prefers_the_value_to_the_argument_to_the_default() -> None:
    var = RunVar[int]("x")
    with pytest.raises(LookupError) as caught:
        var.get()
    assert caught.value.args == (var,)
    assert var.get(1) == var.get(default=1) == 1
    with_default = RunVar("y", 2)
    assert (with_default.get(), with_default.get(1)) == (2, 1)
    with_default.set(3)
    assert (with_default.get(), with_default.get(1)) == (3, 3)
    nothing: Any = var._default
    with pytest.raises(LookupError):
        var.get(nothing)
    assert with_default.get(nothing) == 3


@trio_test
async def test_asking_leaves_no_references() -> None:
    var = RunVar("x", int)
    nothing: Any = RunVar("x")._default
    objects = [int, nothing, var]
    before = [sys.getrefcount(one) for one in objects]
    for default in (int, nothing, str):
        assert var.get(default)
        var.reset(var.set(default))
        assert var.get(default) is int
        RunVarToken._create(var, nothing)
    del default
    var._default, var._name  # noqa: B018
    ctrio.lowlevel.current_task()._runner._locals.clear()
    assert [sys.getrefcount(one) for one in objects] == before


@trio_test
async def test_a_token_restores_what_was_there() -> None:
    var = RunVar[int]("x")
    first = var.set(1)
    assert first.previous_value is var._default
    second = var.set(2)
    assert (second.previous_value, second.redeemed, second._var) == (1, False, var)
    text = "RunVarToken(_var=<RunVar name='x'>, previous_value=1, redeemed=False)"
    assert repr(second) == text
    var.reset(second)
    assert (var.get(), second.redeemed) == (1, True)
    var.reset(token=first)
    with pytest.raises(LookupError):
        var.get()
    assert repr(first) == (
        "RunVarToken(_var=<RunVar name='x'>, "
        "previous_value=<class 'trio._core._local._NoValue'>, redeemed=True)"
    )


@trio_test
async def test_after_a_reset_the_default_is_a_value() -> None:
    """Trio's `set` takes the default for the previous value."""
    var = RunVar("x", 1)
    token = var.set(2)
    assert token.previous_value == 1
    var.reset(token)
    assert var.get(3) == 1


@trio_test
async def test_a_token_is_good_once_for_its_variable() -> None:
    var, other = RunVar[int]("x"), RunVar[int]("y")
    token = var.set(1)
    with pytest.raises(ValueError, match=r"^token is not for us$"):
        other.reset(token)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^token must not be none$"):
        var.reset(None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match=r"'int' object has no attribute"):
        var.reset(3)  # type: ignore[arg-type]
    var.reset(token)
    with pytest.raises(ValueError, match=r"^token has already been used$"):
        var.reset(token)
    with pytest.raises(ValueError, match=r"^token has already been used$"):
        other.reset(token)
    assert not other.set(1).redeemed


@trio_test
async def test_tokens_made_by_hand_work_as_in_trio() -> None:
    var = RunVar[int]("x")
    empty, full = RunVarToken._empty(var), RunVarToken[int]._create(var, 5)
    var.reset(full)
    assert var.get() == 5
    var.reset(empty)
    again = RunVarToken._create(var, previous_value=var._default)
    with pytest.raises(KeyError) as caught:
        var.reset(again)  # there is nothing to remove
    assert caught.value.args == (var,)
    assert not again.redeemed
    with pytest.raises(TypeError):
        RunVarToken._create(3)


def test_outside_of_a_run_there_are_no_values() -> None:
    var = RunVar("x", 1)

    async def make_token() -> RunVarToken[int]:
        return var.set(2)

    token = ctrio.run(make_token)
    for call in (var.get, lambda: var.set(3), lambda: var.reset(token)):
        with pytest.raises(RuntimeError, match=OUTSIDE):
            call()
    assert not token.redeemed


def test_each_run_has_its_own_values_which_die_with_it() -> None:
    class Value:
        pass

    var = RunVar[Value]("x")
    refs: list[weakref.ref[Value]] = []

    async def use() -> None:
        with pytest.raises(LookupError):
            var.get()
        var.set(Value())
        refs.append(weakref.ref(var.get()))
        async with ctrio.open_nursery() as nursery:
            nursery.start_soon(use_in_child)

    async def use_in_child() -> None:
        assert var.get() is refs[-1]()

    for _ in range(2):
        ctrio.run(use)
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_callbacks_of_the_run_see_the_values() -> None:
    var = RunVar[int]("x")
    seen: list[int] = []

    async def main() -> None:
        var.set(1)
        token = ctrio.lowlevel.current_trio_token()
        token.run_sync_soon(lambda: seen.append(var.get()))
        await ctrio.testing.wait_all_tasks_blocked()

    ctrio.run(main)
    assert seen == [1]


@trio_test
async def test_cycles_of_variables_and_tokens_are_collected() -> None:
    default: list[object] = []
    var = RunVar("x", default)
    value: list[object] = [var]
    default.append(var)
    token = var.set(value)
    value.append(var.set([]))
    value.append(token)
    refs = [weakref.ref(var), weakref.ref(token)]
    var.reset(token)
    runner = ctrio.lowlevel.current_task()._runner
    del runner._locals[var], runner
    del var, token, value, default
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


@pytest.mark.parametrize("cls", [RunVar, RunVarToken])
def test_the_classes_take_a_type(cls: Any) -> None:
    assert re.fullmatch(r"trio\.lowlevel\.RunVar(Token)?\[int\]", repr(cls[int]))
