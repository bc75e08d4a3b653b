"""Rule 8 of simulation, its Python half: a thread of ours sleeps in a cell of the core.

Whatever else can put a thread to sleep, or tells the time, is denied to the package;
the table in symbols.toml says where which of it is right all the same.
"""

from __future__ import annotations

import ast
import fnmatch
from collections.abc import Iterator

from sources import project_files, relative, table


def used_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every name of another module that a file uses, as `module.name`, and its line."""
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                top = name.name.partition(".")[0]
                modules[name.asname or top] = name.name if name.asname else top
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for name in node.names:
                yield node.lineno, f"{node.module}.{name.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module is not None:
                yield node.lineno, f"{module}.{node.attr}"


def sleep_rule() -> Iterator[str]:
    """Every use of what sleeps or tells the time, and every exception without one."""
    rules = table("symbols.toml")["python"]
    left = {name: set(names) for name, names in rules["allow"].items()}
    for path in project_files(".py"):
        name = relative(path)
        if not name.startswith("python/"):
            continue
        for line, used in used_names(ast.parse(path.read_text(encoding="utf-8"))):
            if not any(fnmatch.fnmatchcase(used, deny) for deny in rules["deny"]):
                continue
            if used in rules["allow"].get(name, ()):
                left[name].discard(used)
            else:
                yield f"{name}:{line}: may not use {used}"
    for name, names in left.items():
        for used in sorted(names):
            yield f"symbols.toml: {name} does not use {used}"
