"""The rows of the bench on CPython 3.14, where the fastest loops have their wheels.

rloop, zloop and zuvloop are the ones to beat there; goals are told for 3.11 and are
not at stake. Without a CPython 3.14 this says so, and nothing is measured.

    build/venv/bin/python tools/bench_newest.py [arguments of bench/run.py]
"""

from __future__ import annotations

import subprocess
import sys

import bootstrap
from bootstrap import BuildError, Python, SetupError
from run_tests import RELEASE

VERSION = "3.14"
RESULTS = bootstrap.BUILD / "bench/results-3.14.json"


def newest_python() -> Python | None:
    return next(bootstrap.find_pythons(VERSION), None) or bootstrap.maven_python()


def main() -> int:
    try:
        python = newest_python()
        if python is None:
            print(f"no CPython {VERSION} here: its loops are left out")
            return 0
        ours = bootstrap.ensure_other("newest", python, *RELEASE)
        trio = bootstrap.make_venv("venv-newest-peers", python, "trio")
        peers = bootstrap.ensure_peers(trio, python)
    except (SetupError, BuildError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"\non CPython {VERSION}, beside the loops that are fastest there")
    print("(the goals are those of 3.11):\n", flush=True)
    before = RESULTS.stat().st_mtime if RESULTS.is_file() else 0
    command = [bootstrap.venv_python(bootstrap.BUILD / "venv"), "bench/run.py"]
    command += ["--python-a", bootstrap.venv_python(ours)]
    command += ["--python-peers", bootstrap.venv_python(peers), "--json", RESULTS]
    subprocess.run([*map(str, command), *sys.argv[1:]], cwd=bootstrap.ROOT, check=False)
    return 0 if RESULTS.is_file() and RESULTS.stat().st_mtime > before else 1


if __name__ == "__main__":
    sys.exit(main())
