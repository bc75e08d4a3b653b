"""The pytest plugin: tells the harness what happens, one JSON line an event.

Events: `start` and `finish` around a test, `outcome` for a phase of it that says
something, `end` when the session has run all its tests. What has a start and no
finish was running when the process died.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from conformance_bridge import settings
from conformance_bridge.applicability import why_not_applicable

_SETTINGS = settings.load()


def _record(event: str, **fields: object) -> None:
    line = json.dumps({"event": event, **fields}) + "\n"
    with Path(_SETTINGS["records"]).open("a", encoding="utf-8") as records:
        records.write(line)


def pytest_configure() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, whatever this process inherited.

    In a background job of a shell without job control SIGINT is ignored; Python
    then installs no handler, neither does Trio, and its tests of it hang.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Drop the tests that do not apply and those already settled."""
    done = set(_SETTINGS["done"])
    keep: list[pytest.Item] = []
    drop: list[pytest.Item] = []
    for item in items:
        reason = why_not_applicable(item.nodeid, _SETTINGS["not_applicable"])
        if reason is not None:
            _record("outcome", test=item.nodeid, outcome="na", message=reason)
        if reason is not None or item.nodeid in done:
            drop.append(item)
        else:
            keep.append(item)
    items[:] = keep
    if drop:
        config.hook.pytest_deselected(items=drop)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Record a file that cannot be imported, or that skips itself as a whole."""
    outcome = {"failed": "collect-error", "skipped": "module-skip"}.get(report.outcome)
    if outcome is not None:
        message = str(report.longrepr)
        _record("outcome", test=report.nodeid, outcome=outcome, message=message)


def pytest_runtest_logstart(nodeid: str) -> None:
    """Record that a test begins."""
    _record("start", test=nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Record the call of a test, and its set-up and tear-down if they say more."""
    if report.when != "call" and report.outcome == "passed":
        return
    outcome: str = report.outcome
    if hasattr(report, "wasxfail"):
        outcome = "xfailed" if report.skipped else "xpassed"
    elif report.when != "call" and report.failed:
        outcome = f"error-{report.when}"
    _record(
        "outcome",
        test=report.nodeid,
        outcome=outcome,
        message="" if outcome == "passed" else str(report.longrepr),
        seconds=round(report.duration, 4),
    )


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Record that a test is over, tear-down included."""
    _record("finish", test=nodeid)


def pytest_sessionfinish(exitstatus: int) -> None:
    """Record the end, unless something (KeyboardInterrupt) has cut it short."""
    if exitstatus in (
        pytest.ExitCode.OK,
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        _record("end")
