"""Puts ctrio in place of trio, for everybody in this process.

`sys.modules` gets the package and each submodule a second time, under Trio's names:
the same module objects, so that there is one class of each name and `isinstance`
holds. A finder in front of all others does it for submodules that are imported later.
What is installed as the distribution `trio`, for `importlib.metadata`, is left alone.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_OURS = __name__.partition(".")[0]


class _Alias:
    """Finds and loads `trio.x` by importing ours of that name."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find one of Trio's modules; None if it is none, or we have no such."""
        name = _our_name(fullname)
        if name is None:
            return None
        from importlib.machinery import ModuleSpec
        from importlib.util import find_spec

        if find_spec(name) is None:
            return None
        loader: Any = self  # it need not inherit from anything
        return ModuleSpec(fullname, loader, is_package=False)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module itself."""
        name = _our_name(spec.name)
        assert name is not None
        module = import_module(name)
        # The import system will now write `spec` into the module.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module, which has long been executed, its own spec back."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def _our_name(fullname: str) -> str | None:
    if fullname == "trio" or fullname.startswith("trio."):
        return _OURS + fullname.removeprefix("trio")
    return None


def install() -> None:
    """Let `import trio` mean ctrio from now on, its private modules included.

    Doing it again does nothing.

    Raises:
        RuntimeError: The real trio has been imported already.
    """
    ours = sys.modules[_OURS]
    there = sys.modules.get("trio")
    if there is ours:
        return
    if there is not None:
        where = getattr(there, "__file__", None) or repr(there)
        raise RuntimeError(
            f"trio has already been imported from {where}: call ctrio.install() "
            "before anything that imports trio, or run the program with "
            "'python -m ctrio'"
        )
    for name, module in list(sys.modules.items()):
        if name == _OURS or name.startswith(_OURS + "."):
            sys.modules["trio" + name.removeprefix(_OURS)] = module
    sys.meta_path.insert(0, _Alias())
