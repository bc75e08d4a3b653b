"""The pages that people read first: their example runs, their names and links hold."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import c_programs
import pytest
from python_programs import runner

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
EXAMPLE = ROOT / "examples" / "python" / "hello.py"
EXAMPLE_IN_C = ROOT / "examples" / "c" / "hello.c"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("bench/*.md")),
    *sorted(ROOT.glob("changes/*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]
SAYS = ["here comes the soup", "here comes the bread", "no pudding today"]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)*\.(?:c|h|py|pyi|md|toml|tsv|txt|build|options)")
TARGET = re.compile(r"\bmake ([a-z]+)")


def lines_of(*command: str) -> list[str]:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def blocks(page: Path, language: str) -> list[str]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


def test_the_readme_shows_the_example_as_it_is() -> None:
    assert blocks(README, "python") == [EXAMPLE.read_text(encoding="utf-8")]


def test_the_example_runs_as_the_readme_says() -> None:
    assert lines_of(*runner(), str(EXAMPLE)) == SAYS


def test_the_readme_shows_the_example_in_c_as_it_is() -> None:
    assert blocks(README, "c") == [EXAMPLE_IN_C.read_text(encoding="utf-8")]


def test_the_example_in_c_prints_the_same() -> None:
    said = lines_of(str(c_programs.folder() / EXAMPLE_IN_C.stem))
    assert sorted(said) == sorted(SAYS)  # Soup and bread may come at once.


def test_the_readme_tells_what_the_example_prints() -> None:
    assert "\n".join(SAYS) + "\n" in blocks(README, "text")


def test_the_example_runs_with_ctrio_imported_as_trio(tmp_path: Path) -> None:
    if importlib.util.find_spec("ctrio") is None:
        pytest.skip("ctrio is not installed")
    text = EXAMPLE.read_text(encoding="utf-8")
    changed = text.replace("import trio\n", "import ctrio as trio\n")
    assert changed != text
    program = tmp_path / "hello.py"
    program.write_text(changed, encoding="utf-8")
    assert lines_of(sys.executable, str(program)) == SAYS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_names_of_files_lead_somewhere(page: Path) -> None:
    missing = [name for name in named_files(page) if not exists(page, name)]
    assert not missing


def named_files(page: Path) -> Iterator[str]:
    """Yield what a page links to in this repository, and the paths it has in code."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if not target.startswith(("http://", "https://", "#")):
            yield target.partition("#")[0]
    for code in CODE.findall(text):
        if "/" in code and FILE.fullmatch(code) and not code.startswith("build/"):
            yield code


def exists(page: Path, name: str) -> bool:
    """Tell whether a path leads somewhere from a page, the root, or src."""
    folders = (page.parent, ROOT, ROOT / "src")
    return any((folder / name).exists() for folder in folders)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_targets_of_make_that_pages_name_are_there(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    text = page.read_text(encoding="utf-8")
    named = {
        target
        for code in [*CODE.findall(text), *(block for _, block in FENCE.findall(text))]
        for target in TARGET.findall(code)
    }
    assert named <= targets


def test_the_figures_are_those_of_the_rows_of_the_bench() -> None:
    rows = []
    for program in ("run.py", "c/run.py"):
        source = (ROOT / "bench" / program).read_text(encoding="utf-8")
        rows += re.findall(r'^    "(\w+)": Row\(', source, re.M)
        listed = re.search(r"^ROWS = \((.*?)\)$", source, re.M | re.S)
        assert listed is not None
        rows += re.findall(r'"(\w+)"', listed[1])
    text = README.read_text(encoding="utf-8")
    figures = text[text.index("## Figures") :]
    told = re.findall(r"^\| `(\w+)` \|", figures, re.M)
    assert [row for row in told if row != "idle_ticks"] == rows
    ours = re.findall(r"^\| `\w+` \|[^|]*\|[^|]*\| ([^|]*) \|", figures, re.M)
    assert len(ours) == len(told)
    assert all(re.fullmatch(r"[0-9.]+", figure) for figure in ours)
