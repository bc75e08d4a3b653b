"""What a test says about the exception group that it expects.

Trio had these before pytest did, and has deprecated them in favour of
`pytest.RaisesGroup` and `pytest.RaisesExc`. The texts of failures are Trio's.
"""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from .._util import TYPE_CHECKING, final
from ._raises_pairing import Pairing, name_of, quoted, why_not, wrong_type

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

if TYPE_CHECKING:
    import builtins
    import types
    from collections.abc import Callable, Iterator, Sequence
    from re import Pattern
    from typing import Any, NoReturn, TypeGuard

MatchE = TypeVar("MatchE", bound=BaseException, covariant=True)
BaseExcT_co = TypeVar("BaseExcT_co", bound=BaseException, covariant=True)


@final
class _ExceptionInfo(Generic[MatchE]):
    """What was caught; stands in for `pytest.ExceptionInfo` if there is no pytest."""

    def __init__(
        self, excinfo: tuple[type[MatchE], MatchE, types.TracebackType] | None
    ) -> None:
        self._excinfo = excinfo

    @classmethod
    def for_later(cls) -> _ExceptionInfo[MatchE]:
        """Make one that is filled when the exception is there."""
        return cls(None)

    def fill_unfilled(
        self, exc_info: tuple[type[MatchE], MatchE, types.TracebackType]
    ) -> None:
        """Fill it, which can be done once."""
        assert self._excinfo is None, "ExceptionInfo was already filled"
        self._excinfo = exc_info

    def _filled(
        self, asked: str
    ) -> tuple[builtins.type[MatchE], MatchE, types.TracebackType]:
        assert self._excinfo is not None, (
            f".{asked} can only be used after the context manager exits"
        )
        return self._excinfo

    @property
    def type(self) -> builtins.type[MatchE]:
        """The class of the exception."""
        return self._filled("type")[0]

    @property
    def value(self) -> MatchE:
        """The exception."""
        return self._filled("value")[1]

    @property
    def tb(self) -> types.TracebackType:
        """Its traceback."""
        return self._filled("tb")[2]

    def exconly(self, tryshort: bool = False) -> str:
        """Refuse: pytest's can do this."""
        _only_with_pytest()

    def errisinstance(
        self,
        exc: builtins.type[BaseException] | tuple[builtins.type[BaseException], ...],
    ) -> bool:
        """Refuse: pytest's can do this."""
        _only_with_pytest()

    def getrepr(
        self,
        showlocals: bool = False,
        style: str = "long",
        abspath: bool = False,
        tbfilter: bool | Callable[[Any], Any] = True,
        funcargs: bool = False,
        truncate_locals: bool = True,
        chain: bool = True,
    ) -> Any:
        """Refuse: pytest's can do this."""
        _only_with_pytest()


def _only_with_pytest() -> NoReturn:
    raise NotImplementedError(
        "This is a helper method only available if you use RaisesGroup with the pytest "
        "package installed"
    )


if TYPE_CHECKING:
    ExceptionInfo = _ExceptionInfo
else:

    def __getattr__(name: str) -> object:
        """Find pytest's `ExceptionInfo`, if there is pytest, once it is asked for.

        Not before: pytest is slow to import, and CPython 3.13 comes to grief over four
        interpreters that import it at once.
        """
        global ExceptionInfo
        if name != "ExceptionInfo":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            from pytest import ExceptionInfo
        except ImportError:
            ExceptionInfo = _ExceptionInfo
        return ExceptionInfo


# --- words ----------------------------------------------------------------------------


def repr_callable(fun: Callable[..., bool]) -> str:
    """Tell which function a `check` is; a plugin may replace this to tell more."""
    return repr(fun)


def _shown_pattern(pattern: Pattern[str]) -> str | Pattern[str]:
    """A pattern without flags is shown as the string that it was given as."""
    plain = pattern.flags == re.compile("").flags
    return pattern.pattern if plain else pattern


def _text(exc: BaseException) -> str:
    """What a `match` is searched in: a group's message without its count, and notes."""
    message = getattr(exc, "message", None)
    if message is None:
        message = str(exc)
    return "\n".join([message, *getattr(exc, "__notes__", [])])


# --- what is expected -----------------------------------------------------------------


class AbstractMatcher(ABC, Generic[BaseExcT_co]):
    """What `Matcher` and `RaisesGroup` have in common: a pattern, a check, a reason."""

    def __init__(
        self,
        match: str | Pattern[str] | None,
        check: Callable[[Any], bool] | None,
    ) -> None:
        self.match = re.compile(match) if isinstance(match, str) else match
        self.check = check
        self._fail_reason: str | None = None
        self._nested = False  # its repr, which shows the check, stands in front

    @property
    def fail_reason(self) -> str | None:
        """Why the last call of `matches` said no."""
        return self._fail_reason

    @abstractmethod
    def matches(self, exc_val: BaseException, /) -> bool:
        """Tell whether an exception is as expected; if not, `fail_reason` says why."""

    def _pattern_failure(self, exc: BaseException) -> str | None:
        if self.match is None:
            return None
        text = _text(exc)
        if self.match.search(text):
            return None
        shown = _shown_pattern(self.match)
        reason = f"Regex pattern {shown!r} did not match {text!r}"
        if isinstance(exc, BaseExceptionGroup):
            reason += f" of {quoted(type(exc))}"
        if shown == text:
            reason += "\n  Did you mean to `re.escape()` the regex?"
        return reason

    def _check_failure(self, exc: BaseException) -> str | None:
        if self.check is None or self.check(exc):
            return None
        if self._nested:
            return "check did not return True"
        return f"check {repr_callable(self.check)} did not return True"

    def _shown_conditions(self) -> Iterator[str]:
        if self.match is not None:
            yield f"match={_shown_pattern(self.match)!r}"
        if self.check is not None:
            yield f"check={repr_callable(self.check)}"


@final
class Matcher(AbstractMatcher[MatchE]):
    """What is expected of one exception, inside of a `RaisesGroup` or alone.

    Args:
        exception_type: A class that it has to be an instance of.
        match: A regular expression, to be found in its message or notes.
        check: Called with the exception, and must return something true.

    Raises:
        ValueError: There is nothing to match on, or the class is not one of exceptions.
    """

    def __init__(
        self,
        exception_type: type[MatchE] | None = None,
        match: str | Pattern[str] | None = None,
        check: Callable[[Any], bool] | None = None,
    ) -> None:
        super().__init__(match, check)
        if exception_type is None and match is None and check is None:
            raise ValueError("You must specify at least one parameter to match on.")
        if exception_type is not None and not issubclass(exception_type, BaseException):
            raise ValueError(
                f"exception_type {exception_type} must be a subclass of BaseException"
            )
        self.exception_type = exception_type

    def matches(self, exception: BaseException) -> TypeGuard[MatchE]:
        """Tell whether an exception is as expected; if not, `fail_reason` says why."""
        self._fail_reason = (
            wrong_type(self.exception_type, exception)
            or self._pattern_failure(exception)
            or self._check_failure(exception)
        )
        return self._fail_reason is None

    def __repr__(self) -> str:
        shown = [] if self.exception_type is None else [self.exception_type.__name__]
        return f"Matcher({', '.join([*shown, *self._shown_conditions()])})"


@final
class RaisesGroup(AbstractMatcher[BaseExceptionGroup[BaseExcT_co]]):
    """A `with` block that has to raise an exception group, with certain exceptions.

    All that are expected have to be in it, in any order, and no others. Each raised
    exception is given to the first that expects it, and not taken away again for
    another that could have no other.

    Args:
        exception: What is expected: a class, a `Matcher`; or a `RaisesGroup`, for a
            group in the group.
        other_exceptions: More of these.
        allow_unwrapped: Take the one expected exception also without a group.
        flatten_subgroups: Do not care how groups are nested.
        match: A regular expression, to be found in the group's message or notes.
        check: Called with the group if all else is right; must return something true.

    Raises:
        ValueError: The arguments do not go together.
    """

    def __init__(
        self,
        exception: type[BaseExcT_co] | Matcher[BaseExcT_co] | RaisesGroup[Any],
        *other_exceptions: type[BaseExcT_co] | Matcher[BaseExcT_co] | RaisesGroup[Any],
        allow_unwrapped: bool = False,
        flatten_subgroups: bool = False,
        match: str | Pattern[str] | None = None,
        check: Callable[[Any], bool] | None = None,
    ) -> None:
        super().__init__(match, check)
        self.expected_exceptions: tuple[
            type[BaseExcT_co] | Matcher[BaseExcT_co] | RaisesGroup[Any], ...
        ] = (exception, *other_exceptions)
        self.allow_unwrapped = allow_unwrapped
        self.flatten_subgroups = flatten_subgroups
        self.is_baseexceptiongroup = False
        if allow_unwrapped:
            self._refuse_what_needs_a_group()
        for expected in self.expected_exceptions:
            self._take(expected)

    def _refuse_what_needs_a_group(self) -> None:
        if len(self.expected_exceptions) > 1:
            raise ValueError(
                "You cannot specify multiple exceptions with `allow_unwrapped=True.` "
                "If you want to match one of multiple possible exceptions you should "
                "use a `Matcher`. E.g. "
                "`Matcher(check=lambda e: isinstance(e, (...)))`"
            )
        if isinstance(self.expected_exceptions[0], RaisesGroup):
            raise ValueError(
                "`allow_unwrapped=True` has no effect when expecting a `RaisesGroup`. "
                "You might want it in the expected `RaisesGroup`, or "
                "`flatten_subgroups=True` if you don't care about the structure."
            )
        if self.match is not None or self.check is not None:
            raise ValueError(
                "`allow_unwrapped=True` bypasses the `match` and `check` parameters if "
                "the exception is unwrapped. If you intended to match/check the "
                "exception you should use a `Matcher` object. If you want to match/"
                "check the exceptiongroup when the exception *is* wrapped you need to "
                "do e.g. `if isinstance(exc.value, ExceptionGroup): assert "
                "RaisesGroup(...).matches(exc.value)` afterwards."
            )

    def _take(self, expected: object) -> None:
        """Look at one expected exception, and at which kind of group it makes ours."""
        is_base = False
        if isinstance(expected, RaisesGroup):
            if self.flatten_subgroups:
                raise ValueError(
                    "You cannot specify a nested structure inside a RaisesGroup with "
                    "`flatten_subgroups=True`. The parameter will flatten subgroups in "
                    "the raised exceptiongroup before matching, which would never "
                    "match a nested structure."
                )
            is_base = expected.is_baseexceptiongroup
        elif isinstance(expected, Matcher):
            wanted = expected.exception_type
            is_base = wanted is not None and not issubclass(wanted, Exception)
        elif isinstance(expected, type) and issubclass(expected, BaseException):
            is_base = not issubclass(expected, Exception)
        else:
            raise ValueError(
                f'Invalid argument "{expected!r}" must be exception type, Matcher, or '
                "RaisesGroup."
            )
        if isinstance(expected, AbstractMatcher):
            expected._nested = True
        self.is_baseexceptiongroup |= is_base

    def __enter__(self) -> ExceptionInfo[BaseExceptionGroup[BaseExcT_co]]:
        """Return what tells of the exception after the block."""
        from ._raises_group import ExceptionInfo  # by this module's __getattr__

        self.excinfo: ExceptionInfo[BaseExceptionGroup[BaseExcT_co]] = (
            ExceptionInfo.for_later()
        )
        return self.excinfo

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: types.TracebackType | None,
    ) -> bool:
        """Catch what was raised if it is as expected.

        Raises:
            AssertionError: It is not, or nothing was raised.
        """
        __tracebackhide__ = True
        if exc_type is None:
            raise AssertionError(
                f"DID NOT RAISE any exception, expected {self.expected_type()}"
            )
        if not self.matches(exc_val):
            what = "exception group"
            if self.allow_unwrapped and not issubclass(exc_type, BaseExceptionGroup):
                what = "exception (group)"
            raise AssertionError(f"Raised {what} did not match: {self._fail_reason}")
        caught: Any = (exc_type, exc_val, exc_tb)
        self.excinfo.fill_unfilled(caught)
        return True

    def matches(
        self, exc_val: BaseException | None
    ) -> TypeGuard[BaseExceptionGroup[BaseExcT_co]]:
        """Tell whether a group is as expected; if not, `fail_reason` says why."""
        if exc_val is None:
            self._fail_reason = "exception is None"
        elif not isinstance(exc_val, BaseExceptionGroup):
            self._fail_reason = self._why_not_unwrapped(exc_val)
        else:
            self._fail_reason = (
                self._why_not_message(exc_val)
                or self._why_not_members(exc_val)
                or self._check_failure(exc_val)
            )
        return self._fail_reason is None

    def _why_not_unwrapped(self, exc: BaseException) -> str | None:
        no_group = f"{quoted(type(exc))} is not an exception group"
        if len(self.expected_exceptions) > 1:
            return no_group
        reason = why_not(self.expected_exceptions[0], exc)
        if self.allow_unwrapped:
            return reason
        if reason is None:
            return f"{no_group}, but would match with `allow_unwrapped=True`"
        return no_group

    def _members(self, group: BaseExceptionGroup[Any]) -> Sequence[BaseException]:
        return _leaves(group) if self.flatten_subgroups else group.exceptions

    def _why_not_message(self, group: BaseExceptionGroup[Any]) -> str | None:
        reason = self._pattern_failure(group)
        if reason is None:
            return None
        # The pattern may have been meant for the one exception inside.
        expected, members = self.expected_exceptions[0], self._members(group)
        if (
            len(members) == len(self.expected_exceptions) == 1
            and isinstance(expected, type)
            and isinstance(members[0], expected)
            and self._pattern_failure(members[0]) is None
        ):
            assert self.match is not None, "it has failed"
            pattern = _shown_pattern(self.match)
            reason += (
                f", but matched the expected {quoted(expected)}. You might want "
                f"RaisesGroup(Matcher({expected.__name__}, match={pattern!r}))"
            )
        return reason

    def _why_not_members(self, group: BaseExceptionGroup[Any]) -> str | None:
        members = self._members(group)
        reason = Pairing(self.expected_exceptions, members).failure()
        if reason is None or not self._flattening_helps(group, members):
            return reason
        # A table has indented lines of its own, which this would seem to belong to.
        margin = "" if "\n" in reason else "  "
        return f"{reason}\n{margin}Did you mean to use `flatten_subgroups=True`?"

    def _flattening_helps(
        self, group: BaseExceptionGroup[Any], members: Sequence[BaseException]
    ) -> bool:
        return (
            not self.flatten_subgroups
            and not any(isinstance(e, RaisesGroup) for e in self.expected_exceptions)
            and any(isinstance(e, BaseExceptionGroup) for e in members)
            and Pairing(self.expected_exceptions, _leaves(group)).failure() is None
        )

    def expected_type(self) -> str:
        """Say what is expected, in the form of a group."""
        inner = (
            e.expected_type() if isinstance(e, RaisesGroup) else name_of(e)
            for e in self.expected_exceptions
        )
        base = "Base" if self.is_baseexceptiongroup else ""
        return f"{base}ExceptionGroup({', '.join(inner)})"

    def __repr__(self) -> str:
        shown = [name_of(e) for e in self.expected_exceptions]
        if self.allow_unwrapped:
            shown.append(f"allow_unwrapped={self.allow_unwrapped}")
        if self.flatten_subgroups:
            shown.append(f"flatten_subgroups={self.flatten_subgroups}")
        return f"RaisesGroup({', '.join([*shown, *self._shown_conditions()])})"


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    """All exceptions of a group that are no groups, in their order."""
    leaves: list[BaseException] = []
    for exc in group.exceptions:
        if isinstance(exc, BaseExceptionGroup):
            leaves.extend(_leaves(exc))
        else:
            leaves.append(exc)
    return leaves
