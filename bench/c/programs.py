"""Builds the programs of the C rows: ours and its peers, each as its makers advise.

Everything ends up in build/bench. What cannot be built here is left out with a line
that says why.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import bootstrap
from bootstrap import BuildError, SetupError
from compiled import compile_c, compiler
from setting import Program

HERE = Path(__file__).resolve().parent
BENCH = HERE.parent
ROOT = BENCH.parent
BUILD = ROOT / "build/bench"
OURS = "ctrio"
RAW = "raw epoll"
RELEASE = (
    "-Dbuildtype=release",
    "-Doptimization=2",
    "-Db_lto=true",
    "-Dpython=disabled",
    "-Dtests=false",
)


def release() -> Path:
    """The library as it is released, built into the folder that this returns.

    Raises:
        SetupError: this tree has no C front end.
    """
    if not (ROOT / "include/ctrio.h").is_file():
        raise SetupError("this tree has no C front end")
    return bootstrap.meson_build("bench-release", *RELEASE)


def first_line(*command: str) -> str:
    return subprocess.check_output(command, text=True).partition("\n")[0].strip()


def tool(name: str) -> str:
    """The path of a tool.

    Raises:
        SetupError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise SetupError(f"no {name} here")
    return path


def in_c() -> str:
    return first_line(*compiler(), "--version")


def build_ctrio(rows: Iterable[str]) -> tuple[Program, str]:
    library = release() / "libctrio.a"
    headers = [ROOT / "include/ctrio.h", *(ROOT / "include").rglob("*.h")]
    flags = [f"-I{ROOT / 'include'}", "-flto", str(library), "-pthread", "-lm"]
    worker = BUILD / "worker_ctrio"
    compile_c(HERE / "worker_ctrio.c", worker, flags, [library, *headers])
    described = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())
    version = described[1] if described else "?"
    program = worker_program(OURS, worker, rows, "ctrio_serve")
    return program, f"{version}, {in_c()}"


def build_go(rows: Iterable[str]) -> tuple[Program, str]:
    go, worker = tool("go"), BUILD / "worker_go"
    bootstrap.run(
        [go, "build", "-buildvcs=false", "-o", worker, "."], "bench-go", cwd=HERE / "go"
    )
    version = first_line(go, "env", "GOVERSION")
    return worker_program("go", worker, rows, "goroutines"), version


def build_tokio(rows: Iterable[str]) -> tuple[Program, str]:
    cargo, source = tool("cargo"), HERE / "tokio"
    options = ["--release", "--locked", "--target-dir", str(BUILD / "tokio")]
    bootstrap.run([cargo, "build", *options], "bench-tokio", cwd=source)
    locked = (source / "Cargo.lock").read_text()
    found = re.search(r'name = "tokio"\nversion = "([^"]+)"', locked)
    version = f"{found[1] if found else '?'}, {first_line('rustc', '--version')}"
    worker = BUILD / "tokio/release/worker_tokio"
    return worker_program("tokio", worker, rows, "current_thread"), version


def build_libuv(rows: Iterable[str]) -> tuple[Program, str]:
    asked = ["pkg-config", "--cflags", "--libs", "libuv"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode and bootstrap.apt_install("libuv1-dev", "pkg-config"):
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(bootstrap.missing("libuv", "libuv1-dev pkg-config"))
    server = BUILD / "echo_server_uv"
    compile_c(HERE / "echo_server_uv.c", server, done.stdout.split())
    version = first_line("pkg-config", "--modversion", "libuv")
    return server_program("libuv", server, "try_write"), f"{version}, {in_c()}"


def build_raw(rows: Iterable[str]) -> tuple[Program, str]:
    source, server = BENCH / "echo_server_raw.c", BUILD / "echo_server_raw"
    compile_c(source, server)
    return server_program(RAW, server, "epoll"), in_c()


def worker_program(
    label: str, worker: Path, rows: Iterable[str], variant: str
) -> Program:
    command = (str(worker),)
    return Program(label, command, frozenset(rows), (*command, "echo"), variant)


def server_program(label: str, server: Path, variant: str) -> Program:
    return Program(label, None, frozenset(), (str(server),), variant)


BUILDERS: dict[str, Callable[[Iterable[str]], tuple[Program, str]]] = {
    OURS: build_ctrio,
    "go": build_go,
    "tokio": build_tokio,
    "libuv": build_libuv,
    RAW: build_raw,
}


def build_all(rows: Iterable[str]) -> Iterator[tuple[Program, str]]:
    """Each program that can be built here, with its version."""
    BUILD.mkdir(parents=True, exist_ok=True)
    for label, build in BUILDERS.items():
        try:
            yield build(rows)
        except SetupError as problem:
            print(f"{label}: {problem}, left out", flush=True)
        except (BuildError, subprocess.CalledProcessError, OSError) as problem:
            if label == OURS:
                raise SystemExit(f"bench: {label} does not build: {problem}") from None
            reason = str(problem).splitlines()[-1]
            print(f"{label}: does not build here, left out: {reason}", flush=True)
