"""What is raised. The C core gets these classes when `_core` has been imported."""

from __future__ import annotations

from functools import partial

from .._ctrio import CancelledBase
from .._util import TYPE_CHECKING, NoPublicConstructor, final

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal, TypeAlias

    from typing_extensions import Self

    CancelReasonLiteral: TypeAlias = Literal[
        "KeyboardInterrupt",
        "deadline",
        "explicit",
        "nursery",
        "shutdown",
        "unknown",
    ]


class TrioInternalError(Exception):
    """The run loop is broken: a bug in here, or a misuse of `trio.lowlevel`.

    Nothing can be relied on after it.
    """


class RunFinishedError(RuntimeError):
    """The run that this was meant for has ended."""


class WouldBlock(Exception):
    """Raised by the `..._nowait` methods instead of waiting."""


@final
class Cancelled(CancelledBase, metaclass=NoPublicConstructor):
    """Raised at a checkpoint when a cancel scope around it has been cancelled.

    Let it pass: the scope catches it. It is no Exception, so that `except Exception`
    does. Nobody can raise one himself; `trio.CancelScope.cancel` is for that.

    Attributes:
        source: What kind of thing cancelled the scope.
        source_task: The task that did, as text.
        reason: In words, if somebody gave any.
    """

    __slots__ = ("__weakref__",)

    def __reduce__(self) -> tuple[Callable[[], Cancelled], tuple[()]]:
        create = partial(
            Cancelled._create,
            source=self.source,
            source_task=self.source_task,
            reason=self.reason,
        )
        return create, ()

    if TYPE_CHECKING:
        source: CancelReasonLiteral
        source_task: str | None
        reason: str | None

        @classmethod
        def _create(
            cls,
            *,
            source: CancelReasonLiteral = "unknown",
            source_task: str | None = None,
            reason: str | None = None,
        ) -> Self: ...


class BusyResourceError(Exception):
    """Another task is using this just now, and two at once would garble it."""


class ClosedResourceError(Exception):
    """This has been closed, by your own side."""


class BrokenResourceError(Exception):
    """This cannot be used any more, because of something outside.

    `__cause__` often tells what.
    """


class EndOfChannel(Exception):
    """There is nothing more to receive: everybody who could send has closed."""


class TooSlowError(Exception):
    """The time of a `trio.fail_after` or `trio.fail_at` was up."""
