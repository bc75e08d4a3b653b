"""A plugin of pytest: every test runs under `sys.settrace`.

On 3.10 and 3.11 `await` then calls other slots of our coroutines.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator

import pytest


def trace(*args: object) -> None:
    """Look at nothing: that there is a tracer is enough."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
