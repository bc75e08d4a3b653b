"""Interpreters with a GIL of their own, under the names that 3.12, 3.13, 3.14 have."""

from __future__ import annotations

import sys
import threading
from typing import Any

if sys.version_info >= (3, 13):
    import _interpreters  # type: ignore[import-not-found]

    def create() -> Any:
        """A new interpreter, isolated: own GIL, no daemon threads, no fork."""
        return _interpreters.create("isolated", reqrefs=False)

    def execute(interpreter: Any, code: str) -> None:
        """Run code in it, in this thread.

        Raises:
            RuntimeError: the code raised something.
        """
        failure = _interpreters.exec(interpreter, code)
        if failure is not None:
            raise RuntimeError(failure.errdisplay)

else:
    import _xxsubinterpreters as _interpreters  # type: ignore[import-not-found]

    def create() -> Any:
        """A new interpreter, isolated: own GIL, no daemon threads, no fork.

        3.12.1 hangs in `destroy` if another thread was first to import threading here.
        """
        interpreter = _interpreters.create(isolated=True)
        execute(interpreter, "import threading")
        return interpreter

    def execute(interpreter: Any, code: str) -> None:
        """Run code in it, in this thread; raises RunFailedError if it raised."""
        _interpreters.run_string(interpreter, code)


destroy = _interpreters.destroy


def execute_together(codes: dict[Any, str]) -> None:
    """Run each code in its interpreter, all at once, each in a thread of its own."""
    failures: list[BaseException] = []

    def run(interpreter: Any, code: str) -> None:
        try:
            execute(interpreter, code)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=item) for item in codes.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def end_together(codes: dict[Any, str]) -> None:
    """The same, and then the interpreters are destroyed.

    CPython hangs or aborts at its own end when one is left that has threads.
    """
    execute_together(codes)
    for interpreter in codes:
        destroy(interpreter)
