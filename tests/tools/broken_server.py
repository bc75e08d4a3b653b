"""The example file server, run by ctrio with something broken.

python broken_server.py FAULT,FAULT PROGRAM [ARGUMENT ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

import ctrio

# Of each fault: a text of the program, and what stands there instead.
FAULTS = {
    "sends wrong bytes": ("h11.Data(data=data))\n", "h11.Data(data=data[::-1]))\n"),
    "times out early": ("() + options.timeout", "() + options.timeout / 4"),
    "times out late": ("() + options.timeout", "() + options.timeout + 1"),
    "gives no grace": ("() + options.grace", "()"),
    "gives more grace": ("() + options.grace", "() + options.grace + 1"),
    "forgets a crash": ("self.server.crashed += 1", "pass"),
    "leaks a task": ("return trio.lowlevel", "return 1 + trio.lowlevel"),
    "leaks a descriptor": ("    after =", "    os.open('.', 0)\n    after ="),
    "talks on stderr": ("    after =", "    print('?', file=sys.stderr)\n    after ="),
    "ends with status 3": ("    main()\n", "    main()\n    sys.exit(3)\n"),
}


def main() -> None:
    faults, program, *arguments = sys.argv[1:]
    source = Path(program).read_text(encoding="utf-8")
    for text, instead in map(FAULTS.__getitem__, filter(None, faults.split(","))):
        assert text in source, f"{program} has changed: no {text!r}"
        source = source.replace(text, instead)
    sys.argv = [program, *arguments]
    ctrio.install()
    exec(compile(source, program, "exec"), {"__name__": "__main__"})


main()
