"""Hands the C core what it needs of the Python layer. Imported once, for that."""

from __future__ import annotations

from .. import _ctrio
from .._abc import Instrument
from .._deprecate import warn_deprecated
from .._util import TYPE_CHECKING, coroutine_or_error
from . import _run
from ._asyncgens import AsyncGenerators
from ._concat_tb import concat_tb
from ._exceptions import (
    BrokenResourceError,
    BusyResourceError,
    Cancelled,
    ClosedResourceError,
    EndOfChannel,
    RunFinishedError,
    TooSlowError,
    TrioInternalError,
    WouldBlock,
)
from ._traps import Abort

if TYPE_CHECKING:
    from collections.abc import Awaitable


def _warn_about_loose_groups(what: str) -> None:
    """Warn that `what`, which asks for loose exception groups, is deprecated."""
    warn_deprecated(
        what,
        version="0.25.0",
        issue=2929,
        instead=(
            "the default value of True and rewrite exception handlers to handle "
            "ExceptionGroups. See https://trio.readthedocs.io/en/stable/"
            "reference-core.html#designing-for-multiple-errors"
        ),
        use_triodeprecationwarning=True,
    )


async def _wrap_coroutine(coro: Awaitable[object]) -> object:
    """Give an awaitable without a frame (Cython's, say) a coroutine that has one."""
    return await coro


_ctrio.bind(
    Abort=Abort,
    BrokenResourceError=BrokenResourceError,
    BusyResourceError=BusyResourceError,
    Cancelled=Cancelled,
    ClosedResourceError=ClosedResourceError,
    EndOfChannel=EndOfChannel,
    Instrument=Instrument,
    MISNESTING_ADVICE=_run.MISNESTING_ADVICE,
    NONSTRICT_EXCEPTIONGROUP_NOTE=_run.NONSTRICT_EXCEPTIONGROUP_NOTE,
    RunFinishedError=RunFinishedError,
    TooSlowError=TooSlowError,
    TrioInternalError=TrioInternalError,
    WouldBlock=WouldBlock,
    asyncgens_factory=AsyncGenerators,
    concat_tb=concat_tb,
    coroutine_or_error=coroutine_or_error,
    iter_await_frames=_run.iter_await_frames,
    run_module=_run,
    warn_deprecated=_warn_about_loose_groups,
    wrap_coroutine=_wrap_coroutine,
)
