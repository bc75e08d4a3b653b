"""What does a checkpoint of a lone task cost without the loop's shortcuts?

Every checkpoint goes through the queue then, and every turn polls: as on trio.
"""

from __future__ import annotations

import os

from slices import Goal, Row

from .switch_lone import on_asyncio as on_asyncio, on_trio as on_trio

ROW = Row("switch, lone task, no shortcuts", "ns", goals=(Goal("trio", 1 / 9),))


def prepare() -> None:
    """Tell ctrio, which alone has any."""
    os.environ["CTRIO_STRICT_CHECKPOINTS"] = "1"
