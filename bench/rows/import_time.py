"""How much longer does Python take to start when it imports the module?

CPU time of whole processes, less that of the same process without the import.
"""

from __future__ import annotations

import os
import sys

from slices import Goal, Row, Slice

ROW = Row(
    "import, over bare Python",
    "ms",
    goals=(Goal("trio", 1 / 5),),
    rounds=7,
    size=2,
    quick_size=1,
    target_ms=200,
)


def process_ns(code: str) -> float:
    """CPU time of a Python that runs `code`, start and end included."""
    command = [sys.executable, "-I", "-c", code]
    pid = os.posix_spawn(sys.executable, command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{code!r} ended with status {status}")
    return (usage.ru_utime + usage.ru_stime) * 1e9


def without_loop(module_name: str, n: int) -> Slice:
    spent = 0.0
    for _ in range(n):
        spent += process_ns(f"import {module_name}") - process_ns("pass")
    return Slice(n, cpu_ns=spent)
