"""The modules of the synthetic package `trio`: each calls `install(__name__)`.

A public module re-exports the objects of the implementation, so that identity and
`isinstance` hold on both sides. A private module shows the names of `bridge_map`
and no others. Replacing a name goes through to the implementation or fails: a test
that replaces something must not pass because nothing happened.
"""

from __future__ import annotations

import functools
import importlib
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any, NoReturn

from conformance_bridge import settings
from conformance_bridge.bridge_map import (
    LOADED_WITH_TRIO,
    MAP,
    PUBLIC_MODULES,
    Entry,
    Kind,
)
from conformance_bridge.provider import NotSuppliedError, Provider, make_provider


@functools.cache
def _implementation() -> str:
    return settings.load()["implementation"]


@functools.cache
def _provider() -> Provider:
    return make_provider(_implementation(), settings.load()["provider"])


class AbsentNameError(Exception):
    """A test has used a private name that the implementation does not supply."""


class _Absent:
    """Stands for a private name that is not supplied: use fails, import does not.

    So a missing name costs the tests that need it, and not their whole file.
    """

    def __init__(self, what: str) -> None:
        object.__setattr__(self, "_what", what)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith(("__", "pytest")):
            raise AttributeError(name)  # pytest asks this of any name of a module
        _fail(self)

    __hash__ = object.__hash__


def _fail(absent: _Absent, *args: object, **kwargs: object) -> NoReturn:
    raise AbsentNameError(object.__getattribute__(absent, "_what"))


_REFUSED = """
    add aenter aexit aiter call contains delattr enter eq exit ge getitem gt index
    instancecheck iter le len lt mro_entries mul ne radd rmul rsub setattr setitem sub
"""
for _name in _REFUSED.split():
    setattr(_Absent, f"__{_name}__", _fail)


def _public_object(target: str) -> Any:
    """Find the target of a `PUBLIC` entry, see `bridge_map`."""
    scheme, _, path = target.rpartition(":")
    if scheme == "bridge":
        return importlib.import_module(path)
    if scheme == "core":
        for submodule in ("", ".lowlevel", ".testing"):
            module = importlib.import_module(_implementation() + submodule)
            if hasattr(module, path):
                return getattr(module, path)
        raise NotSuppliedError(f"{_implementation()} has no {path}")
    base = "" if scheme == "stdlib" else _implementation() + "."
    owner, _, name = (base + path).rpartition(".")
    try:
        return getattr(importlib.import_module(owner), name)
    except (AttributeError, ModuleNotFoundError) as error:
        raise NotSuppliedError(str(error)) from None


def _look_up(module: str, name: str, entry: Entry) -> Any:
    """Return what stands for a private name, or raise NotSuppliedError."""
    if entry.kind is Kind.PUBLIC:
        return _public_object(entry.target)
    return _provider().get(module, name)


def _show(module: str, name: str, entry: Entry) -> Any:
    try:
        return _look_up(module, name, entry)
    except NotSuppliedError as error:
        return _Absent(f"{module}:{name}, a {entry.kind.value}, is missing: {error}")


class PrivateModule(ModuleType):
    """A private module: the names in the map, read anew at each use."""

    _conformance_saved: dict[str, object]

    def __getattr__(self, name: str) -> Any:
        entries = MAP[self.__name__]
        if name == "__all__":
            return [entry for entry in entries if not entry.startswith("_")]
        if name not in entries:
            raise AttributeError(f"the bridge has no {self.__name__}.{name}")
        return _show(self.__name__, name, entries[name])

    def __setattr__(self, name: str, value: object) -> None:
        entry = MAP[self.__name__].get(name)
        if entry is None:
            super().__setattr__(name, value)
            return
        try:
            old = _look_up(self.__name__, name, entry)
            _provider().set(self.__name__, name, value)
        except NotSuppliedError as error:
            raise AttributeError(f"cannot replace {name}: {error}") from None
        self._conformance_saved.setdefault(name, old)

    def __delattr__(self, name: str) -> None:
        # pytest and unittest.mock undo a replacement by deleting the name if it was
        # not in the module's own dictionary, where none of these names ever are.
        if name not in MAP[self.__name__]:
            super().__delattr__(name)
            return
        if name not in self._conformance_saved:
            raise AttributeError(f"the bridge cannot delete {self.__name__}.{name}")
        _provider().set(self.__name__, name, self._conformance_saved.pop(name))

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *MAP[self.__name__]} - {"_conformance_saved"})


class PublicModule(ModuleType):
    """A public module: the public names of the implementation's module."""

    _conformance_target: ModuleType

    def __getattr__(self, name: str) -> Any:
        target = self.__dict__.get("_conformance_target")
        if target is None or (name.startswith("__") and name != "__all__"):
            raise AttributeError(name)
        if name == "__all__":
            return [name for name in dir(target) if not name.startswith("_")]
        entry = MAP.get(self.__name__, {}).get(name)
        if entry is not None:
            return _show(self.__name__, name, entry)
        if name.startswith("_"):
            raise AttributeError(f"the bridge has no {self.__name__}.{name}")
        return getattr(target, name)  # deprecated names and late submodules

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and not isinstance(value, ModuleType):
            setattr(self._conformance_target, name, value)
        super().__setattr__(name, value)


def _install_public(module: ModuleType) -> None:
    name = _implementation() + module.__name__.removeprefix("trio")
    try:
        target = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name or name == _implementation():
            raise
        target = ModuleType(name)  # not written yet: a module without names
    for key, value in list(vars(target).items()):
        public = not key.startswith("_") or key == "__version__"
        # Submodules come in as modules of the bridge when they are imported.
        if public and not isinstance(value, ModuleType):
            module.__dict__[key] = value
    module.__dict__["_conformance_target"] = target
    module.__class__ = PublicModule
    if module.__name__ == "trio":
        for loaded in ("abc", "from_thread", "lowlevel", "socket", "to_thread"):
            importlib.import_module(f"trio.{loaded}")
        for loaded in LOADED_WITH_TRIO:
            importlib.import_module(loaded)


def _install_private(module: ModuleType) -> None:
    if module.__name__ == "trio._file_io" and module.__spec__ is not None:
        # One test parses the source of this module, which it gets from the loader.
        try:
            source = _provider().source_file(module.__name__)
        except NotSuppliedError:
            pass
        else:
            module.__spec__.loader = SourceFileLoader(module.__name__, source)
    module.__dict__["_conformance_saved"] = {}
    module.__class__ = PrivateModule


def install(name: str) -> None:
    """Turn the module of that name, which is being imported, into a bridge."""
    module = sys.modules[name]
    if name in PUBLIC_MODULES:
        _install_public(module)
    else:
        _install_private(module)
