"""Build folders for the C code, and the results of its test programs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap import BUILD, LOGS, BuildError, any_compiler, meson_build, run

BIN = BUILD / "venv/bin"
POINT = re.compile(r"^(not ok|ok)\b(.*)$", re.M)
ALLOCATIONS = re.compile(r"^# allocations: (\d+)", re.M)


@dataclass
class Outcome:
    """What a suite counted, and what its reader must see."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""
    details: list[str] = field(default_factory=list)

    def fail(self, text: str) -> None:
        """Count a failure and keep what explains it."""
        self.failed += 1
        self.details.append(text)


def strict_build(compiler: str = "") -> Path:
    """The build that the tests and the style check share: assertions, no warnings.

    Args:
        compiler: its path; by default any that is here. It also names the folder.
    """
    compiler = compiler or any_compiler()
    options = ("-Dpython=enabled", "-Dwerror=true")
    return meson_build(Path(compiler).name, *options, compiler=compiler)


def compile_commands(folder: Path) -> Iterator[tuple[Path, Path, list[str]]]:
    """Each object of a build: its source, itself, the command that makes it."""
    for entry in json.loads((folder / "compile_commands.json").read_text()):
        source = (folder / entry["file"]).resolve()
        yield source, folder / entry["output"], entry["command"].split()


def has_tests(folder: Path) -> bool:
    """Whether a build has any test program."""
    listed = subprocess.check_output([BIN / "meson", "introspect", "--tests", folder])
    return bool(json.loads(listed))


def run_programs(
    folder: Path, setup: str = "", *, most: int = 0, wrapper: str = ""
) -> Outcome | None:
    """Run a build's test programs and count their TAP points; None without any.

    Args:
        folder: a build folder, up to date.
        setup: the Meson test set-up; "alloc" fails each allocation in turn.
        most: of anything, where a million takes too long; 0: no limit.
        wrapper: a command that runs each program.
    """
    if not has_tests(folder):
        return None
    kind = Path(wrapper.split()[0]).name if wrapper else setup  # as Meson names it
    log = folder / "meson-logs" / f"testlog{'-' + kind if kind else ''}.json"
    log.unlink(missing_ok=True)
    command = [BIN / "meson", "test", "-C", folder, "--no-rebuild", "--quiet"]
    command += [f"--num-processes={os.cpu_count() or 1}"]
    command += [f"--setup={setup}"] if setup else []
    env = {
        "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:second_deadlock_stack=1",
    }
    if most:
        env["CTRIO_MOST"] = str(most)
        command.append("--timeout-multiplier=5")
    if wrapper:
        command.append(f"--wrapper={wrapper}")
    try:
        run(command, f"{folder.name}-tests{'-' + setup if setup else ''}", env=env)
    except BuildError:
        if not log.is_file():
            raise
    total, allocations = Outcome(), 0
    for line in log.read_text().splitlines():
        record = json.loads(line)
        count_program(record, total)
        allocations += sum(map(int, ALLOCATIONS.findall(record.get("stdout", ""))))
    if setup == "alloc":
        total.note = f"{allocations} allocations failed in turn"
    return total


def count_program(record: dict[str, str], total: Outcome) -> None:
    """Add one program's TAP points; one that failed besides counts as a failure."""
    output, bad = record.get("stdout", ""), []
    points = POINT.findall(output)
    for verdict, rest in points:
        if re.search(r"# *(skip|todo)\b", rest, re.I):
            total.skipped += 1
        elif verdict == "ok":
            total.passed += 1
        else:
            bad.append(verdict + rest)
            total.failed += 1
    if record["result"] == "SKIP" and not points:
        total.skipped += 1
    if record["result"] in ("OK", "SKIP", "EXPECTEDFAIL"):
        return
    if not bad:
        total.failed += 1
        bad.append(f"{record['result']}, exit status {record.get('returncode')}")
    error = record.get("stderr", "").splitlines()[:40]
    total.details.append("\n".join([f"{record['name']}:", *bad, *error]))


def log_path(name: str) -> Path:
    """Where the output of a suite is kept."""
    LOGS.mkdir(parents=True, exist_ok=True)
    return LOGS / f"{name}.log"
