"""`RaisesGroup` and `Matcher`, which Trio has deprecated."""

from __future__ import annotations

import re
import subprocess
import sys
from types import TracebackType
from typing import Any

import pytest

import ctrio
from ctrio.testing import (
    _Matcher as Matcher,
    _raises_group,
    _RaisesGroup as RaisesGroup,
)

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

GREEDY = "\nThere exist a possible match when attempting an exhaustive check, but "


def group(*exceptions: Exception, message: str = "") -> ExceptionGroup[Exception]:
    return ExceptionGroup(message, [*exceptions])


def reason(expected: Any, exc: BaseException | None) -> str:
    """Why it does not match."""
    assert not expected.matches(exc)
    return str(expected.fail_reason)


# --- Matcher --------------------------------------------------------------------------


def test_a_matcher_wants_a_type_a_pattern_and_a_check() -> None:
    matcher = Matcher(OSError, match="^no", check=lambda e: e.errno is None)
    assert matcher.matches(OSError("no way"))
    assert matcher.fail_reason is None
    assert reason(matcher, KeyError("no")) == "'KeyError' is not of type 'OSError'"
    pattern = "Regex pattern '^no' did not match 'oh no'"
    assert reason(matcher, OSError("oh no")) == pattern


def test_a_matcher_that_wants_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one parameter"):
        Matcher()
    with pytest.raises(ValueError, match="<class 'int'> must be a subclass of Base"):
        Matcher(int)  # type: ignore[type-var]


def test_a_pattern_is_looked_for_in_the_notes_too() -> None:
    exc = ValueError("text")
    exc.__notes__ = ["note"]  # what add_note does, on 3.10 as well
    assert Matcher(match="^text\nnote$").matches(exc)


def test_a_pattern_that_is_the_text_was_meant_to_be_escaped() -> None:
    assert reason(Matcher(match="f(x)"), ValueError("f(x)")).endswith(
        "did not match 'f(x)'\n  Did you mean to `re.escape()` the regex?"
    )


def test_a_check_is_named_unless_a_group_has_named_it() -> None:
    matcher = Matcher(check=callable)
    assert reason(matcher, KeyError()) == f"check {callable!r} did not return True"
    outer = RaisesGroup(matcher)
    assert reason(outer, group(KeyError())) == f"{matcher!r}: check did not return True"


def test_reprs_show_what_was_given() -> None:
    flags = re.compile("a", re.IGNORECASE)
    assert repr(Matcher(KeyError, "a")) == "Matcher(KeyError, match='a')"
    assert repr(Matcher(match=flags)) == f"Matcher(match={flags!r})"
    nested = RaisesGroup(
        RaisesGroup(KeyError), Matcher(check=any), match="x", check=all
    )
    assert repr(nested) == (
        f"RaisesGroup(RaisesGroup(KeyError), Matcher(check={any!r}), match='x', "
        f"check={all!r})"
    )
    loose = RaisesGroup(KeyError, allow_unwrapped=True, flatten_subgroups=True)
    assert repr(loose) == (
        "RaisesGroup(KeyError, allow_unwrapped=True, flatten_subgroups=True)"
    )


# --- RaisesGroup ----------------------------------------------------------------------


def test_the_block_gives_what_was_caught() -> None:
    exc = group(KeyError(), message="m")
    with RaisesGroup(KeyError, match="^m$") as caught:
        raise exc
    assert (caught.type, caught.value) == (ExceptionGroup, exc)
    assert isinstance(caught.tb, TracebackType)


def test_a_block_that_raises_nothing_or_something_else_fails() -> None:
    expected = RaisesGroup(RaisesGroup(KeyboardInterrupt), Matcher(KeyError), OSError)
    text = "DID NOT RAISE any exception, expected BaseExceptionGroup(BaseException"
    with pytest.raises(AssertionError, match=f"^{re.escape(text)}"):
        with expected:
            pass
    text = "Raised exception group did not match: 'KeyError' is not an exception group"
    with pytest.raises(AssertionError, match=f"^{text}$"):
        with expected:
            raise KeyError
    text = r"Raised exception \(group\) did not match: 'OSError' is not of type 'Key"
    with pytest.raises(AssertionError, match=f"^{text}"):
        with RaisesGroup(KeyError, allow_unwrapped=True):
            raise OSError


def test_order_does_not_matter_and_nesting_does() -> None:
    expected = RaisesGroup(KeyError, RaisesGroup(OSError), ValueError)
    assert expected.matches(group(ValueError(), group(OSError()), KeyError()))
    flat = RaisesGroup(KeyError, OSError, flatten_subgroups=True)
    assert flat.matches(group(group(group(OSError())), KeyError()))
    hint = "\nDid you mean to use `flatten_subgroups=True`?"
    raised = group(group(OSError(), KeyError()))
    assert reason(RaisesGroup(KeyError, OSError), raised).endswith(hint)
    assert not reason(RaisesGroup(KeyError, KeyError), raised).endswith(hint)


def test_one_without_a_group_is_taken_if_allowed() -> None:
    assert RaisesGroup(KeyError, allow_unwrapped=True).matches(KeyError())
    hint = "'KeyError' is not an exception group, but would match with "
    assert reason(RaisesGroup(KeyError), KeyError()).startswith(hint)
    several = RaisesGroup(KeyError, OSError)
    assert reason(several, KeyError()) == "'KeyError' is not an exception group"
    assert reason(several, None) == "exception is None"


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((KeyError(),), {}, 'Invalid argument "KeyError()" must be exception type'),
        ((int,), {}, "must be exception type, Matcher, or RaisesGroup."),
        ((KeyError, OSError), {"allow_unwrapped": True}, "cannot specify multiple"),
        ((RaisesGroup(KeyError),), {"allow_unwrapped": True}, "has no effect when"),
        ((KeyError,), {"allow_unwrapped": True, "match": "x"}, "bypasses the `match`"),
        ((KeyError,), {"allow_unwrapped": True, "check": any}, "bypasses the `match`"),
        ((RaisesGroup(KeyError),), {"flatten_subgroups": True}, "a nested structure"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: Any, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        RaisesGroup(*arguments, **options)


def test_a_pattern_for_the_group_may_have_been_meant_for_the_exception() -> None:
    found = reason(RaisesGroup(KeyError, match="x"), group(KeyError("x"), message="m"))
    assert found == (
        "Regex pattern 'x' did not match 'm' of 'ExceptionGroup', but matched the "
        "expected 'KeyError'. You might want "
        "RaisesGroup(Matcher(KeyError, match='x'))"
    )


def test_what_is_missing_or_too_much_is_named_in_a_line() -> None:
    raised = group(KeyError("k"), OSError())
    assert reason(RaisesGroup(KeyError), raised) == (
        "1 matched exception. Unexpected exception(s): [OSError()]"
    )
    assert reason(RaisesGroup(KeyError, OSError, TypeError), raised) == (
        "2 matched exceptions. Too few exceptions raised, found no match for: "
        "['TypeError']"
    )
    assert reason(RaisesGroup(KeyError, TypeError), raised) == (
        "1 matched exception. 'OSError' is not of type 'TypeError'"
    )


def test_who_was_paired_with_whom_is_in_a_table() -> None:
    # The one that is missing comes before one that has found its own. (Trio 0.35.0
    # looks at the last one expected here, whichever is missing.)
    expected = RaisesGroup(KeyError, KeyError, OSError)
    assert reason(expected, group(OSError(), KeyError("k"))) == (
        "\n2 matched exceptions. "
        "\nToo few exceptions raised!"
        "\nThe following expected exceptions did not find a match:"
        "\n  'KeyError'"
        "\n    It matches KeyError('k') which was paired with 'KeyError'"
    )


def test_a_table_in_a_table_is_indented() -> None:
    expected = RaisesGroup(RaisesGroup(KeyError, KeyError), TypeError)
    inner = group(OSError(1), OSError(2))
    assert reason(expected, group(inner, ValueError())) == (
        "\nThe following expected exceptions did not find a match:"
        "\n  RaisesGroup(KeyError, KeyError)"
        "\n  'TypeError'"
        "\nThe following raised exceptions did not find a match"
        "\n  ExceptionGroup('', [OSError(1), OSError(2)]):"
        "\n    RaisesGroup(KeyError, KeyError): "
        "\n      The following expected exceptions did not find a match:"
        "\n        'KeyError'"
        "\n        'KeyError'"
        "\n      The following raised exceptions did not find a match"
        "\n        OSError(1):"
        "\n          'OSError' is not of type 'KeyError'"
        "\n          'OSError' is not of type 'KeyError'"
        "\n        OSError(2):"
        "\n          'OSError' is not of type 'KeyError'"
        "\n          'OSError' is not of type 'KeyError'"
        "\n    Unexpected nested 'ExceptionGroup', expected 'TypeError'"
        "\n  ValueError():"
        "\n    RaisesGroup(KeyError, KeyError): 'ValueError' is not an exception group"
        "\n    'ValueError' is not of type 'TypeError'"
    )


def test_a_pairing_that_greed_has_missed_is_pointed_out() -> None:
    raised = group(KeyError("a"), KeyError("b"), KeyError("c"))
    greedy = RaisesGroup(KeyError, KeyError, Matcher(match="a"))
    assert GREEDY in reason(greedy, raised)
    # Where two want the same one, no order helps.
    hopeless = RaisesGroup(KeyError, Matcher(match="a"), Matcher(match="a"))
    assert GREEDY not in reason(hopeless, raised)


def test_a_check_is_called_once_for_each_exception() -> None:
    called: list[BaseException] = []

    def check(exc: BaseException) -> bool:
        called.append(exc)
        return False

    raised = group(KeyError(1), KeyError(2))
    reason(RaisesGroup(Matcher(check=check), OSError), raised)
    assert called == list(raised.exceptions)


def test_base_exceptions_make_a_base_group() -> None:
    assert RaisesGroup(KeyError).expected_type() == "ExceptionGroup(KeyError)"
    for expected in (KeyboardInterrupt, Matcher(KeyboardInterrupt)):
        assert RaisesGroup(RaisesGroup(expected)).is_baseexceptiongroup
    assert not RaisesGroup(Matcher(match="x")).is_baseexceptiongroup
    exc = BaseExceptionGroup("", [KeyboardInterrupt()])
    assert RaisesGroup(KeyboardInterrupt).matches(exc)


# --- the module -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "instead"), [("Matcher", "RaisesExc"), ("RaisesGroup", "RaisesGroup")]
)
def test_their_public_names_are_deprecated(name: str, instead: str) -> None:
    text = (
        f"trio.testing.{name} is deprecated since Trio 0.33.0; use See "
        f"https://docs.pytest.org/en/stable/reference/reference.html#pytest.{instead} "
        "instead (https://github.com/python-trio/trio/issues/3326)"
    )
    with pytest.warns(DeprecationWarning, match=f"^{re.escape(text)}$") as warned:
        found = getattr(ctrio.testing, name)
    assert warned[0].filename == __file__
    assert found is getattr(_raises_group, name)
    assert name not in dir(ctrio.testing)


def test_they_are_final() -> None:
    for cls in (Matcher, RaisesGroup, _raises_group._ExceptionInfo):
        with pytest.raises(TypeError, match="does not support subclassing"):
            type("Sub", (cls,), {})


def test_without_pytest_there_is_something_for_what_was_caught() -> None:
    program = """if True:
        import sys
        sys.modules["pytest"] = None
        from ctrio.testing import _RaisesGroup
        from ctrio.testing._raises_group import ExceptionInfo, _ExceptionInfo
        assert ExceptionInfo is _ExceptionInfo
        if sys.version_info < (3, 11):
            from exceptiongroup import ExceptionGroup
        with _RaisesGroup(KeyError) as caught:
            try:
                caught.value
            except AssertionError as exc:
                assert ".value can only be used after" in str(exc)
            raise ExceptionGroup("", [KeyError()])
        assert caught.type is ExceptionGroup and caught.tb.tb_next is None
        assert isinstance(caught.value.exceptions[0], KeyError)
        for refused in (caught.exconly, caught.getrepr):
            try:
                refused()
            except NotImplementedError:
                continue
            raise SystemExit(f"{refused} did something")
    """
    subprocess.run([sys.executable, "-c", program], check=True)
