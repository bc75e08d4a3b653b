"""Compile the extension's sources once more, for a CPython without the GIL.

The commands are those of the strict build with other headers. Ninja runs them, so that
a second call compiles what has changed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bootstrap import BUILD, JOBS, Python
from c_build import BIN, Outcome, compile_commands, log_path

FAILED = re.compile(r"^FAILED: .*?(\S+)\.o\b", re.M)
DROPPED = {"-isystem", "-MD", "-MQ", "-MF", "-Werror"}
ADDED = (
    "-DPy_GIL_DISABLED=1",
    "-Werror=implicit-function-declaration",
    "-Werror=int-conversion",
    "-Werror=incompatible-pointer-types",
)
RULE = """\
builddir = {folder}
rule compile
  command = $flags -MD -MF $out.d -c $in -o $out
  description = without the GIL: $in
  depfile = $out.d
  deps = gcc
"""


def flags_for(command: Sequence[str], python: Python) -> list[str]:
    """A command of the strict build without its files, for another Python."""
    kept = command[: command.index("-o")] if "-o" in command else command
    kept = [part for part in kept if not re.search(r"include/python3", part)]
    kept = [part for part in kept if part not in DROPPED]
    kept = [part for part in kept if not part.endswith((".d", ".o"))]
    return [*kept, *ADDED, "-isystem", python.include]


def escaped(text: str) -> str:
    """A value as ninja's language has it."""
    return re.sub(r"([$ :])", r"$\1", text)


def compile_all(build: Path, python: Python) -> Outcome | None:
    """Compile each source of the extension; None if there is none.

    Args:
        build: the strict build, whose commands are taken and whose folder they run in.
        python: the interpreter whose headers know free threading.
    """
    folder = BUILD / "nogil"
    folder.mkdir(exist_ok=True)
    lines, sources = [RULE.format(folder=escaped(str(folder)))], []
    for source, _, command in compile_commands(build):
        if "pyext" in source.parts:
            sources.append(source)
            output = escaped(str(folder / f"{source.stem}.o"))
            flags = shlex.join(flags_for(command, python)).replace("$", "$$")
            lines.append(f"build {output}: compile {escaped(str(source))}\n")
            lines.append(f"  flags = {flags}\n")
    if not sources:
        return None
    (folder / "build.ninja").write_text("".join(lines))
    ninja = [BIN / "ninja", "-C", build, "-f", folder / "build.ninja", JOBS, "-k0"]
    done = subprocess.run(
        [str(part) for part in ninja], capture_output=True, text=True, check=False
    )
    log_path("nogil").write_text(done.stdout + done.stderr)
    return counted(done, sources)


def counted(done: subprocess.CompletedProcess[str], sources: list[Path]) -> Outcome:
    """A point for each source; what ninja printed, once, if any did not compile."""
    failed = {Path(name).name for name in FAILED.findall(done.stdout)}
    total = Outcome(failed=len(failed), passed=len(sources) - len(failed))
    if done.returncode != 0:
        total.failed = max(total.failed, 1)
        total.details.append("\n".join((done.stdout + done.stderr).splitlines()[-60:]))
    return total
