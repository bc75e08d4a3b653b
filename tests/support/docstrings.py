"""Every public name of ctrio, and what its docstring says of what it takes."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator

MODULES = ["", ".abc", ".from_thread", ".lowlevel", ".socket", ".testing", ".to_thread"]
ENTERED = ("__enter__", "__exit__", "__aenter__", "__aexit__")
ENTRY = re.compile(r"^    (\w+): \S", re.MULTILINE)


def public_names(package: str) -> dict[str, object]:
    """Every public name of ctrio or trio, members of classes included.

    Args:
        package: Which of them; the names begin with `trio` in any case.
    """
    found: dict[str, object] = {}
    for suffix in MODULES:
        module = importlib.import_module(f"{package}{suffix}")
        found[f"trio{suffix}"] = module
        for name in dir(module):
            value = getattr(module, name)
            ours = str(getattr(value, "__module__", None)).startswith("trio")
            if ours and not name.startswith("_"):
                found[f"trio{suffix}.{name}"] = value
                found.update(members(f"trio{suffix}.{name}", value))
    return found


def members(path: str, owner: object) -> Iterator[tuple[str, object]]:
    """What a class itself has that its users may use, or see `help()` tell."""
    if not inspect.isclass(owner):
        return
    for name, member in vars(owner).items():
        if not name.startswith("_") or name in ENTERED:
            yield f"{path}.{name}", member


def docstring(value: object) -> str:
    """The docstring of an object, not one that it inherits; empty if there is none."""
    return inspect.cleandoc(getattr(value, "__doc__", None) or "")


def parameters(value: object) -> list[str]:
    """The names of what a public callable takes, without `self`.

    Exceptions take any text, an enumeration's class a value, and what refuses to be
    made takes nothing.
    """
    if not callable(value) or getattr(value, "__name__", "") in ENTERED:
        return []
    if inspect.isclass(value) and issubclass(value, BaseException):
        return []
    if type(value).__name__ in ("EnumMeta", "EnumType"):
        return []
    try:
        signature = inspect.signature(value)
    except ValueError:  # a class of the core without a constructor
        return []
    return [name for name in signature.parameters if name != "self"]


def described(text: str, section: str) -> list[str]:
    """What a section of a docstring describes, in order."""
    found = re.search(rf"^{section}:\n((?:    .*\n|\n)*)", text + "\n", re.MULTILINE)
    return ENTRY.findall(found[1]) if found else []
