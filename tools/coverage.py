"""How much of src/kernel the C tests reach; assertions are compiled out first.

What is not reached has to be listed, by function and with the reason, in
tests/kernel/unreached.toml, and what is listed must not be reached. What is reached
only by chance is listed there apart, and has to exist.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bootstrap
from bootstrap import BUILD, ROOT, BuildError, SetupError
from c_build import BIN, run_programs
from sources import table

MEASURED = "src/kernel/"
# A panic's line is reached only when the kernel is broken.
UNREACHED = r".*\b(ctrio__panic|NEVER)\(.*"
LISTED = "../tests/kernel/unreached.toml"
LINES = 97.0
BRANCHES = 92.0


def measure(folder: Path) -> list[dict[str, Any]]:
    """gcovr's record of each measured file."""
    report = folder / "coverage.json"
    command = [BIN / "gcovr", "--root", ROOT, "--filter", MEASURED, "--json", report]
    command += ["--exclude-unreachable-branches", "--merge-mode-functions=separate"]
    command += ["--exclude-lines-by-pattern", UNREACHED]
    command += ["--object-directory", folder, folder]
    subprocess.check_call([str(part) for part in command], cwd=ROOT)
    files: list[dict[str, Any]] = json.loads(report.read_text())["files"]
    return files


def percent(part: int, whole: int) -> float:
    """A share in percent; of nothing, all."""
    return 100.0 * part / whole if whole else 100.0


def ranges(numbers: list[int]) -> str:
    """Line numbers with runs joined: 3-5, 9."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def describe(record: dict[str, Any]) -> tuple[int, int, int, int]:
    """Print a file's line of the table; its covered and all lines and branches."""
    lines = [x for x in record["lines"] if not x.get("gcovr/noncode")]
    branches = [(x["line_number"], b) for x in lines for b in x["branches"]]
    missed = sorted({x["line_number"] for x in lines if not x["count"]})
    half = sorted({n for n, b in branches if not b["count"]} - set(missed))
    hit = sum(1 for x in lines if x["count"])
    taken = sum(1 for _, b in branches if b["count"])
    of_lines, of_branches = percent(hit, len(lines)), percent(taken, len(branches))
    print(f"{record['file']:36}{of_lines:7.1f} %{of_branches:7.1f} %")
    if missed:
        print(f"    lines not reached: {ranges(missed)}")
    if half:
        print(f"    one way only: {ranges(half)}")
    return hit, len(lines), taken, len(branches)


def unreached(record: dict[str, Any]) -> Iterator[str]:
    """The functions of a file with lines or branches that were not reached."""
    for line in record["lines"]:
        missed = not line["count"] or any(not b["count"] for b in line["branches"])
        if missed and not line.get("gcovr/noncode"):
            yield f"{record['file']}:{line['function_name']}"


def functions(record: dict[str, Any]) -> Iterator[str]:
    """All functions of a file that were measured."""
    for line in record["lines"]:
        if not line.get("gcovr/noncode"):
            yield f"{record['file']}:{line['function_name']}"


def compare(
    found: set[str], known: set[str], listed: dict[str, dict[str, str]]
) -> Iterator[str]:
    """What is wrong with the lists of what is not reached: never, or by chance.

    Args:
        found: the functions that were not wholly reached.
        known: all functions that were measured.
        listed: the two lists.
    """
    never, by_chance = listed["never"], listed["by_chance"]
    for name in sorted(found - never.keys() - by_chance.keys()):
        yield f"{name} is not wholly reached, and not in the list"
    for name in sorted(never.keys() - found):
        yield f"{name} is in the list, and wholly reached"
    for name in sorted(by_chance.keys() - known):
        yield f"{name} is in the list, and there is no such function"
    for name, why in sorted({**never, **by_chance}.items()):
        if not why.strip():
            yield f"{name} is in the list without a reason"


def main() -> int:
    """Build, run the tests twice, print the table; 1 if too little is reached."""
    try:
        gcc = bootstrap.find_compiler("gcc")
        options = ("-Dpython=disabled", "-Db_coverage=true", "-Db_ndebug=true")
        options += ("-Dc_args=-DCTRIO_COVERAGE", "-Dbuildtype=debug")
        folder = bootstrap.meson_build("coverage", *options, compiler=gcc)
        for old in folder.rglob("*.gcda"):
            old.unlink()
        failed = 0
        for setup in ("", "alloc"):
            if (total := run_programs(folder, setup)) is None:
                raise SetupError("there are no C tests")
            failed += total.failed
            print("\n".join(total.details), end="")
    except (BuildError, SetupError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{'file':36}{'lines':>9}{'branches':>9}")
    files = measure(folder)
    sums = [sum(column) for column in zip(*map(describe, files), strict=True)]
    if not sums:
        print(f"nothing of {MEASURED} was measured", file=sys.stderr)
        return 1
    of_lines, of_branches = percent(*sums[:2]), percent(*sums[2:])
    print(f"{'all of ' + MEASURED:36}{of_lines:7.1f} %{of_branches:7.1f} %")
    print(f"asked for: {LINES:.0f} % of lines, {BRANCHES:.0f} % of branches")
    found = {name for record in files for name in unreached(record)}
    known = {name for record in files for name in functions(record)}
    wrong = list(compare(found, known, table(LISTED)))
    for line in wrong:
        print(f"{LISTED[3:]}: {line}", file=sys.stderr)
    if failed:
        print(f"{failed} tests failed", file=sys.stderr)
    print(f"the build is in {(BUILD / 'coverage').relative_to(ROOT)}")
    print(f"not wholly reached: {len(found)} functions")
    return int(bool(failed or wrong) or of_lines < LINES or of_branches < BRANCHES)


if __name__ == "__main__":
    sys.exit(main())
