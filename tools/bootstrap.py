#!/usr/bin/env python3
"""Set up what the Makefile's targets need, once.

Every environment carries a stamp of what it was made from, so that a second call
only compares stamps. Needs the standard library of Python 3.10 and nothing else.

What is missing is looked for in this order: on the machine, among PyPI's packages,
among Debian's when we are root; else one line says what to install.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "log"
REQUIREMENTS = {
    "pip": ROOT / "tools/requirements-pip.txt",
    "run": ROOT / "tools/requirements-run.txt",
    "old": ROOT / "tools/requirements-old.txt",
    "optional": ROOT / "tools/requirements-optional.txt",
    "checkers": ROOT / "tools/requirements-checkers.txt",
    "tools": ROOT / "tools/requirements-tools.txt",
    "trio": ROOT / "tools/requirements-trio.txt",
    "peers": ROOT / "tools/requirements-peers.txt",
    "others": ROOT / "tools/requirements-others.txt",
    "ecosystem": ROOT / "tools/requirements-ecosystem.txt",
}
JOBS = f"-j{os.cpu_count() or 1}"
SOURCES = ("src", "include", "python", "meson.build", "meson.options")
MAVEN_CPYTHON = "org.bytedeco:cpython:3.14.3-1.5.13:jar:linux-x86_64"


class SetupError(Exception):
    """Something is missing that only the user can install."""


class BuildError(Exception):
    """A command of ours failed; the message carries the end of its output."""


def say(text: str) -> None:
    """Print a line at once, so that order is kept with the output of commands."""
    print(text, flush=True)


def run(
    command: Sequence[str | Path],
    log: str,
    *,
    env: dict[str, str] | None = None,
    append: bool = False,
    cwd: Path = ROOT,
) -> None:
    """Run a command whose output goes to build/log/<log>.log.

    Raises:
        BuildError: it failed; the message holds what it said about it.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{log}.log"
    with path.open("ab" if append else "wb") as out:
        out.write(("$ " + " ".join(map(str, command)) + "\n").encode())
        out.flush()
        start = out.tell()
        code = subprocess.call(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    if code != 0:
        printed = path.read_bytes()[start:].decode(errors="replace")
        tail = "\n".join(heart_of(printed.splitlines()))
        raise BuildError(f"{tail}\n(exit status {code}; all of it in {path})")


def heart_of(lines: list[str]) -> list[str]:
    """The lines that tell why a command failed: from ninja's FAILED on, or the last."""
    failed = [i for i, line in enumerate(lines) if line.strip().startswith("FAILED")]
    return lines[failed[0] :][:40] if failed else lines[-40:]


def digest(*parts: str | Path) -> str:
    """One hash of texts and of the contents of files and folders."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            total.update(part.encode() + b"\0")
            continue
        files = [part] if part.is_file() else sorted(part.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                total.update(str(file.relative_to(ROOT)).encode() + b"\0")
                total.update(file.read_bytes())
    return total.hexdigest()


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Keep two calls from making build/<name> at once."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f".lock-{name}").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_stamped(stamp: Path, value: str) -> bool:
    """Whether the thing beside this stamp was made from the same inputs."""
    return stamp.is_file() and stamp.read_text() == value


# --- Debian's packages -------------------------------------------------------------


def apt_install(*packages: str) -> bool:
    """Install Debian packages if we may; False if we may not or it failed."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return False
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    command = [apt, "install", "-y", "--no-install-recommends", *packages]
    say(f"installing with apt: {' '.join(packages)}")
    with contextlib.suppress(BuildError):
        run(command, "apt", env=quiet)
        return True
    with contextlib.suppress(BuildError):
        run([apt, "update"], "apt", env=quiet)
        run(command, "apt", env=quiet, append=True)
        return True
    return False


def missing(what: str, packages: str) -> str:
    """The one line that says what to install."""
    return f"{what} not found; on Debian: apt-get install {packages}"


def find_compiler(name: str) -> str:
    """The path of gcc or clang, installed if need be.

    Raises:
        SetupError: there is none and we may not install it.
    """
    path = shutil.which(name)
    if path is None and apt_install(name):
        path = shutil.which(name)
    if path is None:
        raise SetupError(missing(name, name))
    return path


def any_compiler() -> str:
    """The path of whichever C compiler is here, gcc first.

    Raises:
        SetupError: there is none and we may not install one.
    """
    found = filter(None, map(shutil.which, ("gcc", "clang", "cc")))
    return next(found, None) or find_compiler("gcc")


def sanitizer_works(compiler: str, kinds: str = "address,undefined") -> bool:
    """Whether a program built with this compiler's sanitizers runs here."""
    BUILD.mkdir(exist_ok=True)
    source = BUILD / "probe.c"
    program = BUILD / f"probe-{Path(compiler).name}"
    source.write_text("int main(void)\n{\n    return 0;\n}\n")
    flags = [f"-fsanitize={kinds}", str(source), "-o", str(program)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return (
        subprocess.call([compiler, *flags], **quiet) == 0  # type: ignore[call-overload]
        and subprocess.call([str(program)], **quiet) == 0  # type: ignore[call-overload]
    )


def sanitizing_compiler() -> str:
    """clang if its sanitizers run here (it finds more), else gcc.

    Raises:
        SetupError: neither compiler's sanitizers run.
    """
    for name in ("clang", "gcc"):
        path = shutil.which(name)
        if path is not None and sanitizer_works(path):
            return path
    clang = find_compiler("clang")
    version = subprocess.check_output([clang, "-dumpversion"], text=True)
    apt_install(f"libclang-rt-{version.split('.')[0]}-dev")
    if sanitizer_works(clang):
        return clang
    raise SetupError(missing("a compiler with AddressSanitizer", "clang"))


def thread_sanitizing_compiler() -> str:
    """gcc if its ThreadSanitizer runs here, else clang.

    Raises:
        SetupError: neither's does.
    """
    for name in ("gcc", "clang"):
        path = shutil.which(name)
        if path is not None and sanitizer_works(path, "thread"):
            return path
    raise SetupError(missing("a compiler with ThreadSanitizer", "gcc libtsan2"))


# --- Pythons -----------------------------------------------------------------------


@dataclass(frozen=True)
class Python:
    """An interpreter that starts and can build extensions."""

    path: str
    version: tuple[int, int, int]
    include: str
    soabi: str

    @property
    def name(self) -> str:
        """Its version as one says it: 3.13."""
        return f"{self.version[0]}.{self.version[1]}"


PROBE = """
import json, sys, sysconfig, venv, ssl, ctypes
print(json.dumps([sys.executable, sys.version_info[:3],
    sysconfig.get_path('include'), sysconfig.get_config_var('SOABI') or '']))
"""


def probe(path: str | Path) -> Python | None:
    """What an interpreter is, or None if it does not start or has no headers."""
    try:
        done = subprocess.run(
            [str(path), "-c", PROBE], capture_output=True, text=True, timeout=60
        )
        executable, version, include, soabi = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0 or not Path(include, "Python.h").is_file():
        return None
    return Python(executable, tuple(version), include, soabi)


def candidates(name: str) -> Iterator[Path]:
    """Everything called `name`: on PATH, then in pyenv behind its shims."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if (path := Path(folder or ".", name)).is_file():
            yield path
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/*/bin/{name}"), reverse=True)


def find_pythons(*versions: str) -> Iterator[Python]:
    """The interpreters of these versions that can build, in the order asked."""
    seen = set()
    for version in versions:
        for path in candidates(f"python{version}"):
            found = probe(path)
            if found and found.name == version and found.path not in seen:
                seen.add(found.path)
                yield found


def maven_python() -> Python | None:
    """A CPython out of a Maven artefact, unpacked into build/; None without mvn."""
    group, artifact, version, _, platform = MAVEN_CPYTHON.split(":")
    home = BUILD / f"python-{version}"
    program = home / "org/bytedeco/cpython" / platform / "bin/python3.14"
    mvn = shutil.which("mvn")
    if not program.is_file():
        if mvn is None:
            return None
        jar = Path.home().joinpath(
            ".m2/repository", *group.split("."), artifact, version
        )
        get = ["dependency:get", f"-Dartifact={MAVEN_CPYTHON}", "-Dtransitive=false"]
        try:
            run([mvn, "-q", "-B", *get], "maven")
            shutil.unpack_archive(
                jar / f"{artifact}-{version}-{platform}.jar", home, "zip"
            )
        except (BuildError, OSError, shutil.ReadError):
            return None
        for file in program.parent.iterdir():
            file.chmod(0o755)
    return probe(program)


def second_python() -> Python:
    """The other CPython of the test run.

    Raises:
        SetupError: PYTHON_ALSO names none that works, or there is none.
    """
    asked = os.environ.get("PYTHON_ALSO")
    if asked:
        found = probe(shutil.which(asked) or asked)
        if found is None:
            raise SetupError(f"PYTHON_ALSO={asked}: does not start, or has no headers")
        return found
    mine = sys.version_info[:2]
    for found in find_pythons("3.14", "3.13", "3.12"):
        if found.version[:2] != mine:
            return found
    found = maven_python()
    if found is None:
        raise SetupError(missing("a second CPython (3.12 to 3.14)", "python3-dev"))
    return found


def debug_python() -> Python:
    """A debug build of CPython, Debian's if need be.

    Raises:
        SetupError: there is none and we may not install it.
    """
    mine = f"python{sys.version_info[0]}.{sys.version_info[1]}-dbg"
    for attempt in range(2):
        for name in ("python3-dbg", mine):
            found = probe(shutil.which(name) or name)
            if found is not None and found.version[:2] >= (3, 10):
                return found
        if attempt == 0 and not apt_install("python3-dbg", "libpython3-dev"):
            break
    raise SetupError(missing("a debug build of CPython", "python3-dbg"))


def main_python() -> Python:
    """The interpreter that runs this, if it can build extensions.

    Raises:
        SetupError: it has no headers and we may not install them.
    """
    path = os.path.realpath(sys.executable)
    found = describe_self(path)
    if found is None and apt_install("python3-dev", "python3-venv"):
        found = describe_self(path)
    if found is None:
        raise SetupError(missing(f"Python.h for {path}", "python3-dev"))
    return found


def describe_self(path: str) -> Python | None:
    """What the running interpreter is, or None without headers."""
    include = sysconfig.get_path("include")
    soabi = sysconfig.get_config_var("SOABI") or ""
    if not Path(include, "Python.h").is_file():
        return None
    return Python(path, sys.version_info[:3], include, soabi)


# --- environments ------------------------------------------------------------------


def venv_python(venv: Path) -> Path:
    """The interpreter of an environment."""
    return venv / "bin/python"


def site_packages(venv: Path) -> Path:
    """Where an environment keeps its packages."""
    return next(venv.glob("lib/python*/site-packages"))


def pip(*arguments: str | Path, log: str, **options: object) -> None:
    """Run build/venv's pip."""
    quiet = ["--disable-pip-version-check", "--no-input", "-q"]
    command = [venv_python(BUILD / "venv"), "-m", "pip", *arguments, *quiet]
    run(command, log, append=True, **options)  # type: ignore[arg-type]


def make_venv(
    name: str, python: Python, *groups: str, optional: Sequence[str] = ()
) -> Path:
    """Make build/<name> with the pinned packages of these groups, unless it is there.

    Args:
        name: the folder below build/.
        python: the interpreter to make it from.
        groups: keys of REQUIREMENTS.
        optional: groups whose packages may each fail to install.
    """
    venv = BUILD / name
    if python.version < (3, 11):
        groups = (*groups, "old")
    files = [REQUIREMENTS[group] for group in groups]
    extra = [REQUIREMENTS[group] for group in optional]
    stamp, value = venv / ".stamp", digest(python.path, *files, *extra)
    if is_stamped(stamp, value):
        return venv
    with lock(name):
        if not is_stamped(stamp, value):
            say(f"setting up build/{name}")
            fill_venv(venv, python, files)
            for path in extra:
                install_optional(venv, python, path)
            stamp.write_text(value)
    return venv


def fill_venv(venv: Path, python: Python, requirements: Sequence[Path]) -> None:
    """Make an environment anew and install packages into it.

    Only build/venv has a pip. It fills the others from outside, since a debug build
    takes minutes for what it does in seconds. Which pip a Python brings is up to its
    distributor (Debian 12's is 23.0), so ours is put in its place first.

    Raises:
        SetupError: the interpreter lacks ensurepip and we may not install it.
        BuildError: pip failed.
    """
    shutil.rmtree(venv, ignore_errors=True)
    options = [] if venv == BUILD / "venv" else ["--without-pip"]
    try:
        run([python.path, "-m", "venv", *options, venv], venv.name)
    except BuildError:
        if not apt_install("python3-venv"):
            raise SetupError(missing("venv with ensurepip", "python3-venv")) from None
        shutil.rmtree(venv, ignore_errors=True)
        run([python.path, "-m", "venv", *options, venv], venv.name)
    if venv == BUILD / "venv":
        pip("install", f"-r{REQUIREMENTS['pip']}", log=venv.name)
    wanted = [f"-r{path}" for path in requirements]
    pip("install", *into(venv, python), *wanted, log=venv.name)


def into(venv: Path, python: Python) -> list[str | Path]:
    """pip's options for installing into an environment of another interpreter."""
    if venv == BUILD / "venv":
        return []
    where = ["--target", site_packages(venv), "--python-version", python.name]
    return [*where, "--only-binary=:all:"]


def install_optional(venv: Path, python: Python, requirements: Path) -> None:
    """Install each package that has a wheel for us, and say which have none."""
    for line in requirements.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        try:
            wheel = "--only-binary=:all:"
            pip("install", *into(venv, python), wheel, line, log=venv.name)
        except BuildError:
            say(f"{line}: no wheel for this Python, left out")


def ensure_venv() -> Path:
    """build/venv: what ctrio needs, the build and the test tools; no trio."""
    optional = ("optional", "checkers")
    return make_venv("venv", main_python(), "pip", "run", "tools", optional=optional)


def ensure_trio() -> Path:
    """build/venv-trio: real trio."""
    ensure_venv()
    return make_venv("venv-trio", main_python(), "trio")


def ensure_peers(venv: Path | None = None, python: Python | None = None) -> Path:
    """build/venv-trio, or another one with trio, with the bench's peers in it."""
    venv, python = venv or ensure_trio(), python or main_python()
    peers, others = REQUIREMENTS["peers"], REQUIREMENTS["others"]
    stamp, value = venv / ".peers-stamp", digest(peers, others)
    with lock(venv.name):
        if not is_stamped(stamp, value):
            say(f"adding the bench's peers to build/{venv.name}")
            pip("install", *into(venv, python), f"-r{peers}", log=venv.name)
            install_optional(venv, python, others)
            stamp.write_text(value)
    return venv


# --- builds ------------------------------------------------------------------------


def meson_build(name: str, *options: str, compiler: str = "") -> Path:
    """Bring build/<name> up to date; its configuration is redone when it changes.

    Raises:
        BuildError: it does not configure or does not compile.
    """
    folder, tools = BUILD / name, BUILD / "venv/bin"
    stamp, value = folder / ".stamp", digest(compiler, " ".join(options))
    env = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    if compiler:
        env["CC"] = compiler
    with lock(name):
        if not (folder / "build.ninja").is_file() or not is_stamped(stamp, value):
            shutil.rmtree(folder, ignore_errors=True)
            run([tools / "meson", "setup", folder, ROOT, *options], name, env=env)
            stamp.write_text(value)
        run([tools / "ninja", "-C", folder, JOBS], name, env=env, append=True)
    return folder


def source_digest(*more: str) -> str:
    """What an installed ctrio depends on."""
    inputs = [ROOT / name for name in (*SOURCES, "pyproject.toml")]
    return digest(os.environ.get("CC", ""), *more, *inputs)


def ensure_ctrio() -> Path:
    """build/venv with the release build of ctrio in it, by way of a wheel."""
    venv = ensure_venv()
    stamp, value = venv / ".ctrio-stamp", source_digest()
    with lock("py-release"):
        if not is_stamped(stamp, value):
            say("building ctrio for build/venv")
            stamp.unlink(missing_ok=True)
            # Meson's reconfiguring refuses an option that is new.
            if not is_stamped(venv / ".options-stamp", digest(ROOT / "meson.options")):
                shutil.rmtree(BUILD / "py-release", ignore_errors=True)
                (venv / ".options-stamp").write_text(digest(ROOT / "meson.options"))
            path = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
            options = ["-Cbuild-dir=build/py-release", f"-Ccompile-args={JOBS}"]
            options += ["--no-build-isolation", "--no-deps", "--force-reinstall"]
            pip("install", *options, ".", log="py-release", env={"PATH": path})
            stamp.write_text(value)
    return venv


def ensure_other(name: str, python: Python, *setup: str) -> Path:
    """build/venv-<name>: another CPython with the test tools and ctrio in it.

    Args:
        name: also names the build folder, build/py-<name>.
        python: the interpreter.
        setup: arguments for `meson setup`.
    """
    venv = make_venv(f"venv-{name}", python, "run", optional=["optional"])
    stamp, value = venv / ".ctrio-stamp", source_digest(*setup)
    if is_stamped(stamp, value):
        return venv
    say(f"building ctrio for build/{venv.name}")
    stamp.unlink(missing_ok=True)
    native, site = BUILD / f"py-{name}.ini", site_packages(venv)
    native.write_text(f"[binaries]\npython = '{venv_python(venv)}'\n")
    options = [f"--native-file={native}", "-Dpython=enabled", "-Dtests=false"]
    options += [f"-Dpython.platlibdir={site}", f"-Dpython.purelibdir={site}"]
    folder = meson_build(f"py-{name}", *options, *setup)
    shutil.rmtree(site / "ctrio", ignore_errors=True)
    meson = [BUILD / "venv/bin/meson", "install", "-C", folder, "--no-rebuild"]
    run([*meson, "--tags", "python-runtime"], f"py-{name}", append=True)
    stamp.write_text(value)
    return venv


def ensure_examples() -> Path:
    """The C programs of examples/, as whoever deploys them would build them."""
    ensure_venv()
    options = ["-Dpython=disabled", "-Dtests=false", "-Dexamples=true"]
    release = ["-Dbuildtype=release", "-Doptimization=2"]
    return meson_build("examples", *options, *release) / "examples/c"


STEPS = {
    "venv": ensure_venv,
    "trio": ensure_trio,
    "peers": ensure_peers,
    "ctrio": ensure_ctrio,
    "examples": ensure_examples,
}


def main() -> int:
    """Do the steps named on the command line."""
    if sys.version_info[:2] < (3, 10):  # noqa: UP036
        print("Python 3.10 or later is needed: make PYTHON=...", file=sys.stderr)
        return 1
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", nargs="+", choices=STEPS)
    try:
        for step in parser.parse_args().step:
            STEPS[step]()
    except (SetupError, BuildError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
