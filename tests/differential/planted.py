"""Plants bugs in the kernel, one at a time, and counts the programs until it is found.

`planted.py [PATCH…]` copies the sources to build/planted, applies one of
planted/*.patch, builds, and compares with Trio as `run.py` does. The last line is the
sum; a bug that stays unfound within so many programs fails. build/venv has to have the
ctrio of the same sources.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import CodeType

from compare import Pair, known_rules, unequal
from generate import generate
from peers import Peer, python_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build"
TREE, OBJECTS = BUILD / "planted/tree", BUILD / "planted/objects"
COPIED = ["src", "include", "python", "meson.build", "meson.options"]
COPIED += ["pyproject.toml", "README.md", "LICENSE"]
OPTIONS = ["-Dpython=enabled", "-Dtests=false", "-Dlibrary=false"]
OPTIONS += ["-Dbuildtype=release", "-Doptimization=1"]


class Remembering(Peer):
    """A library that runs each program once."""

    known: dict[str, bytes]

    def digests(self, codes: list[CodeType]) -> list[bytes]:
        new = [code for code in codes if code.co_filename not in self.known]
        if new:
            names = [code.co_filename for code in new]
            self.known.update(zip(names, super().digests(new), strict=True))
        return [self.known[code.co_filename] for code in codes]


def call(*command: str | Path) -> None:
    """Run a command, quietly.

    Raises:
        SystemExit: it failed.
    """
    tools = BUILD / "venv/bin"
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def copy_tree() -> None:
    """The sources, as they are; files that are equal keep their time."""
    for name in COPIED:
        source = ROOT / name
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            target = TREE / path.relative_to(ROOT)
            if not path.is_file() or path.suffix in (".pyc", ".so"):
                continue
            if not target.is_file() or target.read_bytes() != path.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def build(patch: Path | None) -> Path:
    """Build the copy with a patch; what to put in front of sys.path."""
    copy_tree()
    if patch is not None:
        where = TREE.relative_to(ROOT)
        call("git", "apply", "--whitespace=nowarn", f"--directory={where}", patch)
    if not (OBJECTS / "build.ninja").is_file():
        call("meson", "setup", OBJECTS, TREE, *OPTIONS)
    call("ninja", "-C", OBJECTS)
    for made in OBJECTS.glob("**/_ctrio*.so"):
        shutil.copyfile(made, TREE / "python/ctrio" / made.name)
    return TREE / "python"


def hunt(patch: Path, most: int, known: dict[str, bytes]) -> int | None:
    """How many programs it takes to find a bug; None: more than that.

    Programs that run as without the bug are passed over: Trio takes longer to say so.
    """
    path, rules = str(build(patch)), known_rules()
    ctrio, trio = python_of(BUILD / "venv"), python_of(BUILD / "venv-trio")
    sound = Remembering(ctrio, "ctrio")
    sound.known = known
    screen = Pair(sound, Peer(ctrio, "ctrio", (path,)))
    judge = Pair(Peer(trio, "trio"), Peer(ctrio, "ctrio", (path,)))
    try:
        for _, different in unequal(range(1, most + 1), [screen]):
            for seed in different:
                if judge.differs(generate(seed), rules):
                    return seed
    finally:
        screen.end()
        judge.end()
    return None


def main() -> int:
    """Hunt the bugs that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("patch", nargs="*", type=Path)
    parser.add_argument("--most", type=int, default=20000)
    options = parser.parse_args()
    patches = [path.resolve() for path in options.patch]
    patches = patches or sorted((HERE / "planted").glob("*.patch"))
    known: dict[str, bytes] = {}
    failed = 0
    for patch in patches:
        number = hunt(patch, options.most, known)
        failed += number is None
        found = f"found by program {number}" if number else "NOT FOUND"
        print(f"{patch.stem:45}{found}", flush=True)
    print(f"{len(patches) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
