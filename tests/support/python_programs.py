"""What runs the Python programs of examples/.

By default that is `python -m ctrio`. `CTRIO_TEST_RUNNER` names another command, so
that the same tests judge real trio:

    CTRIO_TEST_RUNNER="python" pytest tests/examples
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys

import pytest


def runner() -> list[str]:
    command = os.environ.get("CTRIO_TEST_RUNNER")
    if command:
        return shlex.split(command)
    if importlib.util.find_spec("ctrio") is None:
        pytest.skip("ctrio is not installed and CTRIO_TEST_RUNNER not set")
    return [sys.executable, "-m", "ctrio"]
