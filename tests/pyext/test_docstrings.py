"""Every public name says what it is, and everything that it takes."""

from __future__ import annotations

import enum
import inspect
import pydoc
import re
from types import ModuleType

from docstrings import described, docstring, parameters, public_names

NAMES = public_names("ctrio")
SECTIONS = ["Args", "Attributes", "Returns", "Yields", "Raises"]


def is_told_by_its_class(name: str) -> bool:
    """Whether a class lists an attribute that cannot have a docstring of its own."""
    owner, _, attribute = name.rpartition(".")
    return attribute in described(docstring(NAMES[owner]), "Attributes")


def test_it_has_a_docstring_that_begins_with_a_sentence() -> None:
    begins = re.compile(r"[A-Z`][^\n]*\.(\n\n|$)")
    bad = [
        name
        for name, value in NAMES.items()
        if not begins.match(docstring(value))
        and not (inspect.ismemberdescriptor(value) and is_told_by_its_class(name))
    ]
    assert bad == []
    assert len(NAMES) > 350


def test_it_describes_all_that_it_takes_in_order() -> None:
    nothing_of_use = ["args", "kwargs"]  # Of classes without a public constructor.
    takes = {
        name: value
        for name, value in NAMES.items()
        if parameters(value)
        and not (inspect.isclass(value) and parameters(value) == nothing_of_use)
    }
    for name, value in takes.items():
        told = described(docstring(value), "Args")
        if inspect.isclass(value) and not told:
            told = described(docstring(value), "Attributes")
        assert told == parameters(value), name
    assert len(takes) > 120


def test_its_sections_are_those_of_google_style_in_order() -> None:
    for name, value in NAMES.items():
        found = re.findall(r"^(\w+):$", docstring(value), re.MULTILINE)
        assert set(found) <= set(SECTIONS), name
        assert found == sorted(set(found), key=SECTIONS.index), name


def test_its_lines_fit_a_terminal() -> None:
    for name, value in NAMES.items():
        assert all(len(line) <= 92 for line in docstring(value).splitlines()), name


def test_help_renders_it() -> None:
    for name, value in NAMES.items():
        text = docstring(value)
        if isinstance(value, (ModuleType, enum.Enum)):  # they have a page of their own
            text = text.split("\n")[0]
        rendered = pydoc.render_doc(value, renderer=pydoc.plaintext)
        assert squeezed(text) in squeezed(rendered), name


def squeezed(text: str) -> str:
    """A text without the indents and bars that `help()` puts in."""
    return re.sub(r"[\s|]+", " ", text)


class Example:
    """What the rules are tried on."""

    def good(self, a: int, *b: int) -> None:
        """Do it.

        Args:
            a: How
                often: once.
            b: More.

        Raises:
            ValueError: It is negative.
        """


def test_what_a_docstring_describes_is_found() -> None:
    text = docstring(Example.good)
    assert described(text, "Args") == ["a", "b"] == parameters(Example.good)
    assert described(text, "Raises") == ["ValueError"]
    assert described(text, "Returns") == []
