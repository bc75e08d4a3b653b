"""The project's own files, as the style checks see them."""

from __future__ import annotations

import fnmatch
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent


def project_files(*suffixes: str) -> Iterator[Path]:
    """Every file with one of these suffixes that is or could be committed."""
    git = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]
    try:
        listed = subprocess.check_output(git, stderr=subprocess.DEVNULL, text=True)
        names = sorted(set(filter(None, listed.split("\0"))))
    except (OSError, subprocess.CalledProcessError):
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        names = sorted(str(path) for path in found if path.parts[0] != "build")
    for name in names:
        if name.endswith(suffixes) and (ROOT / name).is_file():
            yield ROOT / name


def relative(path: Path) -> str:
    """A file's name from the project's root, with slashes."""
    return path.relative_to(ROOT).as_posix()


def table(name: str) -> dict[str, Any]:
    """A table of tools/, read."""
    return tomllib.loads((ROOT / "tools" / name).read_text(encoding="utf-8"))


def matches(name: str, patterns: list[str]) -> bool:
    """Whether a name fits one of these patterns of the shell."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def expand(entries: list[str], rules: dict[str, Any]) -> list[str]:
    """Patterns with the groups (@c) replaced by what they stand for."""
    return [
        pattern
        for entry in entries
        for pattern in (rules[entry[1:]] if entry[0] == "@" else [entry])
    ]
