"""Deprecation warnings, in the words and with the helpers that Trio has."""

from __future__ import annotations

import sys
import warnings
from functools import wraps

from ._util import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import ClassVar, TypeVar

    from typing_extensions import ParamSpec

    ArgsT = ParamSpec("ArgsT")
    RetT = TypeVar("RetT")


class TrioDeprecationWarning(FutureWarning):
    """Something in the API is on its way out.

    It is a FutureWarning, because Python hides a DeprecationWarning from the people
    who run a program.
    """


def _url_for_issue(issue: int) -> str:
    return f"https://github.com/python-trio/trio/issues/{issue}"


def _stringify(thing: object) -> str:
    if hasattr(thing, "__module__") and hasattr(thing, "__qualname__"):
        return f"{thing.__module__}.{thing.__qualname__}"
    return str(thing)


def warn_deprecated(
    thing: object,
    version: str,
    *,
    issue: int | None,
    instead: object,
    stacklevel: int = 2,
    use_triodeprecationwarning: bool = False,
) -> None:
    """Warn that something is deprecated.

    Args:
        thing: An object with a qualified name, or a description.
        version: Since when.
        issue: The number of the issue that explains why.
        instead: What to use, or None if there is nothing.
        stacklevel: Whose line to name; 2 is who called the caller of this.
        use_triodeprecationwarning: Show it to users, not to developers only.
    """
    parts = [f"{_stringify(thing)} is deprecated since Trio {version}"]
    if instead is None:
        parts.append(" with no replacement")
    else:
        parts.append(f"; use {_stringify(instead)} instead")
    if issue is not None:
        parts.append(f" ({_url_for_issue(issue)})")
    category: type[Warning] = DeprecationWarning
    if use_triodeprecationwarning:
        category = TrioDeprecationWarning
    warnings.warn(category("".join(parts)), stacklevel=stacklevel + 1)


def deprecated(
    version: str,
    *,
    thing: object = None,
    issue: int | None,
    instead: object,
    use_triodeprecationwarning: bool = False,
) -> Callable[[Callable[ArgsT, RetT]], Callable[ArgsT, RetT]]:
    """Decorate a function so that calls of it warn; see `warn_deprecated`.

    Args:
        version: Since when.
        thing: What to call it; if not given, the name that it has when called.
        issue: The number of the issue that explains why.
        instead: What to use, or None if there is nothing.
        use_triodeprecationwarning: Show it to users, not to developers only.
    """

    def decorate(fn: Callable[ArgsT, RetT]) -> Callable[ArgsT, RetT]:
        @wraps(fn)
        def wrapper(*args: ArgsT.args, **kwargs: ArgsT.kwargs) -> RetT:
            warn_deprecated(
                wrapper if thing is None else thing,
                version,
                instead=instead,
                issue=issue,
                use_triodeprecationwarning=use_triodeprecationwarning,
            )
            return fn(*args, **kwargs)

        if wrapper.__doc__ is not None:
            note = _note_for_docs(version, issue, instead)
            wrapper.__doc__ = wrapper.__doc__.rstrip() + note
        return wrapper

    return decorate


def _note_for_docs(version: str, issue: int | None, instead: object) -> str:
    lines = ["", "", f".. deprecated:: {version}"]
    if instead is not None:
        lines.append(f"   Use {_stringify(instead)} instead.")
    if issue is not None:
        url = _url_for_issue(issue)
        lines.append(f"   For details, see `issue #{issue} <{url}>`__.")
    return "\n".join([*lines, "", ""])


def deprecated_alias(
    old_qualname: str,
    new_fn: Callable[ArgsT, RetT],
    version: str,
    *,
    issue: int | None,
) -> Callable[ArgsT, RetT]:
    """Give a function its old name back, with a warning.

    Args:
        old_qualname: The name, without the module.
        new_fn: What it is called now.
        version: Since when the old name is deprecated.
        issue: The number of the issue that explains why.
    """

    @deprecated(version, issue=issue, instead=new_fn)
    @wraps(new_fn, assigned=("__module__", "__annotations__"))
    def wrapper(*args: ArgsT.args, **kwargs: ArgsT.kwargs) -> RetT:
        """Deprecated alias."""
        return new_fn(*args, **kwargs)

    wrapper.__qualname__ = old_qualname
    wrapper.__name__ = old_qualname.rpartition(".")[-1]
    return wrapper


@final
class DeprecatedAttribute:
    """An attribute of a module that warns when it is read.

    Args:
        value: What reading it gives.
        version: Since when it is deprecated.
        issue: The number of the issue that explains why.
        instead: What to use; if not given, the value itself under its own name.
    """

    _not_set: ClassVar[object] = object()

    def __init__(
        self,
        value: object,
        version: str,
        issue: int | None,
        instead: object = _not_set,
    ) -> None:
        self.value = value
        self.version = version
        self.issue = issue
        self.instead = instead


def deprecate_attributes(
    module_name: str, deprecated_attributes: Mapping[str, DeprecatedAttribute]
) -> None:
    """Let a module answer for names that it no longer has.

    Args:
        module_name: A module that has been imported, or is just being.
        deprecated_attributes: Its old names.
    """

    def __getattr__(name: str) -> object:
        info = deprecated_attributes.get(name)
        if info is None:
            raise AttributeError(f"module '{module_name}' has no attribute '{name}'")
        instead = info.instead
        if instead is DeprecatedAttribute._not_set:
            instead = info.value
        # Our modules go by Trio's names.
        ours = module_name.startswith("ctrio.")
        thing = f"{module_name.removeprefix('c') if ours else module_name}.{name}"
        warn_deprecated(thing, info.version, issue=info.issue, instead=instead)
        return info.value

    sys.modules[module_name].__getattr__ = __getattr__  # type: ignore[method-assign]
