#!/usr/bin/env python3
"""Makes real Trio under another name, to prove the bridge with it.

What passes in Trio itself has to pass through the bridge too:

    make_othertrio.py FOLDER
    run.py --impl othertrio --pythonpath FOLDER --all

FOLDER is best outside of the project, which does not contain Trio.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from layout import obtain_wheel, wheel_files, write_file

IMPORTS = (
    (r"^(\s*)import trio$", r"\1import {name} as trio"),
    (r"^(\s*)import trio\.([\w.]+)$", r"\1import {name}.\2; import {name} as trio"),
    (r"^(\s*)from trio([ .])", r"\1from {name}\2"),
)


def rename(source: str, name: str, *, own_name: bool) -> str:
    """Rename Trio in the source of one of its modules.

    Args:
        source: The source.
        name: The new name.
        own_name: Whether objects say the new name as their `__module__`. By default
            they say `trio`, as those of a drop-in replacement do.
    """
    for pattern, replacement in IMPORTS:
        source = re.sub(pattern, replacement.format(name=name), source, flags=re.M)
    # What follows is about Trio's function that sets __module__.
    source = source.replace('startswith("trio.")', f'startswith(("trio.", "{name}."))')
    if not own_name:
        say_trio = f'module_name = module_name.replace("{name}", "trio", 1)'
        source = source.replace("def fix_one(", f"{say_trio}\n    def fix_one(", 1)
    return source


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where to put the package")
    parser.add_argument("--name", default="othertrio")
    parser.add_argument("--wheel", type=Path, help="not downloaded, but this one")
    parser.add_argument(
        "--own-name", action="store_true", help="objects say NAME as __module__"
    )
    arguments = parser.parse_args()
    target = arguments.folder / arguments.name
    for path, content in wheel_files(arguments.wheel or obtain_wheel()):
        if "/_tests/" in path or "/_tools/" in path:
            continue
        file = target / path.removeprefix("trio/")
        if path.endswith(".py"):
            source = content.decode()
            renamed = rename(source, arguments.name, own_name=arguments.own_name)
            write_file(file, renamed)
        else:
            write_file(file, content)
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
