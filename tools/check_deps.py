"""The include rule: who may include whom, system headers at home, no circles.

Also that tests stand beside the sources and that every source is in its Meson list.
The tables are in deps.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sources import ROOT, project_files, relative, table

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
SEARCH = ("include", "src", "tests", "tests/support", ".")


def longest(name: str, folders: dict[str, Any]) -> str | None:
    """The longest of these folders that contains the file, or None."""
    holds = (key for key in folders if name.startswith(key + "/"))
    return max(holds, key=len, default=None)


def resolve(source: Path, mark: str, name: str) -> Path | None:
    """The project's file that an include names, or None for a system header."""
    folders = [ROOT / folder for folder in SEARCH]
    for folder in [source.parent, *folders] if mark == '"' else folders:
        if (folder / name).is_file():
            return (folder / name).resolve()
    return None


def circles(graph: dict[str, set[str]]) -> Iterator[str]:
    """Each circle of a graph, once, as a path."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> Iterator[str]:
        if node in path:
            yield " -> ".join([*path[path.index(node) :], node])
        elif node not in done:
            for after in sorted(graph.get(node, ())):
                yield from visit(after, [*path, node])
            done.add(node)

    for start in sorted(graph):
        yield from visit(start, [])


def system_header(name: str, here: str, rules: dict[str, Any]) -> str | None:
    """What is wrong with including a system header from this folder, or None."""
    allowed = rules["system_headers"].get(here)
    if allowed is not None and name not in allowed:
        return f"<{name}> is not among the headers {here} may include"
    homes = rules["only_in"].get(name)
    if homes is not None and here not in homes:
        return f"<{name}> belongs in {', '.join(homes) or 'no folder'}"
    return None


def include_rule() -> Iterator[str]:
    """Every include that the tables forbid, and every circle."""
    rules = table("deps.toml")
    may = rules["may_include"]
    folders: dict[str, set[str]] = {}
    files: dict[str, set[str]] = {}
    for source in project_files(".c", ".h"):
        name = relative(source)
        here = longest(name, may)
        if here is None:
            if name.startswith("src/"):
                yield f"{name}: its folder is not in deps.toml"
            continue
        text = source.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start(1)) + 1
            target = resolve(source, match[1], match[2])
            if target is None:
                if problem := system_header(match[2], here, rules):
                    yield f"{name}:{line}: {problem}"
                continue
            there = longest(relative(target), may)
            if there not in may[here]:
                yield f"{name}:{line}: {here} may not include {relative(target)}"
            files.setdefault(name, set()).add(relative(target))
            if there is not None and there != here:
                folders.setdefault(here, set()).add(there)
    for circle in circles(folders):
        yield f"folders include each other in a circle: {circle}"
    for circle in circles(files):
        yield f"files include each other in a circle: {circle}"


def mirror_rule() -> Iterator[str]:
    """Every source that should have a test of its name and has none."""
    for folder, tests in table("deps.toml")["mirror"].items():
        for source in project_files(".c"):
            if source.parent == ROOT / folder:
                test = ROOT / tests / f"test_{source.name}"
                if not test.is_file():
                    yield f"{relative(source)}: there is no {relative(test)}"


def listed_rule() -> Iterator[str]:
    """Every C file that no meson.build beside it names."""
    for folder in table("deps.toml")["listed"]["folders"]:
        build = ROOT / folder / "meson.build"
        text = build.read_text(encoding="utf-8") if build.is_file() else ""
        for source in project_files(".c"):
            if source.parent == ROOT / folder and f"'{source.name}'" not in text:
                yield f"{relative(source)}: not in {relative(build)}"
