"""The private pieces of the core that Trio's own tests use, for running these.

Not for programs. Keys are Trio's module and name. What the tests replace, the core
reads from the module where it is replaced: see `_core/_run.py`.
"""

from __future__ import annotations

from ._core import _concat_tb, _parking_lot, _run, _thread_cache
from ._sync import AsyncContextManagerMixin
from ._util import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

PRIVATE: dict[str, Any] = {
    "trio._core._concat_tb:concat_tb": _concat_tb.concat_tb,
    "trio._core._parking_lot:GLOBAL_PARKING_LOT_BREAKER": (
        _parking_lot.GLOBAL_PARKING_LOT_BREAKER
    ),
    "trio._core._run:GLOBAL_RUN_CONTEXT": _run.GLOBAL_RUN_CONTEXT,
    "trio._core._run:TheIOManager": _run.TheIOManager,
    "trio._core._run:_count_context_run_tb_frames": _run._count_context_run_tb_frames,
    "trio._core._thread_cache:ThreadCache": _thread_cache.ThreadCache,
    "trio._core._thread_cache:get_os_thread_name_func": (
        _thread_cache.get_os_thread_name_func
    ),
    "trio._sync:AsyncContextManagerMixin": AsyncContextManagerMixin,
}
"""What is always the same object."""

_REPLACED: tuple[tuple[ModuleType, str], ...] = (
    (_run, "DEADLINE_HEAP_MIN_PRUNE_THRESHOLD"),
    (_run, "_ALLOW_DETERMINISTIC_SCHEDULING"),
    (_run, "_r"),
    (_run, "copy_context"),
    (_thread_cache, "IDLE_TIMEOUT"),
    (_thread_cache, "Lock"),
)


def _key(module: ModuleType, name: str) -> str:
    return f"trio{module.__name__.removeprefix('ctrio')}:{name}"


def _getter(module: ModuleType, name: str) -> Callable[[], Any]:
    return lambda: getattr(module, name)


def _setter(module: ModuleType, name: str) -> Callable[[Any], None]:
    return lambda value: setattr(module, name, value)


GETTERS = {_key(module, name): _getter(module, name) for module, name in _REPLACED}
"""How to read what tests replace."""

SETTERS = {_key(module, name): _setter(module, name) for module, name in _REPLACED}
"""How to replace it."""
