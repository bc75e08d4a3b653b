"""Bring the Meson lists up to date: add what is new, drop what is gone.

Only the first `files(...)` of each folder is rewritten; sources that the rest of the
file names (one platform's, say) stay where they are.
"""

from __future__ import annotations

import re
import sys

from sources import ROOT, table

FILES = re.compile(r"files\(\n((?: *'[^']*',\n)*)\)")


def main() -> int:
    """Rewrite the lists of every folder of deps.toml that keeps one."""
    for folder in table("deps.toml")["listed"]["folders"]:
        build = ROOT / folder / "meson.build"
        text = build.read_text(encoding="utf-8")
        found = FILES.search(text)
        if found is None:
            print(f"{build}: has no list", file=sys.stderr)
            return 1
        rest = text[: found.start()] + text[found.end() :]
        names = sorted(path.name for path in build.parent.glob("*.c"))
        lines = [f"  '{name}',\n" for name in names if f"'{name}'" not in rest]
        new = f"{text[: found.start(1)]}{''.join(lines)}{text[found.end(1) :]}"
        if new != text:
            build.write_text(new, encoding="utf-8")
            print(f"{folder}/meson.build: {len(lines)} sources")
    return 0


if __name__ == "__main__":
    sys.exit(main())
