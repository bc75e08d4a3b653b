"""The scripted runs."""

from __future__ import annotations

from both import Run

# Enough to walk through any of these programs in Trio's code as well.
STEPS = ("step",) * 9000
LOOK = ("where", "args", "p sorted(locals())", "list", "q")

RUNS = {
    "step through a task": Run("step", STEPS),
    "step through locks, channels, generators": Run("resources", STEPS),
    # No task may end meanwhile: in Trio, "next" goes on in the run loop's frame then.
    "next in a task": Run("step", (*("next",) * 10, "where", "continue")),
    "next in a consumer": Run("resources", (*("next",) * 5, "where", "continue")),
    "return and until": Run(
        "nested",
        ("return", "retval", "next", "return", "next", "next", "until", "continue"),
    ),
    "where, up and down": Run(
        "nested",
        ("where", "up", "where", "args", "down", "args", "up", "up")
        + ("p word, depth", "p sorted(locals())", "list", "down", "p word")
        + ("whatis word", "up", "p nursery", "source outer", "p scope", "continue"),
    ),
    "breakpoint() in a nursery": Run(
        "in_nursery",
        ("where", "p nursery.parent_task.name", "p value", "next")
        + ("p sorted(task.name for task in nursery.child_tasks)",)
        + ("p trio.lowlevel.current_task()", "next", "where", "continue")
        + ("where", "p here.name, number", "p trio.current_effective_deadline()")
        + ("p here.parent_nursery.cancel_scope", "args", "continue"),
    ),
    "a cancellation": Run(
        "cancelled",
        ("where", "p error", "p type(error)", "p isinstance(error, Exception)")
        + ("next", "next", "where", "p trio.current_effective_deadline()", "continue")
        + ("where", "p trio.current_effective_deadline()", "up", "p error")
        + ("p sorted(locals())", "continue", "p str(error)", "continue", "where")
        + ("continue", "continue"),
    ),
    "breakpoints with conditions": Run(
        "workload",
        ("break 14, number == 1", "tbreak 55", "break workload.py:39", "continue")
        + ("where", "p results, limiter", "continue", "where", "continue", "where")
        + ("args", "up", "p number, results, limiter", "ignore 1 1", "break")
        + ("continue", "clear 1", "condition 3 results", "continue", "return")
        + ("break workload.py:99", "break fails", "continue", "quit"),
        ("-m", "pdb"),
    ),
    "commands at breakpoints, and jump": Run(
        "workload",
        ("break 14", "commands 1", "silent", "p number", "end", "continue")
        + ("continue", "disable 1", "break 21", "continue", "jump 22", "next", "next")
        + ("continue", "continue", "q"),
        ("-m", "pdb"),
    ),
    "post-mortem of a group": Run(
        "post_mortem", ("where", "q", *LOOK * 2, "where", "q"), arrows=False
    ),
    "post-mortem of a cause": Run(
        "cause", ("where", "args", "up", "p wanted", "up", "down", "where", "down", "q")
    ),
    "uncaught under pdb": Run(
        "group",
        ("continue", "where", "exceptions", "exceptions 0", "where", "q"),
        ("-m", "pdb"),
        arrows=False,
    ),
    "printed tracebacks": Run("printed", status=1),
    "tasks that wait": Run("tasks", ("where", "next", "where", "continue")),
    "a worker thread": Run(
        "threads",
        ("where", "p same, number", "next", "where", "p number", "continue", "where")
        + ("p found", "continue", "continue"),
    ),
    "quit in a task": Run("stopped", ("where", "quit"), status=1),
    "cProfile": Run("profiled"),
    "sys.settrace and sys.setprofile": Run("hooks"),
    "sys.monitoring": Run("monitored", since=(3, 12)),
    "coverage.py": Run("covered", least=4),
    "tracemalloc": Run("allocated", least=6),
    "faulthandler": Run("faults", status=-6),
    "lost coroutines": Run("unawaited"),
}
