"""Pairs expected exceptions with raised ones, and tells about those left over."""

from __future__ import annotations

import sys
from textwrap import indent

from .._util import TYPE_CHECKING

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, TypeAlias

    from ._raises_group import AbstractMatcher

    Expected: TypeAlias = "type[BaseException] | AbstractMatcher[Any]"


def quoted(exception_type: type[BaseException]) -> str:
    """A class, as the texts name it."""
    return repr(exception_type.__name__)


def name_of(expected: Expected) -> str:
    """What is expected, as in a repr."""
    return expected.__name__ if isinstance(expected, type) else repr(expected)


def quoted_name(expected: Expected) -> str:
    """What is expected, as the texts name it."""
    return quoted(expected) if isinstance(expected, type) else repr(expected)


def wrong_type(expected: type[BaseException] | None, exc: BaseException) -> str | None:
    """Say what is wrong with the type of an exception, or None if nothing is."""
    if expected is None or isinstance(exc, expected):
        return None
    found = quoted(type(exc))
    if isinstance(exc, BaseExceptionGroup) and not issubclass(
        expected, BaseExceptionGroup
    ):
        return f"Unexpected nested {found}, expected {quoted(expected)}"
    return f"{found} is not of type {quoted(expected)}"


def why_not(expected: Expected, exc: BaseException) -> str | None:
    """Say why an exception is not the expected one, or None if it is."""
    if isinstance(expected, type):
        return wrong_type(expected, exc)
    if expected.matches(exc):
        return None
    reason = expected.fail_reason
    assert reason is not None, "what does not match says why"
    if reason.startswith("\n"):  # a table: it goes below
        return f"\n{expected!r}: {indent(reason, '  ')}"
    return f"{expected!r}: {reason}"


class Pairing:
    """Gives each expected exception a raised one, and tells about those without.

    Both are known by their place: the same object may be expected, or raised, twice.
    """

    def __init__(
        self, expected: Sequence[Expected], raised: Sequence[BaseException]
    ) -> None:
        self._expected = expected
        self._raised = raised
        self._reasons: dict[tuple[int, int], str | None] = {}
        self._missing: list[int] = []  # expected, not raised
        self._surplus = list(range(len(raised)))  # raised, not expected
        self._raised_for: dict[int, int] = {}
        for place in range(len(expected)):
            found = next((i for i in self._surplus if self._fits(place, i)), None)
            if found is None:
                self._missing.append(place)
            else:
                self._surplus.remove(found)
                self._raised_for[place] = found

    def _why_not(self, expected: int, raised: int) -> str | None:
        """Ask once: a check may be slow, or have effects."""
        pair = expected, raised
        if pair not in self._reasons:
            self._reasons[pair] = why_not(
                self._expected[expected], self._raised[raised]
            )
        return self._reasons[pair]

    def _fits(self, expected: int, raised: int) -> bool:
        return self._why_not(expected, raised) is None

    def failure(self) -> str | None:
        """Say who is left over and why, or None if nobody is."""
        if not self._missing and not self._surplus:
            return None
        if len(self._expected) == len(self._raised) == 1:
            return self._why_not(0, 0)
        return self._brief_failure() or "".join(f"\n{line}" for line in self._table())

    def _matched(self) -> str:
        count = len(self._raised_for)
        if count == 0:
            return ""
        return f"{count} matched exception{'s' if count > 1 else ''}. "

    def _brief_failure(self) -> str | None:
        """Say it in a line, if nobody who is left over fits somebody who is taken."""
        everybody = range(len(self._expected)), range(len(self._raised))
        lonely_expected = not any(
            self._fits(e, r) for e in self._missing for r in everybody[1]
        )
        lonely_raised = not any(
            self._fits(e, r) for e in everybody[0] for r in self._surplus
        )
        if not self._missing and lonely_raised:
            left = [self._raised[i] for i in self._surplus]
            return f"{self._matched()}Unexpected exception(s): {left!r}"
        if not self._surplus and lonely_expected:
            names = ", ".join(quoted_name(self._expected[i]) for i in self._missing)
            return (
                f"{self._matched()}Too few exceptions raised, found no match for: "
                f"[{names}]"
            )
        if (
            len(self._missing) == len(self._surplus) == 1
            and lonely_expected
            and lonely_raised
        ):
            reason = self._why_not(self._missing[0], self._surplus[0])
            return f"{self._matched()}{reason}"
        return None

    def _table(self) -> Iterator[str]:
        if self._raised_for:
            yield self._matched()
        if not self._surplus:
            yield "Too few exceptions raised!"
        elif not self._missing:
            yield "Unexpected exception(s)!"
        if self._missing:
            yield "The following expected exceptions did not find a match:"
        for place in self._missing:
            yield f"  {quoted_name(self._expected[place])}"
            yield from self._taken_raised(place)
        if self._surplus:
            yield "The following raised exceptions did not find a match"
        for place in self._surplus:
            yield f"  {self._raised[place]!r}:"
            yield from self._about_raised(place)
        if len(self._expected) == len(self._raised) and self._would_work_out():
            yield (
                "There exist a possible match when attempting an exhaustive check, but "
                "RaisesGroup uses a greedy algorithm. Please make your expected "
                "exceptions more stringent with `Matcher` etc so the greedy algorithm "
                "can function."
            )

    def _taken_raised(self, missing: int) -> Iterator[str]:
        """For whom those were taken that would have fitted."""
        expected_for = {r: e for e, r in self._raised_for.items()}
        for place, exc in enumerate(self._raised):
            if self._fits(missing, place):
                other = quoted_name(self._expected[expected_for[place]])
                yield f"    It matches {exc!r} which was paired with {other}"

    def _about_raised(self, surplus: int) -> Iterator[str]:
        for place, expected in enumerate(self._expected):
            reason = self._why_not(place, surplus)
            if reason is None:
                other = self._raised[self._raised_for[place]]
                name = quoted_name(expected)
                yield f"    It matches {name} which was paired with {other!r}"
            elif place in self._missing:
                yield indent(reason.removeprefix("\n"), "    ")

    def _would_work_out(self) -> bool:
        """Whether some other way to pair them leaves nobody over."""
        expected_for: dict[int, int] = {}

        def find(expected: int, seen: set[int]) -> bool:
            """Give it a raised one; whoever has that already looks for another."""
            for raised in range(len(self._raised)):
                if raised in seen or not self._fits(expected, raised):
                    continue
                seen.add(raised)
                holder = expected_for.get(raised)
                if holder is None or find(holder, seen):
                    expected_for[raised] = expected
                    return True
            return False

        return all(find(place, set()) for place in range(len(self._expected)))
