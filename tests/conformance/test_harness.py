"""The harness itself: what it must notice, and what it must survive."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import expectations
import layout
import outcomes
import report
from conformance_bridge.applicability import why_not_applicable
from outcomes import FileRun, Result
from runner import Job, run_file

FILE = "trio/_tests/test_small.py"

RunSource = Callable[..., FileRun]


@pytest.fixture
def run_source(tmp_path: Path) -> RunSource:
    """Run the source of a test file as the harness runs one of Trio's."""

    def run(source: str, listed: str = "", implementation: str = "") -> FileRun:
        folder = tmp_path / "layout"
        layout.write_support(folder)
        if implementation:
            layout.write_bridge(folder)
        layout.write_file(folder / FILE, dedent(source))
        job = Job(
            layout=folder,
            scratch=tmp_path / "scratch",
            implementation=implementation,
            python_path=(str(tmp_path),),
            listed=frozenset(f"{FILE}::{name}" for name in listed.split()),
            listed_timeout=0.5,
            plugins=("conformance_bridge.plugin",),
            options=(),
        )
        return run_file(job, folder / FILE)

    return run


def outcomes_of(run: FileRun) -> dict[str, str]:
    """Give the outcomes by what comes after the name of the file."""
    return {
        test.removeprefix(FILE).removeprefix("::"): result.outcome
        for test, result in run.results.items()
    }


def test_a_crash_a_hang_and_an_interrupt_cost_one_test_each(
    run_source: RunSource,
) -> None:
    run = run_source(
        """
        import os
        import threading

        import pytest

        def test_passes_first(): pass
        def test_exits_with_success(): os._exit(0)
        def test_crashes(): os.kill(os.getpid(), 11)
        def test_fails(): assert 1 == 2
        def test_hangs(): threading.Event().wait()
        def test_interrupts_pytest(): raise KeyboardInterrupt

        @pytest.fixture
        def tears_down_badly():
            yield
            raise ValueError

        def test_tears_down(tears_down_badly): pass
        def test_passes_last(): pass
        """,
        listed="test_hangs",
    )
    assert outcomes_of(run) == {
        "test_passes_first": "passed",
        "test_exits_with_success": "crashed",
        "test_crashes": "crashed",
        "test_fails": "failed",
        "test_hangs": "crashed",
        "test_interrupts_pytest": "crashed",
        "test_tears_down": "error-teardown",
        "test_passes_last": "passed",
    }
    assert run.results[f"{FILE}::test_fails"].last_line == "assert 1 == 2"
    hung = run.results[f"{FILE}::test_hangs"]
    assert "in test_hangs" in hung.message  # its stack
    assert hung.last_line == "nothing happened for 0.5 s"


def test_a_file_that_cannot_be_imported_is_one_failure(run_source: RunSource) -> None:
    run = run_source("import no_such_module\ndef test_never_runs(): pass")
    assert outcomes_of(run) == {"": "collect-error"}
    assert "no_such_module" in run.results[FILE].message


def test_a_file_whose_import_kills_the_process_is_one_failure(
    run_source: RunSource,
) -> None:
    run = run_source("import os\nos._exit(0)")
    assert outcomes_of(run) == {"(process)": "crashed"}


def test_a_process_that_dies_after_its_tests_is_noticed(run_source: RunSource) -> None:
    run = run_source(
        """
        import atexit
        import os

        def test_passes(): atexit.register(os._exit, 11)
        """
    )
    assert outcomes_of(run) == {"test_passes": "passed", "(process)": "crashed"}
    assert "status 11" in run.results[f"{FILE}::(process)"].last_line


def test_a_process_left_behind_by_a_test_is_ended(
    run_source: RunSource, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        run = run_source(
            f"""
            import subprocess

            left = []

            def test_leaves_a_process():
                with open({str(tmp_path / "fifo")!r}, "wb") as fifo:
                    fifo.write(b"started")
                    left.append(subprocess.Popen(["sleep", "1000"], stdout=fifo))
            """
        )
        assert outcomes_of(run) == {"test_leaves_a_process": "passed"}
        assert os.read(reader, 100) == b"started"
        # The end of the file comes when nobody has it open for writing any more.
        assert select.select([reader], [], [], 60)[0]
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)


def test_ctrl_c_raises_in_a_test_though_the_harness_ignores_it(
    run_source: RunSource,
) -> None:
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run = run_source(
            """
            import signal
            import subprocess
            import sys

            import pytest

            def test_raises():
                with pytest.raises(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)

            def test_a_child_process_has_the_default():
                line = "import signal; signal.raise_signal(signal.SIGINT)"
                status = subprocess.call([sys.executable, "-c", line])
                assert status == -signal.SIGINT
            """
        )
    finally:
        signal.signal(signal.SIGINT, old)
    assert set(outcomes_of(run).values()) == {"passed"}


IMPLEMENTATION = {
    "__init__.py": """
        from . import _util
        from ._core import sleep
    """,
    "_core.py": """
        async def sleep(seconds): pass
        generator = "kept by the core"
        pruning = 1000
    """,
    "_util.py": "final = 'a helper'",
    "_ssl.py": "import no_such_module",
    "_conformance.py": """
        from . import _core

        PRIVATE = {"trio._core._run:DEADLINE_HEAP_MIN_PRUNE_THRESHOLD": 1000}
        GETTERS = {"trio._core._run:_r": lambda: _core.generator}
        SETTERS = {"trio._core._run:_r": lambda new: setattr(_core, "generator", new)}
    """,
}


BRIDGE_TESTS = """
from unittest import mock

import pytest
import small
import small._core
import trio
import trio._ssl
import trio.testing
from trio._core._run import _r, TheIOManager  # the latter does not exist
from trio._timeouts import sleep, sleep_until  # neither does the latter

run_module = trio._core._run

def test_public_names_are_the_same_objects():
    assert trio.sleep is sleep is small.sleep
    assert "sleep" in trio.__all__ and "_util" not in trio.__all__
    assert not hasattr(trio, "no_such_name")
    assert not hasattr(trio.testing, "MockClock")

def test_private_names_come_from_the_provider_or_the_same_layout():
    assert _r == "kept by the core"
    assert run_module.DEADLINE_HEAP_MIN_PRUNE_THRESHOLD == 1000
    assert trio._util.final == "a helper"

def test_private_names_out_of_the_map_do_not_exist():
    assert not hasattr(run_module, "contextvars")
    assert not hasattr(run_module, "install")
    assert not hasattr(trio, "_implementation")

@pytest.mark.parametrize("absent", [TheIOManager, sleep_until])
def test_absent_names_fail_when_used(absent):
    for use in (callable(absent) and absent, len, lambda it: it.method):
        with pytest.raises(Exception, match="missing") as caught:
            use(absent)
        assert type(caught.value).__name__ == "AbsentNameError"

def test_replacing_goes_through_and_is_undone(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "_r", "replaced")
        assert small._core.generator == "replaced"
    assert small._core.generator == "kept by the core"
    with mock.patch("trio._util.final", "replaced"):
        assert small._util.final == "replaced"
    assert small._util.final == "a helper"
    with monkeypatch.context() as patch:
        patch.setattr(trio, "sleep", "replaced")
        assert small.sleep == "replaced"
    assert small.sleep is sleep

@pytest.mark.parametrize(
    "name", ["DEADLINE_HEAP_MIN_PRUNE_THRESHOLD", "TheIOManager"]
)
def test_replacing_without_effect_is_refused(name):
    with pytest.raises(AttributeError, match="cannot replace"):
        setattr(run_module, name, "replaced")

def test_a_broken_module_is_not_taken_for_an_absent_one():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        trio._ssl._is_eof
"""


def test_the_bridge_shows_what_there_is_and_nothing_else(
    run_source: RunSource, tmp_path: Path
) -> None:
    for name, source in IMPLEMENTATION.items():
        layout.write_file(tmp_path / "small" / name, dedent(source))
    run = run_source(
        BRIDGE_TESTS,
        implementation="small",
    )
    assert len(run.results) == 9
    for result in run.results.values():
        assert result.outcome == "passed", result.message


def run_of(**results: str) -> dict[str, FileRun]:
    """Make up a run of one file; the names are tests, `file` is the file itself."""
    made = {}
    for name, outcome in results.items():
        test = FILE if name == "file" else f"{FILE}::{name}"
        made[test] = Result(test, outcome, "E   ValueError: so")
    return {FILE: FileRun(FILE, made, 0.0)}


@pytest.mark.parametrize(
    ("results", "listed", "unexpected"),
    [
        ({"a": "passed", "b": "failed"}, ["b"], []),
        ({"a": "passed", "b": "crashed"}, ["b"], []),
        ({"a": "passed", "b": "failed"}, [], ["b: failed: ValueError: so"]),
        ({"a": "xpassed"}, [], ["a: xpassed: ValueError: so"]),
        ({"a": "passed"}, ["a"], ["a: passed, but is listed"]),
        ({"a": "xfailed"}, ["a"], ["a: xfailed, but is listed"]),
        ({"a": "skipped"}, ["a"], []),
        ({"a": "passed"}, ["b"], ["b: is listed, but there is no such test"]),
        ({"file": "collect-error"}, ["file", "b"], []),
        ({"file": "module-skip"}, ["b"], []),
        ({"a": "passed", "(process)": "crashed"}, ["(process)", "b"], []),
    ],
)
def test_a_run_is_compared_with_the_list(
    results: dict[str, str], listed: list[str], unexpected: list[str]
) -> None:
    table = {FILE if name == "file" else f"{FILE}::{name}": "x" for name in listed}
    verdict = expectations.judge(run_of(**results), table, all_tests=True)
    told = [f"{test.removeprefix(FILE + '::')}: {w}" for test, w in verdict.unexpected]
    assert told == unexpected


def test_a_listed_test_of_a_file_that_was_not_run_is_left_alone() -> None:
    table = {"trio/_tests/test_other.py::a": "x", f"{FILE}::b": "x"}
    runs = run_of(a="passed")
    assert not expectations.judge(runs, table, all_tests=False).unexpected
    assert "trio/_tests/test_other.py::a" in expectations.renew(
        runs, table, all_tests=True
    )


def test_a_renewed_list_keeps_what_is_known(tmp_path: Path) -> None:
    table = {f"{FILE}::{name}": f"lack of {name}" for name in "abcd"}
    runs = run_of(a="passed", b="failed", c="skipped", e="failed")
    expectations.write_table(
        tmp_path / "list.tsv", expectations.renew(runs, table, all_tests=True)
    )
    assert expectations.read_table(tmp_path / "list.tsv") == {
        f"{FILE}::e": "? failed: ValueError: so",
        f"{FILE}::b": "lack of b",
        f"{FILE}::c": "lack of c",
    }


@pytest.mark.parametrize("text", ["a\n", "a\t \n", "a\tx\nb\tx\na\ty\n"])
def test_a_list_with_a_mistake_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.tsv").write_text(text)
    with pytest.raises(SystemExit, match=r"list\.tsv:\d"):
        expectations.read_table(tmp_path / "list.tsv")


def test_the_last_line_sums_up(capsys: pytest.CaptureFixture[str]) -> None:
    table = {f"{FILE}::b": "guest mode"}
    runs = run_of(a="passed", b="failed", c="failed", d="na", e="xfailed")
    verdict = expectations.judge(runs, table, all_tests=True)
    report.print_verdict(verdict, table)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].strip() == "1 for want of: guest mode"
    assert lines[-2].startswith("1 listed failures, 1 failed as Trio expects, 0 ski")
    assert lines[-1] == "1 passed, 1 failed"


def test_an_id_that_does_not_apply_covers_its_parameters() -> None:
    patterns = [("t.py::test_a", "one"), ("tools/*", "two")]
    assert why_not_applicable("t.py::test_a", patterns) == "one"
    assert why_not_applicable("t.py::test_a[1]", patterns) == "one"
    assert why_not_applicable("t.py::test_ab", patterns) is None
    assert why_not_applicable("tools/t.py::test_a", patterns) == "two"


def test_a_record_cut_short_by_a_crash_does_not_hide_the_next(tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_text('{"event": "start", "test": "a"}\n{"event": "outc')
    outcomes.append_record(path, {"event": "died", "message": "why"})
    folded = outcomes.fold(outcomes.read_records(path), "t.py")
    assert folded == {"a": Result("a", "crashed", "why")}
