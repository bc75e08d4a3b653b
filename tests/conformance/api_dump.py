"""Prints, as JSON, what can be asked of each public name of Trio, or of ctrio.

    python tests/conformance/api_dump.py trio|ctrio

A program of its own, because one process holds one of them. `test_api.py` compares.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Any

import api_objects

MODULES = ("", ".abc", ".from_thread", ".lowlevel", ".testing", ".to_thread")
SPECIAL = """
    __aenter__ __aexit__ __aiter__ __anext__ __await__ __bool__ __bytes__ __call__
    __contains__ __delitem__ __enter__ __eq__ __exit__ __getattr__ __getitem__ __iter__
    __len__ __lt__ __next__ __setattr__ __setitem__ __str__
"""
"""Methods that are part of an interface, where a class has its own."""

Facts = dict[str, Any]


def own_name(module: object) -> str | None:
    """A module's name as users of Trio know it; None if it is nobody's of theirs."""
    name = str(module).removeprefix("c")
    return name if name.partition(".")[0] == "trio" else None


def parameters(function: Any) -> list[str] | None:
    """A signature without its annotations, which builtins cannot have."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    shown = []
    for parameter in signature.parameters.values():
        bare = parameter.replace(annotation=parameter.empty)
        default = bare.default
        if default is ... or (default is not bare.empty and repr(default)[0] == "<"):
            bare = bare.replace(default=...)  # private: only that there is one
        shown.append(f"{bare.kind.name.lower()} {bare}")
    return shown


def can_be_subclassed(cls: type) -> bool:
    """Try it."""
    try:
        types.new_class("Sub", (cls,))
    except TypeError:
        return False
    return True


def facts_of_function(function: Any) -> Facts:
    """What is asked about anything that can be called."""
    module = own_name(getattr(function, "__module__", None))
    return {
        "async": inspect.iscoroutinefunction(function),
        "async generator": inspect.isasyncgenfunction(function),
        "where": module and f"{module}.{function.__qualname__}",
        "name": getattr(function, "__name__", None),
        "parameters": parameters(function),
    }


def facts_of_class(cls: type, public: dict[str, type]) -> Facts:
    """What is asked about a class itself."""
    others = [name for name, other in public.items() if issubclass(cls, other)]
    builtin = [base.__name__ for base in cls.__mro__ if base.__module__ == "builtins"]
    return {
        "can be subclassed": can_be_subclassed(cls),
        "where": f"{own_name(cls.__module__)}.{cls.__qualname__}",
        "parameters": parameters(cls),
        "is a": others + builtin,
        "subscriptable": hasattr(cls, "__class_getitem__"),
        "abstract": sorted(getattr(cls, "__abstractmethods__", ())),
    }


def facts_of_member(raw: Any, bound: Any) -> Facts:
    """What is asked about what a class has.

    Args:
        raw: As it lies in the class.
        bound: As the class gives it.
    """
    if isinstance(raw, (classmethod, staticmethod)):
        return {"kind": type(raw).__name__, **facts_of_function(bound)}
    if callable(bound):
        found = facts_of_function(bound)
        if found["parameters"] is not None:
            del found["parameters"][:1]  # self: positional only, in a builtin
        return {"kind": "method", **found}
    return {"kind": "attribute" if inspect.isdatadescriptor(raw) else "constant"}


def members(cls: type) -> Iterator[tuple[str, Facts]]:
    """All public members, and those special methods that are not object's."""
    for name in dir(cls):
        raw = inspect.getattr_static(cls, name)
        if name in SPECIAL.split():
            if raw is inspect.getattr_static(object, name, None):
                continue
        elif name.startswith("_"):
            continue
        found = facts_of_member(raw, getattr(cls, name))
        if name not in SPECIAL.split():
            found["documented"] = bool(inspect.getdoc(getattr(cls, name)))
        yield name, found


def facts(
    name: str, value: Any, public: dict[str, type]
) -> Iterator[tuple[str, Facts]]:
    """All about a public name, and about the members of a class."""
    if isinstance(value, types.ModuleType):
        yield name, {"kind": "module", "documented": bool(value.__doc__)}
    elif isinstance(value, type):
        kind = "enum" if issubclass(value, enum.Enum) else "class"
        found = facts_of_class(value, public)
        yield name, {"kind": kind, **found, "documented": bool(value.__doc__)}
        for member, found in members(value):
            yield f"{name}.{member}", found
    elif callable(value):
        documented = bool(inspect.getdoc(value))
        found = facts_of_function(value)
        yield name, {"kind": "function", **found, "documented": documented}
    else:
        yield name, {"kind": "object", "repr": repr(value)}


def public_objects(package: str) -> Iterator[tuple[str, Any]]:
    """All that is neither private nor an accident of a module's own imports."""
    for suffix in MODULES:
        module = importlib.import_module(package + suffix)
        deprecated = {"Matcher", "RaisesGroup"} if suffix == ".testing" else set()
        for name in sorted({*dir(module), *deprecated}):
            if not name.startswith("_") and name != "annotations":
                yield f"trio{suffix}.{name}", getattr(module, name)


def main() -> None:
    """Write the tables of the package that is named on the command line."""
    warnings.simplefilter("ignore")
    objects = dict(public_objects(sys.argv[1]))
    classes = {name: cls for name, cls in objects.items() if isinstance(cls, type)}
    del classes["trio.TaskStatus"]  # a protocol, which refuses to be asked
    names: dict[str, Facts] = {}
    for name, value in objects.items():
        names.update(facts(name, value, classes))
    made = api_objects.table(importlib.import_module(sys.argv[1]))
    json.dump({"names": names, "objects": made}, sys.stdout)


if __name__ == "__main__":
    main()
