"""The include rule: who may include whom, system headers at home, no circles.

Also that tests stand beside the sources and that every source is in its Meson list.
The tables are in deps.toml.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sources import ROOT, expand, matches, project_files, relative, table

# C's ways to say it: with %: for #, after a comment, by an extension of a compiler.
DIRECTIVE = re.compile(
    r"^\s*(?:/\*.*?\*/\s*)*(?:#|%:)\s*(?:include|include_next|import)\b[ \t]*(.*)", re.M
)
NAMED = re.compile(r'([<"])([^>"]+)[>"]')
SEARCH = ("include", "src", "tests", "tests/support", ".")
SUFFIXES = (".c", ".h", ".inc", ".S")


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


def system_header(
    header: str, here: str, native: bool, rules: dict[str, Any]
) -> str | None:
    """What is wrong with including a system header from this folder, or None."""
    if not native:
        allowed = rules["system_headers"].get(here)
        if allowed is None and here.startswith("src/"):
            return f"{here} is not among the system_headers of deps.toml"
        if allowed is not None and not matches(header, expand(allowed, rules)):
            return f"<{header}> is not among the headers {here} may include"
    for pattern, homes in rules["only_in"].items():
        if fnmatch.fnmatchcase(header, pattern) and here not in homes:
            return f"<{header}> belongs in {', '.join(homes) or 'no folder'}"
    return None


def includes(text: str) -> Iterator[tuple[int, str, str]]:
    """Each include of a source: line, mark and name; no mark for a macro."""
    for match in DIRECTIVE.finditer(text):
        line = text.count("\n", 0, match.start(1)) + 1
        named = NAMED.match(match[1])
        yield (line, named[1], named[2]) if named else (line, "", match[1].strip())


def include_rule() -> Iterator[str]:
    """Every include that the tables forbid, and every circle."""
    rules = table("deps.toml")
    native = table("symbols.toml")["native"]
    may = rules["may_include"]
    folders: dict[str, set[str]] = {}
    files: dict[str, set[str]] = {}
    for source in project_files(*SUFFIXES):
        name = relative(source)
        here = longest(name, may)
        if here is None:
            if name.startswith("src/"):
                yield f"{name}: its folder is not in deps.toml"
            continue
        for line, mark, target_name in includes(source.read_text(encoding="utf-8")):
            if not mark:
                yield f"{name}:{line}: an include has to name its file: {target_name}"
                continue
            target = resolve(source, mark, target_name)
            if target is None:
                is_native = matches(name, native)
                if problem := system_header(target_name, here, is_native, rules):
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
