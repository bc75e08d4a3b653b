"""The limits of length: 600 lines a file, 70 a function, in C and in Python.

C functions are found by the layout that clang-format gives them: a body's braces stand
alone in the first column, and nothing else's opening brace does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from sources import project_files, relative, table


def c_functions(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length of each function of a C file."""
    start = None
    for index, line in enumerate(lines):
        if line == "{":
            start = index
            while start > 0 and is_signature(lines[start - 1]):
                start -= 1
        elif line == "}" and start is not None:
            head = " ".join(lines[start : start + 2]).split("(")[0].split()
            yield (head[-1].strip("*") if head else "?"), start + 1, index - start + 1
            start = None


def is_signature(line: str) -> bool:
    """Whether a line above a body still belongs to the function's head."""
    text = line.rstrip()
    return bool(text) and not text.endswith((";", "*/", "}")) and text[0] not in "#/*"


def python_functions(text: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length of each function of a Python file."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            last = node.end_lineno or node.lineno
            yield node.name, node.lineno, last - node.lineno + 1


def functions(path: Path, text: str) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length of each function of a file."""
    if path.suffix == ".py":
        yield from python_functions(text)
    else:
        yield from c_functions(text.splitlines())


def size_rule() -> Iterator[str]:
    """Every file and every function that is too long."""
    limits = table("deps.toml")["limits"]
    for path in project_files(".c", ".h", ".py"):
        name = relative(path)
        if name in limits["tables"]:
            continue
        text = path.read_text(encoding="utf-8")
        count = len(text.splitlines())
        if count > limits["file_lines"]:
            yield f"{name}: {count} lines, {limits['file_lines']} at most"
        for function, line, length in functions(path, text):
            if length > limits["function_lines"]:
                most = limits["function_lines"]
                yield f"{name}:{line}: {function} has {length} lines, {most} at most"
