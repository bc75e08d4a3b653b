"""Environments that single suites need, apart from tools/bootstrap.py for everybody."""

from __future__ import annotations

from pathlib import Path

import bootstrap
from bootstrap import Python


def ensure_trio_also(python: Python) -> Path:
    """build/venv-trio-also: real trio on the second CPython."""
    bootstrap.ensure_venv()
    return bootstrap.make_venv("venv-trio-also", python, "trio")
