"""Gets Trio's tests and lays them out in a package `trio` that is a bridge.

The tests are taken out of the wheel as they are; every other module of the package
is one line that turns it into a bridge. It is a folder on disk, and not an import
hook, so that the processes that tests start (`python -m trio`) see it as well.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from conformance_bridge.bridge_map import MAP, PACKAGES, PUBLIC_MODULES

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "conformance"

VERSION = "0.35.0"
WHEEL = f"trio-{VERSION}-py3-none-any.whl"
WHEEL_SHA256 = "9a062a029487c1bdbcc1b2543b729a0bde857ce478b1512c84f391f628e0c5c9"

PYTEST_INI = """\
[pytest]
addopts = --strict-markers --strict-config --import-mode=importlib -p no:cacheprovider
filterwarnings = error
markers =
    redistributors_should_skip: for the checkout of Trio's own project
xfail_strict = true
"""

# An import statement would leave a name in the module, where tests would find it.
BRIDGE_LINE = '__import__("conformance_bridge.bridge").bridge.install(__name__)\n'
MAIN_LINES = "from trio._repl import main\n\nmain(locals())\n"


def obtain_wheel(folder: Path = BUILD) -> Path:
    """Return the wheel, downloaded by pip into `folder` if it is not yet there.

    Raises:
        SystemExit: It is not the wheel that these tests are about.
    """
    wheel = folder / WHEEL
    if not wheel.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            only = ["--disable-pip-version-check", "--only-binary=:all:"]
            subprocess.run(
                [*pip, *only, "--dest", fresh, f"trio=={VERSION}"], check=True
            )
            (Path(fresh) / WHEEL).replace(wheel)
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        raise SystemExit(f"{wheel} is not the wheel of trio {VERSION}: remove it")
    return wheel


def wheel_files(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Give the path and the content of each file of the package."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("trio/") and not name.endswith("/"):
                yield name, archive.read(name)


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def lay_out(wheel: Path, folder: Path, *, tools: bool, direct: bool) -> list[Path]:
    """Fill a folder that is to be on the path of the test processes.

    Args:
        wheel: Where the tests come from.
        folder: A folder that does not exist yet.
        tools: Whether to include the tools of Trio's repository, which a few tests
            are about that apply to nothing else.
        direct: Lay out Trio itself, without a bridge.

    Returns:
        The test files.
    """
    folder.mkdir(parents=True)
    for name, content in wheel_files(wheel):
        if direct or "/_tests/" in name or (tools and "/_tools/" in name):
            write_file(folder / name, content)
    write_support(folder)
    if not direct:
        write_bridge(folder)
    return sorted((folder / "trio").rglob("test_*.py"))


def write_support(folder: Path) -> None:
    """Write what the test processes need besides the package `trio`."""
    shutil.copytree(
        HERE / "conformance_bridge",
        folder / "conformance_bridge",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    write_file(folder / "pytest.ini", PYTEST_INI)


def write_bridge(folder: Path) -> None:
    """Write the modules of the package `trio` that are bridges."""
    for module in {*MAP, *PUBLIC_MODULES}:
        path = folder.joinpath(*module.split("."))
        path = path / "__init__.py" if module in PACKAGES else path.with_suffix(".py")
        if not path.exists():  # Trio's own tools, if they are laid out
            write_file(path, BRIDGE_LINE)
    write_file(folder / "trio" / "__main__.py", MAIN_LINES)
