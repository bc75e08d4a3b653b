"""Tells stackscope what a coroutine of the core is.

It calls `_stackscope_install_glue_` of every module that has one. Such a coroutine has
no frame that ever ran. stackscope gets one of the function's stub, since it hides and
cuts frames by the code object; it shows the line where the stub waits, or else begins.
"""

from __future__ import annotations

from importlib import import_module

from ._util import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any


def _frame_of(code: CodeType) -> FrameType:
    """A frame of this async function in which nothing has run yet."""
    from types import FunctionType

    names = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    coro = FunctionType(code, {})(*[None] * code.co_argcount, **dict.fromkeys(names))
    frame: FrameType = coro.cr_frame
    coro.close()
    return frame


def _stackscope_install_glue_() -> None:
    """Let stackscope see through the core's coroutines."""
    from ._ctrio import coroutine_types

    stackscope: Any = import_module("stackscope")

    class StubFrame(stackscope.Frame):  # type: ignore[misc]
        """Knows its class, which stackscope would ask of a local variable."""

        clsname = None

    def unwrap(coro: Any) -> Any:
        if coro.cr_frame is None:
            return ()
        code: CodeType = coro.cr_code
        lines = [line for _, _, line in code.co_lines() if line is not None]
        frame = StubFrame(pyframe=_frame_of(code), lineno=max(lines))
        frame.clsname = coro.__qualname__.rpartition(".")[0] or None
        return frame

    for kind in coroutine_types:
        stackscope.unwrap_stackitem.register(kind, unwrap)
