"""The C tests on other machines and another C library, by way of qemu-user.

Big endian, 32 bits, the switch of another processor, musl. What a target needs is
Debian's; without it, and without the right to install it, the target is skipped.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from bootstrap import BUILD, SetupError, apt_install, meson_build, missing
from c_build import Outcome, run_programs

HEADERS = ("linux", "asm", "asm-generic")


@dataclass(frozen=True)
class Target:
    """One machine that is not this one."""

    name: str
    compiler: str
    packages: tuple[str, ...]
    family: str = ""
    endian: str = "little"
    emulator: tuple[str, ...] = ()

    @property
    def triple(self) -> str:
        """What the compiler's name begins with."""
        return self.compiler.removesuffix("-gcc")


def emulated(name: str, libc: str, family: str, qemu: str, endian: str) -> Target:
    """A target that glibc knows and qemu runs."""
    triple = f"{name}-linux-gnu"
    packages = (f"gcc-{triple}", f"libc6-dev-{libc}-cross", "qemu-user-static")
    emulator = (f"qemu-{qemu}-static", "-L", f"/usr/{triple}")
    return Target(name, f"{triple}-gcc", packages, family, endian, emulator)


TARGETS = (
    emulated("s390x", "s390x", "s390x", "s390x", "big"),
    emulated("i686", "i386", "x86", "i386", "little"),
    emulated("aarch64", "arm64", "aarch64", "aarch64", "little"),
    Target("musl", "musl-gcc", ("musl-tools",)),
)


def ensure(target: Target) -> None:
    """Have a target's compiler and emulator.

    Raises:
        SetupError: they are not here and we may not install them.
    """
    needed = [target.compiler, *target.emulator[:1]]
    if all(map(shutil.which, needed)):
        return
    if not apt_install(*target.packages) or not all(map(shutil.which, needed)):
        raise SetupError(missing(target.compiler, " ".join(target.packages)))


def machine_file(target: Target) -> str:
    """Meson's option that names what describes the target."""
    folder = BUILD / "cross"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target.name}.ini"
    if not target.emulator:
        include = system_headers(folder / "musl-include")
        text = f"[binaries]\nc = '{target.compiler}'\n"
        text += f"[built-in options]\nc_args = ['-isystem', '{include}']\n"
        path.write_text(text)
        return f"--native-file={path}"
    words = ", ".join(f"'{word}'" for word in target.emulator)
    path.write_text(
        f"[binaries]\nc = '{target.compiler}'\nar = '{target.triple}-ar'\n"
        f"strip = '{target.triple}-strip'\nexe_wrapper = [{words}]\n"
        "[properties]\nneeds_exe_wrapper = true\n"
        f"[host_machine]\nsystem = 'linux'\ncpu_family = '{target.family}'\n"
        f"cpu = '{target.name}'\nendian = '{target.endian}'\n"
    )
    return f"--cross-file={path}"


def system_headers(folder: Path) -> Path:
    """The kernel's headers without the C library's: musl-gcc sees neither."""
    folder.mkdir(exist_ok=True)
    for name in HEADERS:
        found = [
            *Path("/usr/include").glob(name),
            *Path("/usr/include").glob(f"*/{name}"),
        ]
        link = folder / name
        if found and not link.is_symlink():
            link.symlink_to(found[0])
    return folder


def cross() -> Outcome:
    """Build and run the C tests for each target that can be had."""
    total, notes = Outcome(), []
    for target in TARGETS:
        try:
            ensure(target)
        except SetupError as reason:
            total.skipped += 1
            total.details.append(f"{target.name} skipped: {reason}")
            continue
        options = ("-Dpython=disabled", "-Dwerror=true", machine_file(target))
        compiler = "" if target.emulator else target.compiler
        folder = meson_build(f"cross-{target.name}", *options, compiler=compiler)
        found = run_programs(folder, most=10000) or Outcome()
        total.passed += found.passed
        total.failed += found.failed
        total.skipped += found.skipped
        total.details += [f"{target.name}: {text}" for text in found.details]
        notes.append(f"{target.name} {found.passed}")
    total.note = ", ".join(notes)
    return total
