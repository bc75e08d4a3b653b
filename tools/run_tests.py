"""Run every suite, print a line for each, and last the sum of all.

A suite whose folder does not exist is not listed. What cannot be built ends the run;
a failing suite does not. Names of suites on the command line choose among them.
The sum is also left in build/log/sum, for who has to print it after make.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import traceback
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import analyze
import bootstrap
import more_venvs
import nogil_build
from bootstrap import BUILD, LOGS, ROOT, BuildError, Python, SetupError
from c_build import Outcome, log_path, run_programs, strict_build
from cross import cross

SUM = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
TESTS = ROOT / "tests"
SANITIZE = ("-Db_sanitize=address,undefined", "-Db_lundef=false")
RELEASE = ("-Dbuildtype=release", "-Doptimization=2", "-Db_lto=true")
ASSERT = ("-Dbuildtype=debugoptimized", "-Dc_args=-DCTRIO_SLOW_CHECKS")
MINUTES = 60


def call(command: list[str | Path], log: Path, limit: float, **env: str) -> int | None:
    """Run a command into a log; its exit status, or None if it had to be ended."""
    quiet = {"PYTHONDONTWRITEBYTECODE": "1", **env}
    with log.open("wb") as out:
        try:
            return subprocess.run(
                [str(part) for part in command],
                cwd=ROOT,
                env={**os.environ, **quiet},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=limit,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return None


def tail(log: Path, lines: int = 60) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def counted(
    name: str,
    script: Path,
    limit: float,
    *arguments: str | Path,
    python: str | Path = sys.executable,
) -> Outcome | None:
    """Run a script of ours that ends with `N passed, N failed`."""
    if not script.is_file():
        return None
    log, total = log_path(name), Outcome()
    code = call([python, script, *arguments], log, limit)
    lines = log.read_text(errors="replace").splitlines()
    found = SUM.match(lines[-1].strip()) if lines else None
    if found:
        total.passed, total.failed = int(found[1]), int(found[2])
        total.skipped = int(found[3] or 0)
    if code != 0 or found is None:
        total.failed = max(total.failed, 1)
        total.details.append(f"exit status {code}\n{tail(log)}")
    return total


def python_tests() -> list[Path]:
    """The folders of tests/ that hold pytest's files, but for those run apart."""
    apart = {
        *("conformance", "debugging", "differential", "ecosystem", "examples"),
        *("install", "misuse", "support", "tools", "typing"),
    }
    return [
        folder
        for folder in sorted(TESTS.iterdir())
        if folder.is_dir()
        and folder.name not in apart
        and any(folder.rglob("test_*.py"))
    ]


def pytest(name: str, venv: Path, folders: list[Path], **env: str) -> Outcome | None:
    """Run pytest in an environment and count by its report."""
    if not folders:
        return None
    log, report = log_path(name), BUILD / f"log/{name}.xml"
    report.unlink(missing_ok=True)
    command = [venv / "bin/python", "-m", "pytest", "-q", f"--junitxml={report}"]
    options = ["-o", f"cache_dir={BUILD / 'pytest' / name}"]
    code = call([*command, *options, *folders], log, 30 * MINUTES, **env)
    total = Outcome()
    if report.is_file():
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            kinds = {child.tag for child in case}
            total.failed += bool(kinds & {"failure", "error"})
            total.skipped += "skipped" in kinds
            total.passed += not kinds & {"failure", "error", "skipped"}
    if code != 0:
        total.failed = max(total.failed, 1)
        total.details.append(f"exit status {code}\n{tail(log)}")
    return total


# --- the suites --------------------------------------------------------------------


def style() -> Outcome | None:
    """The rules on the sources themselves."""
    return counted("style", ROOT / "tools/check_style.py", 10 * MINUTES)


def c_gcc() -> Outcome | None:
    """The C tests, built by gcc."""
    return run_programs(strict_build(bootstrap.find_compiler("gcc")))


def c_clang() -> Outcome | None:
    """The C tests, built by clang."""
    build = strict_build(bootstrap.find_compiler("clang"))
    return run_programs(build, most=100000)


def sanitized() -> Path:
    """The C tests with AddressSanitizer and UBSan; arrays grow one item at a time."""
    compiler = bootstrap.sanitizing_compiler()
    torture = "-Dc_args=-DCTRIO_TORTURE"
    options = ("-Dpython=disabled", torture, *SANITIZE)
    return bootstrap.meson_build("asan", *options, compiler=compiler)


def c_asan() -> Outcome | None:
    """The C tests under the sanitizers."""
    return run_programs(sanitized(), most=100000)


def c_asan_alloc() -> Outcome | None:
    """The same with each allocation failing in turn."""
    return run_programs(sanitized(), "alloc", most=100000)


def c_tsan() -> Outcome | None:
    """The C tests under ThreadSanitizer, with ten million calls into a run."""
    compiler = bootstrap.thread_sanitizing_compiler()
    options = ("-Dpython=disabled", "-Db_sanitize=thread", "-Db_lundef=false")
    build = bootstrap.meson_build("tsan", *options, compiler=compiler)
    os.environ["CTRIO_CALLS"] = "10000000"
    try:
        return run_programs(build, most=4000)
    finally:
        del os.environ["CTRIO_CALLS"]


def python_main() -> Outcome | None:
    """The Python tests with the release build."""
    return pytest("python", bootstrap.ensure_ctrio(), python_tests())


def python_also() -> Outcome | None:
    """The Python tests on a second CPython."""
    if not (folders := python_tests()):
        return None
    python = bootstrap.second_python()
    venv = bootstrap.ensure_other("also", python, *RELEASE)
    total = pytest("also", venv, folders)
    if total is not None:
        total.note = f"CPython {'.'.join(map(str, python.version))}"
    return total


def interpreters() -> Outcome | None:
    """Loops in interpreters with GILs of their own, on every CPython that has those."""
    file, sums, names = TESTS / "pyext/test_interpreters.py", Outcome(), []
    for python in more_venvs.pythons_with_interpreters():
        venv = bootstrap.ensure_other(f"interpreters-{python.name}", python, *RELEASE)
        total = pytest(f"interpreters-{python.name}", venv, [file], CTRIO_LONG="1")
        if total is None:
            continue
        names.append(python.name)
        sums.passed += total.passed
        sums.failed += total.failed
        sums.skipped += total.skipped
        sums.details += total.details
    sums.note = f"CPython {', '.join(names)}"
    return sums


def python_debug() -> Outcome | None:
    """The Python tests on a debug build, ctrio's assertions on."""
    if not (folders := python_tests()):
        return None
    python = bootstrap.debug_python()
    venv = bootstrap.ensure_other("debug", python, *ASSERT)
    total = pytest("debug", venv, folders)
    if total is not None:
        total.note = f"CPython {'.'.join(map(str, python.version))}, {python.soabi}"
    return total


def python_traced() -> Outcome | None:
    """The Python tests under sys.settrace; but for those that measure growth."""
    if bootstrap.main_python().version >= (3, 12):
        raise SetupError("from CPython 3.12 on `await` does the same when traced")
    return pytest(
        "traced",
        bootstrap.ensure_ctrio(),
        [TESTS / "pyext"],
        PYTHONPATH=str(TESTS / "support"),
        PYTEST_ADDOPTS="-p traced --ignore-glob=*/test_references*",
    )


def python_asan() -> Outcome | None:
    """The Python tests with the sanitizers in the extension."""
    if not (folders := python_tests()):
        return None
    python = bootstrap.main_python()
    venv = bootstrap.ensure_other("asan", python, *ASSERT, *SANITIZE)
    gcc = bootstrap.find_compiler("gcc")
    libraries = [
        subprocess.check_output([gcc, f"-print-file-name={name}"], text=True).strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return pytest(
        "asan-python",
        venv,
        folders,
        LD_PRELOAD=" ".join(libraries),
        ASAN_OPTIONS="detect_leaks=0",
        UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1",
        PYTHONMALLOC="malloc",
        CTRIO_SANITIZED="1",
    )


def faults() -> Outcome | None:
    """Each allocation of each program of tests/faults fails, with our assertions on."""
    script = TESTS / "faults/failing.py"
    if not script.is_file():
        return None
    venv = bootstrap.ensure_other("faults", bootstrap.main_python(), *ASSERT)
    return counted("faults", script, 60 * MINUTES, python=venv / "bin/python")


def nogil_headers() -> Python:
    """A CPython whose headers know free threading.

    Raises:
        SetupError: there is none.
    """
    found = next(bootstrap.find_pythons("3.14", "3.13"), None)
    found = found or bootstrap.maven_python()
    if found is None:
        raise SetupError(bootstrap.missing("headers of CPython 3.13", "python3.13-dev"))
    return found


def nogil() -> Outcome | None:
    """Whether the extension compiles for a CPython without the GIL."""
    python = nogil_headers()
    total = nogil_build.compile_all(strict_build(), python)
    if total is not None:
        total.note = f"compiled only, headers of {'.'.join(map(str, python.version))}"
    return total


def harness() -> Outcome | None:
    """The tests of what runs Trio's tests and programs on both, and of tools/."""
    folders = (TESTS / "conformance", TESTS / "differential", TESTS / "tools")
    files = [file for folder in folders for file in sorted(folder.glob("test_*.py"))]
    return pytest("harness", bootstrap.ensure_ctrio(), files) if files else None


def types() -> Outcome | None:
    """What type checkers say of ctrio, and of programs."""
    folder = TESTS / "typing"
    files = sorted(folder.glob("test_*.py"))
    return pytest("types", bootstrap.ensure_ctrio(), files) if files else None


def conformance() -> Outcome | None:
    """Trio's own tests."""
    script = TESTS / "conformance/run.py"
    if not script.is_file():
        return None
    bootstrap.ensure_ctrio()
    return counted("conformance", script, 30 * MINUTES)


def debugging_beside(name: str, venv: Path, trio: Path) -> Outcome | None:
    """Debuggers and profilers, run on trio and on ctrio."""
    python = str(trio / "bin/python")
    return pytest(name, venv, [TESTS / "debugging"], CTRIO_TEST_TRIO=python)


def debugging() -> Outcome | None:
    """What debuggers show is what they show of trio."""
    if not (TESTS / "debugging").is_dir():
        return None
    trio = bootstrap.ensure_trio()
    return debugging_beside("debugging", bootstrap.ensure_ctrio(), trio)


def debugging_also() -> Outcome | None:
    """The same on a second CPython."""
    if not (TESTS / "debugging").is_dir():
        return None
    python = bootstrap.second_python()
    venv = bootstrap.ensure_other("also", python, *RELEASE)
    trio = more_venvs.ensure_trio_also(python)
    total = debugging_beside("debugging-also", venv, trio)
    if total is not None:
        total.note = f"CPython {'.'.join(map(str, python.version))}"
    return total


def ecosystem() -> Outcome | None:
    """Published tests of packages on trio, with ctrio in its place."""
    script, main = TESTS / "ecosystem/run.py", bootstrap.main_python()
    found = more_venvs.ensure_ecosystem("ecosystem", main, bootstrap.ensure_ctrio())
    return counted("ecosystem", script, 30 * MINUTES, found[0] / "bin/python", found[1])


def ecosystem_also() -> Outcome | None:
    """The same on a second CPython."""
    script, python = TESTS / "ecosystem/run.py", bootstrap.second_python()
    venv = bootstrap.ensure_other("also", python, *RELEASE)
    found = more_venvs.ensure_ecosystem("ecosystem-also", python, venv)
    program = found[0] / "bin/python"
    return counted("ecosystem-also", script, 30 * MINUTES, program, found[1])


def differential() -> Outcome | None:
    """Generated programs, on Trio and on ctrio."""
    script = TESTS / "differential/run.py"
    if not script.is_file():
        return None
    bootstrap.ensure_trio()
    bootstrap.ensure_ctrio()
    return counted("differential", script, 30 * MINUTES)


def examples() -> Outcome | None:
    """Every program of examples/, run."""
    folder = TESTS / "examples"
    if not any(folder.glob("test_*.py")):
        return None
    return pytest("examples", bootstrap.ensure_ctrio(), [folder])


def examples_asan() -> Outcome | None:
    """The C programs of examples/ under the sanitizers."""
    files = sorted((TESTS / "examples").glob("test_c_*.py"))
    if not files:
        return None
    programs = sanitized() / "examples/c"
    venv = bootstrap.ensure_venv()
    return pytest("examples-asan", venv, files, CTRIO_TEST_PROGRAMS=str(programs))


def outside(folder: str) -> Outcome | None:
    """Tests of what users compile; they need pytest and compilers, and no ctrio."""
    if not any((TESTS / folder).glob("test_*.py")):
        return None
    for name in ("clang", "g++", "pkg-config"):
        bootstrap.find_compiler(name)
    return pytest(folder, bootstrap.ensure_venv(), [TESTS / folder])


def installed() -> Outcome | None:
    """Headers, libctrio and ctrio.pc as `make install` leaves them."""
    return outside("install")


def misuse() -> Outcome | None:
    """Wrong programs, and what compilers say of them."""
    return outside("misuse")


SUITES: dict[str, Callable[[], Outcome | None]] = {
    "style": style,
    "gcc": c_gcc,
    "clang": c_clang,
    "asan": c_asan,
    "asan-alloc": c_asan_alloc,
    "python": python_main,
    "python-also": python_also,
    "python-debug": python_debug,
    "python-traced": python_traced,
    "debugging": debugging,
    "debugging-also": debugging_also,
    "nogil": nogil,
    "harness": harness,
    "types": types,
    "conformance": conformance,
    "differential": differential,
    "examples": examples,
    "examples-asan": examples_asan,
    "install": installed,
    "misuse": misuse,
}
ON_REQUEST = {
    "asan-python": python_asan,
    "interpreters": interpreters,
    "ecosystem": ecosystem,
    "ecosystem-also": ecosystem_also,
    "faults": faults,
    "tsan": c_tsan,
    "cross": cross,
    "valgrind": analyze.valgrind,
    "fanalyzer": analyze.fanalyzer,
    "tidy": analyze.tidy,
    "thread-safety": analyze.thread_safety,
}


def run_suite(name: str, suite: Callable[[], Outcome | None]) -> tuple[Outcome, bool]:
    """Run one suite and print its line.

    Returns:
        What it counted, and whether the run may go on.
    """
    start, goes_on = time.monotonic(), True
    try:
        total = suite()
    except SetupError as reason:
        total = Outcome(skipped=1, note=f"skipped: {reason}")
    except BuildError as problem:
        total, goes_on = Outcome(note="cannot be built"), False
        total.fail(str(problem))
    except Exception:  # A mistake of ours takes no other suite with it.
        total = Outcome(note="raised an exception")
        total.fail(traceback.format_exc())
    if total is None:
        return Outcome(), True
    seconds = time.monotonic() - start
    counts = f"{total.passed:5} passed {total.failed:4} failed"
    counts += f" {total.skipped:4} skipped"
    for text in total.details:
        indented = text.replace("\n", "\n    ")  # Where no sum in it looks like ours.
        print(f"--- {name}: {indented}")
    print(f"{name:14}{counts} {seconds:7.1f} s  {total.note}".rstrip(), flush=True)
    return total, goes_on


def main() -> int:
    """Run the suites that were asked for, or all."""
    known = {**SUITES, **ON_REQUEST}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("suite", nargs="*", help=", ".join(known))
    names = parser.parse_args().suite or list(SUITES)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no suite {', '.join(unknown)}; there are {', '.join(known)}")
    return run_suites({name: known[name] for name in names})


def run_suites(suites: dict[str, Callable[[], Outcome | None]]) -> int:
    """Run these suites and print their sum; the status to exit with."""
    LOGS.mkdir(parents=True, exist_ok=True)
    kept = LOGS / "sum"
    kept.unlink(missing_ok=True)  # An old one would speak for a run that dies.
    sums = Outcome()
    for name, suite in suites.items():
        total, goes_on = run_suite(name, suite)
        sums.passed += total.passed
        sums.failed += total.failed
        sums.skipped += total.skipped
        if not goes_on:
            break
    if not sums.passed and not sums.failed:
        print("nothing passed, which counts as a failure")
        sums.failed = 1
    skipped = f", {sums.skipped} skipped" if sums.skipped else ""
    line = f"{sums.passed} passed, {sums.failed} failed{skipped}"
    kept.write_text(line + "\n")
    print(line, flush=True)
    return 1 if sums.failed else 0


if __name__ == "__main__":
    sys.exit(main())
