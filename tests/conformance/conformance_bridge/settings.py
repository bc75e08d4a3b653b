"""What the harness tells a test process, in a JSON file named by one variable.

A file, because the list of tests already done may outgrow the environment; a
variable, because the processes that tests start need the bridge as well.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TypedDict, cast

VARIABLE = "CTRIO_CONFORMANCE_SETTINGS"


class Settings(TypedDict):
    """The content of the file."""

    implementation: str  # importable name of what is tested
    provider: str  # module with the private names; "" for the default
    records: str  # file that the plugin appends its records to
    not_applicable: list[tuple[str, str]]  # pattern of test ids, reason
    done: list[str]  # test ids that an earlier process has settled


def load() -> Settings:
    """Read the settings of this process."""
    return cast(Settings, json.loads(Path(os.environ[VARIABLE]).read_text("utf-8")))


def save(settings: Settings, path: Path) -> None:
    """Write settings where a test process will read them."""
    path.write_text(json.dumps(settings), "utf-8")
