"""The docstrings of ctrio are its own: none repeats a passage out of Trio's."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from docstrings import docstring, public_names
from layout import obtain_wheel, wheel_files

PACKAGE = Path(__file__).parents[2] / "python/ctrio"
PASSAGE = 8
"""So many words in a row are no chance; names of arguments and errors are fewer."""

Passage = tuple[str, ...]


def passages(text: str) -> Iterator[Passage]:
    """Every run of so many words of a text, in small letters."""
    words = re.findall(r"\w+", text.lower())
    for start in range(len(words) - PASSAGE + 1):
        yield tuple(words[start : start + PASSAGE])


def docstrings_of(source: str) -> Iterator[str]:
    """Every docstring in the source of a module."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield text


def trios() -> Iterator[str]:
    """Every docstring of Trio, its tests' apart."""
    for path, content in wheel_files(obtain_wheel()):
        if path.endswith(".py") and "_tests" not in path:
            yield from docstrings_of(content.decode())


def ours() -> Iterator[str]:
    """Every docstring that a user of ctrio sees, and those of its private modules."""
    yield from map(docstring, public_names("ctrio").values())
    for path in PACKAGE.rglob("*.py"):
        yield from docstrings_of(path.read_text())


def shared(texts: Iterable[str], with_texts: Iterable[str]) -> set[str]:
    """The passages that are in both."""
    theirs = {passage for text in with_texts for passage in passages(text)}
    found = {passage for text in texts for passage in passages(text)}
    return {" ".join(passage) for passage in found & theirs}


@pytest.fixture(scope="module")
def of_trio() -> list[str]:
    return list(trios())


def test_no_docstring_repeats_a_passage_of_trios(of_trio: list[str]) -> None:
    assert len(of_trio) > 400
    assert shared(ours(), of_trio) == set()


def test_a_passage_of_trios_would_be_found(of_trio: list[str]) -> None:
    longest = max(of_trio, key=len)
    words = longest.split()
    assert shared([" ".join(words[20:40])], of_trio)
