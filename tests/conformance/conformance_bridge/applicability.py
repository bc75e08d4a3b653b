"""Which tests say nothing about an implementation of Trio's API."""

from __future__ import annotations

import fnmatch


def why_not_applicable(test: str, patterns: list[tuple[str, str]]) -> str | None:
    """Return why a test does not apply, or None if it does.

    Args:
        test: Its id; the id of a file is its path.
        patterns: Ids, which cover all their parameters, or globs; with reasons.
    """
    for pattern, reason in patterns:
        if test == pattern or test.startswith(pattern + "["):
            return reason
        if fnmatch.fnmatchcase(test, pattern):
            return reason
    return None
