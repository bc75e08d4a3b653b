"""Marks in a trace, around what may differ for a reason that is known."""

from __future__ import annotations

import re
from collections.abc import Collection

BEGIN, NAMED, END = "\x01", "\x02", "\x03"
MARKS = re.compile(f"{BEGIN}[^{NAMED}]*{NAMED}|{END}")


def mark(rule: str, text: str) -> str:
    """A piece of text which the rule lets differ."""
    return f"{BEGIN}{rule}{NAMED}{text}{END}"


def without(text: str, rules: Collection[str]) -> str:
    """A text without the pieces that these rules let differ, and without marks."""
    if BEGIN not in text:
        return text
    kept: list[str] = []
    hidden = 0
    stack: list[bool] = []
    at = 0
    for found in MARKS.finditer(text):
        if not hidden:
            kept.append(text[at : found.start()])
        at = found.end()
        if found[0] == END:
            hidden -= stack.pop()
        else:
            stack.append(found[0][1:-1] in rules)
            hidden += stack[-1]
    return "".join([*kept, text[at:]])
