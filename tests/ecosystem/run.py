"""Published tests of packages on trio, run on trio and then with ctrio in its place.

The tests come with the packages' wheels; nothing of them is kept here. What passes on
trio has to pass on ctrio. Both run in one environment: ctrio is put in front of it, by
a folder that has nothing else, and installed as trio when Python starts.

    run.py PYTHON FOLDER       prints each difference, and last the sum
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
AS_TRIO = TESTS / "debugging/as_trio"
PACKAGES = ("greenback", "stackscope")
# On 3.13 stackscope 0.2.2 crashes CPython, with trio as well.
BEFORE = {"stackscope": "3.13"}
# The plugin would take over async tests, which the packages' own conftest runs.
OPTIONS = ("-q", "-p", "no:trio", "-p", "no:cacheprovider", "--tb=short")


def results(python: str, package: str, path: list[Path]) -> dict[str, str]:
    """What each test of a package came to: passed, failed or skipped."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [python, "-m", "pytest", *OPTIONS, f"--junitxml={report}", "--pyargs"]
            + [package],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode != 0:
            print(done.stdout)
        if not report.is_file():
            return {}
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    found = {}
    for case in cases:
        kinds = {child.tag for child in case}
        name = f"{package}: {case.get('classname')}::{case.get('name')}"
        if kinds & {"failure", "error"}:
            found[name] = "failed"
        else:
            found[name] = "skipped" if "skipped" in kinds else "passed"
    return found


def is_ours(python: str, path: list[Path]) -> bool:
    """Whether `import trio` gives ctrio there."""
    code = "import trio; print(hasattr(trio, '__ctrio_version__'))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.check_output([python, "-c", code], env=env) == b"True\n"


def packages_for(python: str) -> list[str]:
    """The packages whose tests can run on this interpreter."""
    code = "import sys; print(*sys.version_info[:2])"
    version = subprocess.check_output([python, "-c", code], text=True).split()

    def is_for(package: str) -> bool:
        end = BEFORE.get(package, "4.0").split(".")
        return list(map(int, version)) < list(map(int, end))

    return [package for package in PACKAGES if is_for(package)]


def main() -> int:
    """Run both and compare."""
    python, folder = sys.argv[1:]
    path = [AS_TRIO, Path(folder)]
    if not is_ours(python, path) or is_ours(python, []):
        print("it is not trio and ctrio that would be compared")
        return 1
    passed = failed = skipped = 0
    for package in packages_for(python):
        there, here = results(python, package, []), results(python, package, path)
        if "passed" not in there.values():
            print(f"{package}: nothing passes on trio")
            failed += 1
        for name, was in there.items():
            found = here.get(name, "missing")
            if was == "passed" and found != "passed":
                print(f"{name}: passed on trio, {found} on ctrio")
                failed += 1
            else:
                passed += was == "passed"
                skipped += was != "passed"
                if was != "passed":
                    print(f"{name}: {was} on trio, {found} on ctrio")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
