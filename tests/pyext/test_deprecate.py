"""Deprecation warnings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from ctrio._deprecate import (
    DeprecatedAttribute,
    TrioDeprecationWarning,
    deprecate_attributes,
    deprecated,
    deprecated_alias,
    warn_deprecated,
)


def test_the_warning_names_the_thing_the_version_the_issue_and_the_remedy() -> None:
    with pytest.warns(DeprecationWarning) as caught:

        def old() -> None:
            warn_deprecated("thing", "1.2", issue=7, instead=test_util_function)

        old()
    (warning,) = caught
    assert str(warning.message) == (
        "thing is deprecated since Trio 1.2; "
        f"use {__name__}.test_util_function instead "
        "(https://github.com/python-trio/trio/issues/7)"
    )
    assert warning.filename == __file__
    assert warning.lineno == old.__code__.co_firstlineno + 3


def test_util_function() -> None:
    with pytest.warns(TrioDeprecationWarning, match="with no replacement$"):
        warn_deprecated(
            "thing",
            "1.2",
            issue=None,
            instead=None,
            use_triodeprecationwarning=True,
        )
    assert issubclass(TrioDeprecationWarning, FutureWarning)


@deprecated("1.5", issue=123, instead=test_util_function)
def documented() -> int:
    """Do it.

    In detail.
    """
    return 3


def test_a_deprecated_function_warns_works_and_says_so_in_its_docs() -> None:
    with pytest.warns(DeprecationWarning, match=r"\.documented is deprecated since"):
        assert documented() == 3
    assert documented.__doc__ is not None
    assert documented.__doc__.startswith("Do it.\n")
    assert documented.__doc__.endswith(
        "\n\n.. deprecated:: 1.5\n"
        f"   Use {__name__}.test_util_function instead.\n"
        "   For details, see `issue #123 "
        "<https://github.com/python-trio/trio/issues/123>`__.\n\n"
    )


def test_the_name_is_that_at_the_time_of_the_call() -> None:
    @deprecated("1.5", issue=None, instead=None)
    def renamed() -> None: ...

    renamed.__module__, renamed.__qualname__ = "trio", "public"
    with pytest.warns(DeprecationWarning, match=r"^trio\.public is deprecated"):
        renamed()


def test_an_alias_warns_under_its_own_name() -> None:
    def new(x: int) -> int:
        """Of the new one."""
        return x + 1

    old = deprecated_alias("Klass.old", new, "1.5", issue=1)
    assert (old.__name__, old.__qualname__) == ("old", "Klass.old")
    with pytest.warns(DeprecationWarning, match=rf"^{__name__}\.Klass\.old is"):
        assert old(1) == 2
    assert (old.__doc__ or "").startswith("Deprecated alias.")


@pytest.fixture
def some_module() -> Iterator[ModuleType]:
    module = sys.modules["a_module"] = ModuleType("a_module")
    yield module
    del sys.modules["a_module"]


def test_a_module_answers_for_its_old_names(some_module: ModuleType) -> None:
    deprecate_attributes(
        "a_module",
        {
            "old": DeprecatedAttribute("value", "1.1", issue=1),
            "older": DeprecatedAttribute("v", "1.0", issue=1, instead="something"),
            "gone": DeprecatedAttribute("g", "1.0", issue=1, instead=None),
        },
    )
    with pytest.warns(DeprecationWarning, match=r"^a_module\.old .* use value instead"):
        assert some_module.old == "value"
    with pytest.warns(DeprecationWarning, match="use something instead"):
        assert some_module.older == "v"
    with pytest.warns(DeprecationWarning, match="with no replacement"):
        assert some_module.gone == "g"
    with pytest.raises(AttributeError, match="'a_module' has no attribute 'new'"):
        some_module.new  # noqa: B018
