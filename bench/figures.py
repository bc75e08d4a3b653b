"""Writes what was measured last into the README's tables, which nobody types.

make bench && build/venv/bin/python bench/figures.py
"""

from __future__ import annotations

import json
import re
from typing import Any

from report import figure, share
from session import ROOT

README = ROOT / "README.md"
TABLES = {
    "results.json": ("ctrio", ["trio", "asyncio", "uvloop"]),
    "results-c.json": ("ctrio", ["go", "tokio", "libuv", "raw epoll"]),
}


def line_of(row: dict[str, Any], ours: str, peers: list[str]) -> str:
    """One row: the figures, then ours as a part of the first peer's."""
    cells = [f"`{row['name']}`", row["title"], row["unit"]]
    for label in [ours, *peers]:
        value = row["medians"].get(label)
        cells.append("-" if value is None else figure(value))
    ratio = row["ratios"].get(peers[0])
    cells.append(share(ratio["middle"]) if ratio else "-")
    return "| " + " | ".join(cells) + " |"


def with_figures(text: str, document: dict[str, Any], key: str) -> str:
    """The text with the table under its mark made anew.

    Raises:
        SystemExit: it was a quick run, or the text has no such table.
    """
    ours, peers = TABLES[key]
    if document["quick"]:
        raise SystemExit(f"figures: {key} is from a quick run; run it in full")
    columns = [ours, *peers, f"{ours} / {peers[0]}"]
    head = ["row", "what is measured", "unit", *columns]
    rule = ["---"] * 3 + ["---:"] * len(columns)
    lines = ["| " + " | ".join(line) + " |" for line in (head, rule)]
    lines += [line_of(row, ours, peers) for row in document["rows"]]
    mark = re.compile(rf"(<!-- {re.escape(key)} -->\n).*?(?=\n\n)", re.DOTALL)
    made, count = mark.subn(lambda found: found[1] + "\n".join(lines), text)
    if count != 1:
        raise SystemExit(f"figures: the README has no mark {key}")
    return made


def main() -> None:
    text = README.read_text(encoding="utf-8")
    for key in TABLES:
        path = ROOT / "build/bench" / key
        if not path.is_file():
            raise SystemExit(f"figures: no {path}; run `make bench` first")
        text = with_figures(text, json.loads(path.read_text()), key)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
