"""Joins tracebacks, for exceptions that are taken out of their group."""

from __future__ import annotations

from types import TracebackType


def concat_tb(
    head: TracebackType | None, tail: TracebackType | None
) -> TracebackType | None:
    """Return a traceback that goes through `head` and then on into `tail`.

    A loop and not a recursion: it may come from a RecursionError.
    """
    entries: list[TracebackType] = []
    while head is not None:
        entries.append(head)
        head = head.tb_next
    joined = tail
    for entry in reversed(entries):
        joined = TracebackType(joined, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return joined
