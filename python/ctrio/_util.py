"""Small helpers that several modules share, under the names that dependents import.

Nothing here may import `typing` or `inspect`: this module is part of `import ctrio`,
and both together would take as long as the rest of it.
"""

from __future__ import annotations

import signal
import sys
import types
from abc import ABCMeta
from collections.abc import Coroutine, Generator
from functools import wraps as wraps  # re-exported: dependents take it from here
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any, NoReturn, TypeVar, final as final, overload as overload

    from typing_extensions import TypeVarTuple, Unpack

    if sys.version_info < (3, 11):
        from exceptiongroup import BaseExceptionGroup

    T = TypeVar("T")
    RetT = TypeVar("RetT")
    PosArgsT = TypeVarTuple("PosArgsT")


class InOrder(dict["T", None]):
    """A set that is walked in the order in which its members came.

    A set's own order is that of hashes, which for most objects are addresses: no two
    runs would have the same.
    """

    def add(self, member: T) -> None:
        self[member] = None

    def remove(self, member: T) -> None:
        del self[member]


def is_main_thread() -> bool:
    """Tell whether this thread may handle signals.

    `threading.main_thread()` can be fooled, by programs that edit the table of
    threads; setting a signal handler cannot.
    """
    try:
        signal.signal(signal.SIGINT, signal.getsignal(signal.SIGINT))
    except (TypeError, ValueError):  # TypeError: a handler that was set in C
        return False
    return True


def coroutine_or_error(
    async_fn: Callable[[Unpack[PosArgsT]], Awaitable[RetT]],
    *args: Unpack[PosArgsT],
) -> Coroutine[object, NoReturn, RetT]:
    """Call an async function and return its coroutine.

    Args:
        async_fn: What somebody wants to run as a task.
        args: Its arguments.

    Raises:
        TypeError: It is none, with a hint at what it is instead.
    """
    # Only who has imported sniffio can ask it, inside `async_fn`, where we are.
    sniffio: Any = sys.modules.get("sniffio")
    if sniffio is None:
        coro = _call_for_coroutine(async_fn, args)
    else:
        local = sniffio.thread_local
        outside, local.name = local.name, "trio"
        try:
            coro = _call_for_coroutine(async_fn, args)
        finally:
            local.name = outside
    if type(coro) is types.CoroutineType or isinstance(coro, Coroutine):
        return coro
    raise TypeError(_why_not_a_coroutine(async_fn, coro))


def _call_for_coroutine(async_fn: Any, args: tuple[object, ...]) -> Any:
    try:
        return async_fn(*args)
    except TypeError:
        if isinstance(async_fn, Coroutine):
            async_fn.close()  # or it would also complain that nobody awaited it
            name = getattr(async_fn, "__name__", "async_fn")
            raise TypeError(
                "Trio was expecting an async function, but instead it got "
                f"a coroutine object {async_fn!r}\n\n"
                "Probably you did something like:\n\n"
                f"  trio.run({name}(...))            # incorrect!\n"
                f"  nursery.start_soon({name}(...))  # incorrect!\n\n"
                "Instead, you want (notice the parentheses!):\n\n"
                f"  trio.run({name}, ...)            # correct!\n"
                f"  nursery.start_soon({name}, ...)  # correct!",
            ) from None
        if _is_of_another_library(async_fn):
            raise TypeError(
                "Trio was expecting an async function, but instead it got "
                f"{async_fn!r} – are you trying to use a library written for "  # noqa: RUF001
                "asyncio/twisted/tornado or similar? That won't work "
                "without some sort of compatibility shim.",
            ) from None
        raise


def _is_of_another_library(value: object) -> bool:
    """Guess whether a value is what other event loops have for a coroutine."""
    return (
        isinstance(value, Generator)  # what @asyncio.coroutine functions return
        or getattr(value, "_asyncio_future_blocking", None) is not None
        or value.__class__.__name__ in ("Future", "Deferred")  # tornado, twisted
    )


def _why_not_a_coroutine(async_fn: object, value: object) -> str:
    if _is_of_another_library(value):
        return (
            f"Trio got unexpected {value!r} – are you trying to use a "  # noqa: RUF001
            "library written for asyncio/twisted/tornado or similar? "
            "That won't work without some sort of compatibility shim."
        )
    if isinstance(value, types.AsyncGeneratorType):
        return (
            "start_soon expected an async function but got an async "
            f"generator {value!r}"
        )
    name = getattr(async_fn, "__qualname__", async_fn)
    return f"Trio expected an async function, but {name!r} appears to be synchronous"


class ConflictDetector:
    """A lock that nobody ever waits for: being taken already is the user's mistake.

    Args:
        msg: The text of the BusyResourceError for the second comer.
    """

    def __init__(self, msg: str) -> None:
        self._msg = msg
        self._held = False

    def __enter__(self) -> None:
        if self._held:
            from ._core import BusyResourceError

            raise BusyResourceError(self._msg)
        self._held = True

    def __exit__(self, *exc_info: object) -> None:
        self._held = False


def fixup_module_metadata(module_name: str, namespace: Mapping[str, object]) -> None:
    """Make public objects say that they live where users find them.

    Tracebacks, pickle and documentation show `__module__`; ours is always a name
    below `trio`, whatever the package is imported as.

    Args:
        module_name: The public module, as users of Trio know it.
        namespace: What it contains; private names are left alone.
    """
    seen: set[int] = set()

    def fix(obj: Any, name: str, qualname: str) -> None:
        if id(obj) in seen:  # a class may contain itself
            return
        seen.add(id(obj))
        module = getattr(obj, "__module__", None)
        if module is None or not module.startswith(("ctrio", "trio.")):
            return
        if module == module_name:  # made in C, right from the start
            return
        obj.__module__ = module_name
        # A module has its full path in __name__, which stays.
        # Functions made in C have the right names, which cannot be assigned.
        if hasattr(obj, "__name__") and "." not in obj.__name__:
            if obj.__name__ != name:
                obj.__name__ = name
            if getattr(obj, "__qualname__", qualname) != qualname:
                obj.__qualname__ = qualname
        if isinstance(obj, type):
            for member_name, member in obj.__dict__.items():
                fix(member, member_name, f"{name}.{member_name}")

    for name, obj in namespace.items():
        if not name.startswith("_"):
            fix(obj, name, name)


def import_later(
    module: str, origins: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Let a module have names that are imported when somebody first asks for them.

    Args:
        module: The module's `__name__`.
        origins: The names, and the modules where they really are.

    Returns:
        The module's `__getattr__` and `__dir__`.
    """

    def __getattr__(name: str) -> Any:
        origin = origins.get(name)
        if origin is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = getattr(import_module(origin), name)
        setattr(sys.modules[module], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[module]), *origins})

    return __getattr__, __dir__


def _refuse_to_be_subclassed(cls: type[object]) -> NoReturn:
    raise TypeError(f"{cls.__module__}.{cls.__qualname__} does not support subclassing")


if not TYPE_CHECKING:

    def overload(fn):
        """Do nothing: what type checkers read needs no table at run time."""
        return fn

    def final(cls):
        """Forbid to subclass a class, at run time and not only for type checkers."""
        cls.__init_subclass__ = classmethod(_refuse_to_be_subclassed)
        cls.__final__ = True
        return cls


@final
class NoPublicConstructor(ABCMeta):
    """Metaclass of classes that users get instances of but must not make them."""

    def __call__(cls, *args: object, **kwargs: object) -> NoReturn:
        """Refuse.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            f"{cls.__module__}.{cls.__qualname__} has no public constructor"
        )

    def _create(cls: type[T], *args: object, **kwargs: object) -> T:
        """Make an instance; for this package only."""
        return super().__call__(*args, **kwargs)  # type: ignore[misc,no-any-return]


def name_asyncgen(agen: types.AsyncGeneratorType[object, NoReturn]) -> str:
    """Return the qualified name of the function that an async generator comes from."""
    if not hasattr(agen, "ag_code"):  # compiled by Cython
        return repr(agen)
    # A generator that has ended has no frame, and exec() may leave no __name__.
    frame: types.FrameType | None = agen.ag_frame
    module = None if frame is None else frame.f_globals.get("__name__")
    if module is None:
        module = f"<{agen.ag_code.co_filename}>"
    return f"{module}.{getattr(agen, '__qualname__', agen.ag_code.co_name)}"


def raise_saving_context(exc: BaseException) -> NoReturn:
    """Raise an exception that keeps the `__context__` it has.

    A plain `raise` makes it the exception that is being handled just now.
    """
    __tracebackhide__ = True
    context = exc.__context__
    try:
        raise exc
    finally:
        exc.__context__ = context
        del exc, context  # a frame in its own exception's traceback is a cycle


class MultipleExceptionError(Exception):
    """A group was to be unwrapped to its one error, and has several."""


def raise_single_exception_from_group(
    eg: BaseExceptionGroup[BaseException],
) -> NoReturn:
    """Raise the one error that a group is about, without the group.

    A single level is unwrapped. Cancellations count only if there is nothing else;
    KeyboardInterrupt and SystemExit win over everything, with the group as cause.

    Args:
        eg: The group; its own cause and context are dropped.

    Raises:
        MultipleExceptionError: It holds several errors.
    """
    from ._core import Cancelled

    first_cancelled: BaseException | None = None
    errors: list[BaseException] = []
    for exc in eg.exceptions:
        if isinstance(exc, (KeyboardInterrupt, SystemExit)):
            raise type(exc)(*exc.args) from eg
        if not isinstance(exc, Cancelled):
            errors.append(exc)
        elif first_cancelled is None:
            first_cancelled = exc
    if len(errors) > 1:
        raise MultipleExceptionError(
            "Attempted to unwrap exceptiongroup with multiple non-cancelled "
            "exceptions. This is often caused by a bug in the caller."
        ) from eg
    if errors:
        raise_saving_context(errors[0])
    assert first_cancelled is not None, "a group is never empty"
    raise_saving_context(first_cancelled)
