"""The list of what no C test reaches, held against a measurement."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def coverage(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.delitem(sys.modules, "coverage", raising=False)
    import coverage

    monkeypatch.delitem(sys.modules, "coverage")
    assert Path(coverage.__file__).parent == ROOT / "tools"
    return coverage


def line(function: str, count: int, *branches: int, **more: bool) -> dict[str, Any]:
    found = [{"count": taken} for taken in branches]
    return {"function_name": function, "count": count, "branches": found, **more}


RECORD = {
    "file": "a.c",
    "lines": [
        line("reached", 3),
        line("reached", 3, 1, 2),
        line("half", 3, 3, 0),
        line("half", 3, 1, 2),
        line("never", 0),
        line("not_code", 0, **{"gcovr/noncode": True}),
    ],
}


def test_a_function_is_unreached_for_a_line_or_for_one_way_of_a_branch(
    coverage: Any,
) -> None:
    assert set(coverage.unreached(RECORD)) == {"a.c:half", "a.c:never"}


def test_a_function_is_known_by_any_line_of_code(coverage: Any) -> None:
    known = {"a.c:reached", "a.c:half", "a.c:never"}
    assert set(coverage.functions(RECORD)) == known


KNOWN = {"a.c:half", "a.c:never", "a.c:race", "a.c:reached"}


def test_a_list_that_is_exact_is_content(coverage: Any) -> None:
    never = {"a.c:half": "why", "a.c:never": "why not"}
    listed = {"never": never, "by_chance": {"a.c:race": "who knows"}}
    for found in (never.keys(), {*never, "a.c:race"}):
        assert list(coverage.compare(set(found), KNOWN, listed)) == []


@pytest.mark.parametrize(
    ("found", "listed", "complaint"),
    [
        ({"a.c:half"}, {}, "a.c:half is not wholly reached, and not in the list"),
        (set(), {"a.c:half": "why"}, "a.c:half is in the list, and wholly reached"),
        ({"a.c:half"}, {"a.c:half": " "}, "a.c:half is in the list without a reason"),
    ],
)
def test_a_list_that_is_not_exact_is_complained_about(
    coverage: Any, found: set[str], listed: dict[str, str], complaint: str
) -> None:
    lists = {"never": listed, "by_chance": {}}
    assert list(coverage.compare(found, KNOWN, lists)) == [complaint]


def test_by_chance_only_what_is_there_can_be_reached(coverage: Any) -> None:
    by_chance = {"a.c:race": "who knows", "a.c:gone": "who knows", "b.c:race": "who?"}
    lists = {"never": {}, "by_chance": by_chance}
    assert list(coverage.compare(set(), KNOWN, lists)) == [
        f"{name} is in the list, and there is no such function"
        for name in ("a.c:gone", "b.c:race")
    ]


def test_every_function_of_the_list_is_there(coverage: Any) -> None:
    listed = coverage.table(coverage.LISTED)
    for name in [*listed["never"], *listed["by_chance"]]:
        file, function = name.split(":")
        assert f"{function}(" in (ROOT / file).read_text(encoding="utf-8")
