"""Where the private names that the bridge shows come from."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Protocol


class NotSuppliedError(LookupError):
    """The implementation has no such private name."""


class Provider(Protocol):
    """Reads and replaces private names; `module` is Trio's name of the module."""

    def get(self, module: str, name: str) -> Any: ...

    def set(self, module: str, name: str, value: object) -> None: ...

    def source_file(self, module: str) -> str: ...


class SameLayout:
    """Names out of the implementation's modules of the same names.

    Right for a renamed Trio, and for Python layers that keep Trio's file names.
    """

    def __init__(self, implementation: str) -> None:
        self._implementation = implementation

    def _module(self, module: str) -> ModuleType:
        name = self._implementation + module.removeprefix("trio")
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Only the absence of that module itself: one that is there and cannot
            # import something else is broken, and has to be seen.
            absent = error.name or ""
            if absent.startswith(self._implementation + ".") and (
                name == absent or name.startswith(absent + ".")
            ):
                raise NotSuppliedError(f"no module {absent}") from None
            raise

    def get(self, module: str, name: str) -> Any:
        """Return the object of that name.

        Raises:
            NotSuppliedError: There is no such module, or it has no such name.
        """
        found = self._module(module)
        try:
            return getattr(found, name)
        except AttributeError:
            raise NotSuppliedError(f"{found.__name__} has no {name}") from None

    def set(self, module: str, name: str, value: object) -> None:
        """Replace a name that exists, for everybody who looks it up there.

        Raises:
            NotSuppliedError: There is nothing to replace.
        """
        self.get(module, name)
        setattr(self._module(module), name, value)

    def source_file(self, module: str) -> str:
        """Return the path of the implementation's source of a module.

        Raises:
            NotSuppliedError: There is no such module, or it has no source.
        """
        found = self._module(module)
        path = getattr(found, "__file__", None)
        if path is None or not path.endswith(".py"):
            raise NotSuppliedError(f"{found.__name__} has no Python source")
        return str(path)


class ModuleProvider(SameLayout):
    """Names out of one module that the implementation ships for this purpose.

    The module has `PRIVATE`, a mapping `"trio._core._run:_r"` -> object, and may
    have `GETTERS` (key -> function without arguments) for what is not the same
    object all the time, and `SETTERS` (key -> function of the new value) for what
    tests replace. What it lacks is looked up by the rule of the same layout.
    """

    def __init__(self, implementation: str, module: ModuleType) -> None:
        super().__init__(implementation)
        self._private: Mapping[str, Any] = module.PRIVATE
        self._getters: Mapping[str, Callable[[], Any]] = getattr(module, "GETTERS", {})
        self._setters: Mapping[str, Callable[[Any], object]] = getattr(
            module, "SETTERS", {}
        )

    def get(self, module: str, name: str) -> Any:
        """Return the object of that name, see `SameLayout.get`."""
        key = f"{module}:{name}"
        if key in self._getters:
            return self._getters[key]()
        if key in self._private:
            return self._private[key]
        return super().get(module, name)

    def set(self, module: str, name: str, value: object) -> None:
        """Replace a name, see `SameLayout.set`.

        Raises:
            NotSuppliedError: The name has no setter: replacing it would change
                nothing in the implementation, and the test would not notice.
        """
        key = f"{module}:{name}"
        if key in self._setters:
            self._setters[key](value)
        elif key in self._private or key in self._getters:
            raise NotSuppliedError(f"{key} has no setter")
        else:
            super().set(module, name, value)


def make_provider(implementation: str, provider: str) -> Provider:
    """Choose the provider.

    Args:
        implementation: Importable name of what is tested.
        provider: Name of the module for `ModuleProvider`. If empty, the module
            `_conformance` of the implementation, and the rule of the same layout
            alone if there is none.
    """
    if provider:
        return ModuleProvider(implementation, importlib.import_module(provider))
    default = f"{implementation}._conformance"
    if find_spec(default) is None:
        return SameLayout(implementation)
    return ModuleProvider(implementation, importlib.import_module(default))
