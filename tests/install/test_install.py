"""What `make install` leaves behind, and that programs build and run against it."""

from __future__ import annotations

import fnmatch
import re
import subprocess
from pathlib import Path

import pytest
from installed import PREFIX, ROOT, Installed, make_install

HERE = Path(__file__).parent
HEADERS = sorted((ROOT / "include").rglob("*.h"))
EXAMPLES = sorted((ROOT / "examples/c").glob("*.c"))
LINKS = {"shared": (), "static": ("-static",)}
STRICT = ("-Wall", "-Wextra", "-Werror")
STRIPPED_AT_MOST = 200_000

COMMENT = re.compile(r"/\*.*?\*/", re.S)
DECLARED = re.compile(r"^CTRIO_(?:API|CHECKED|ASYNC)\b[^;(]*?\b(ctrio_\w+)\(", re.M)


def exported(library: Path) -> set[str]:
    """The names that programs can link to."""
    command = ["nm", "-D", "--defined-only", "--format=posix", str(library)]
    lines = subprocess.check_output(command, text=True).splitlines()
    rows = [line.split() for line in lines]
    return {row[0].split("@")[0] for row in rows if row[1] != "A"}


def declared() -> set[str]:
    """The functions that the headers announce."""
    return {
        name
        for header in HEADERS
        for name in DECLARED.findall(COMMENT.sub("", header.read_text()))
    }


def test_it_installs_every_header_and_no_other(installed: Installed) -> None:
    names = {path.relative_to(ROOT / "include") for path in HEADERS}
    include = installed.prefix / "include"
    assert {path.relative_to(include) for path in include.rglob("*.*")} == names


def test_everything_declared_is_there_and_nothing_else(installed: Installed) -> None:
    assert exported(installed.library) == declared()


def test_every_function_is_declared_in_the_way_that_is_searched_for() -> None:
    text = "".join(COMMENT.sub("", header.read_text()) for header in HEADERS)
    marks = re.findall(r"^CTRIO_(?:API|CHECKED|ASYNC)\b", text, re.M)
    assert len(marks) == len(declared()) > 100


def test_every_function_has_a_comment_of_its_own() -> None:
    bare = []
    for header in HEADERS:
        lines = header.read_text().splitlines()
        for i, line in enumerate(lines):
            is_function = re.match(r"CTRIO_(API|CHECKED|ASYNC)\b.*\(", line)
            if is_function and not lines[i - 1].endswith("*/"):
                bare.append(f"{header.name}: {line}")
    assert not bare


def test_the_archive_defines_no_name_outside_of_ours(installed: Installed) -> None:
    archive = installed.prefix / "lib/libctrio.a"
    command = ["nm", "--defined-only", "--extern-only", "--format=posix", str(archive)]
    listed = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)
    rows = [line.split() for line in listed.splitlines()]
    names = {row[0] for row in rows if len(row) > 1 and not row[0].endswith(":")}
    assert declared() <= names
    assert not [name for name in names if not fnmatch.fnmatch(name, "ctrio_*")]


def test_the_soname_is_the_abi_and_the_file_the_version(installed: Installed) -> None:
    command = ["readelf", "-d", str(installed.library)]
    dynamic = subprocess.check_output(command, text=True)
    assert "Library soname: [libctrio.so.0]" in dynamic
    assert "TEXTREL" not in dynamic
    real = installed.library.resolve().name
    assert real == f"libctrio.so.{installed.pkg_config('--modversion')[0]}"


def test_stripped_it_is_small(installed: Installed, tmp_path: Path) -> None:
    small = tmp_path / "libctrio.so"
    subprocess.run(["strip", "-o", small, installed.library], check=True)
    print(f"libctrio.so, stripped: {small.stat().st_size} bytes")
    assert small.stat().st_size <= STRIPPED_AT_MOST


def test_the_archive_is_plain_code_for_any_compiler(installed: Installed) -> None:
    archive = installed.prefix / "lib/libctrio.a"
    sections = subprocess.check_output(["objdump", "-h", str(archive)], text=True)
    assert ".text" in sections
    assert ".gnu.lto" not in sections


def test_the_scripted_machine_is_not_in_it(installed: Installed) -> None:
    archive = installed.prefix / "lib/libctrio.a"
    members = subprocess.check_output(["ar", "t", str(archive)], text=True)
    assert "epoll" in members
    assert "scripted" not in members


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_server_and_its_client_run_against_it(
    installed: Installed, tmp_path: Path, compiler: str, link: str
) -> None:
    program = tmp_path / "pair"
    installed.build(compiler, HERE / "pair.c", program, *STRICT, *LINKS[link])
    done = installed.run(program)
    assert done.stdout == "hello from the installed library, version 100\n"
    assert (done.returncode, done.stderr) == (0, "")
    needs = subprocess.check_output(["readelf", "-d", str(program)], text=True)
    assert ("libctrio.so.0" in needs) == (link == "shared")


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_builds_against_it(
    installed: Installed, tmp_path: Path, example: Path, link: str
) -> None:
    flags = ("-O1", *STRICT, *LINKS[link])
    installed.build("gcc", example, tmp_path / example.stem, *flags)


@pytest.mark.parametrize("link", LINKS)
def test_an_example_runs_against_it(
    installed: Installed, tmp_path: Path, link: str
) -> None:
    program = tmp_path / "supervisor"
    source = ROOT / "examples/c/supervisor.c"
    installed.build("gcc", source, program, *STRICT, *LINKS[link])
    done = installed.run(program)
    assert done.returncode == 1
    assert "lost the feed" in done.stderr
    assert "[supervisor of flaky]" in done.stderr


def test_destdir_goes_in_front(installed: Installed, tmp_path: Path) -> None:
    make_install(f"PREFIX={PREFIX}", f"DESTDIR={tmp_path}")
    there = tmp_path / PREFIX.relative_to("/")
    assert (there / "lib/libctrio.so.0").is_symlink()
    described = (there / "lib/pkgconfig/ctrio.pc").read_text()
    assert f"prefix={PREFIX}\n" in described
    assert str(tmp_path) not in described
