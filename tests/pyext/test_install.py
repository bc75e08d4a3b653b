"""`ctrio.install()` and `python -m ctrio`, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


def python(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run Python with these arguments; it finds what this process finds."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=60,
        check=False,
    )


def lines_of(code: str) -> list[str]:
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_installed_trio_is_the_very_package() -> None:
    code = """
import ctrio
ctrio.install()
ctrio.install()
import trio, sys
print(trio is ctrio)
import trio.lowlevel, trio.testing, trio._core._run, trio._highlevel_serve_listeners
import ctrio.testing, ctrio._core._run
print(trio.testing is ctrio.testing, trio._core._run is ctrio._core._run)
print(trio._highlevel_serve_listeners._run_handler is
      ctrio._highlevel_serve_listeners._run_handler)
from trio._core._run import GLOBAL_RUN_CONTEXT
print(sum(type(finder).__name__ == "_Alias" for finder in sys.meta_path))
"""
    assert lines_of(code) == ["True", "True True", "True", "1"]


def test_a_submodule_imported_later_is_the_same_under_both_names() -> None:
    code = """
import ctrio, sys
ctrio.install()
assert "ctrio.testing" not in sys.modules
import trio.testing
print(trio.testing is sys.modules["ctrio.testing"] is ctrio.testing)
print(trio.testing.__name__, trio.testing.__spec__.name)
import importlib
print(importlib.reload(trio.testing) is ctrio.testing)
"""
    assert lines_of(code) == ["True", "ctrio.testing ctrio.testing", "True"]


def test_a_module_that_ctrio_lacks_cannot_be_imported() -> None:
    code = """
import ctrio
ctrio.install()
import importlib.util
print(importlib.util.find_spec("trio.no_such_module"))
try:
    import trio.no_such_module
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert lines_of(code) == ["None", "trio.no_such_module"]


def test_other_modules_are_left_alone() -> None:
    code = """
import ctrio
ctrio.install()
import importlib.util
print(importlib.util.find_spec("trio_and_more"))
import json
print(json.__spec__.name)
"""
    assert lines_of(code) == ["None", "json"]


def test_it_refuses_when_real_trio_is_there(tmp_path: Path) -> None:
    (tmp_path / "trio").mkdir()
    (tmp_path / "trio" / "__init__.py").write_text("")
    done = python("-c", "import trio, ctrio; ctrio.install()", cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: trio has already been imported from ")
    assert "python -m ctrio" in last


SHOW = """
import sys, trio, pickle
class Thing: pass
print(trio.__ctrio_version__, __name__, sys.modules["__main__"].Thing is Thing)
print(sys.argv)
print(sys.path[0])
print(pickle.loads(pickle.dumps(Thing())).__class__ is Thing)
"""


def test_a_file_runs_as_if_python_ran_it(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text("import beside\n" + SHOW)
    (tmp_path / "beside.py").write_text("")
    done = python("-m", "ctrio", program, "-x", "a b")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "0.1.0 __main__ True",
        repr([str(program), "-x", "a b"]),
        str(tmp_path.resolve()),
        "True",
    ]


def test_a_link_to_a_file_finds_what_is_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "app.py").write_text("import beside; print('found')")
    (tmp_path / "real" / "beside.py").write_text("")
    (tmp_path / "link.py").symlink_to(tmp_path / "real" / "app.py")
    assert python("-m", "ctrio", tmp_path / "link.py").stdout == "found\n"


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_or_an_archive_runs_its_main(tmp_path: Path, packed: bool) -> None:
    target = tmp_path / "app"
    if packed:
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("__main__.py", SHOW)
    else:
        target.mkdir()
        (target / "__main__.py").write_text(SHOW)
    done = python("-m", "ctrio", target, "x")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "0.1.0 __main__ True",
        repr([str(target), "x"]),
        str(target),
        "True",
    ]


def test_a_module_runs_as_if_python_ran_it(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "app.py").write_text("from . import __path__\n" + SHOW)
    done = python("-m", "ctrio", "-m", "pack.app", "x", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    assert shown[1] == repr([str(tmp_path / "pack" / "app.py"), "x"])
    assert Path(shown[2]).resolve() == tmp_path.resolve()


def test_the_exit_status_is_the_program_s(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text("raise SystemExit(7)")
    assert python("-m", "ctrio", program).returncode == 7


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "usage: python -m ctrio"),
        (["-m"], "usage: python -m ctrio"),
        (["--stubs"], "usage: python -m ctrio"),
        (["--verbose"], "usage: python -m ctrio"),
        (["nowhere.py"], "ctrio: can't open 'nowhere.py': no such file"),
        (["-m", "no.where"], "ctrio: no module named 'no.where'"),
    ],
)
def test_a_command_line_that_runs_nothing_says_why(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = python("-m", "ctrio", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert not done.stdout


def test_help_is_no_mistake() -> None:
    done = python("-m", "ctrio", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m ctrio")
