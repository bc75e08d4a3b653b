"""Out of a thread into a task."""

from ._threads import (
    from_thread_check_cancelled as check_cancelled,
    from_thread_run as run,
    from_thread_run_sync as run_sync,
)

__all__ = ["check_cancelled", "run", "run_sync"]
