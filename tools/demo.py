"""The main job on real input: a Trio program run by ctrio, and by trio beside it.

    build/venv/bin/python tools/demo.py

The program is `examples/python/file_server.py`, which knows nothing of ctrio. Clients
that are neither ctrio nor trio (urllib in threads, curl, raw sockets) ask it for the
project's own pages, stall, crash it, and stop it in the middle of its work. The exit
status is 0 only if every check held.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from demo_server import (
    BOUND,
    PROGRAM,
    ROOT,
    Checks,
    Client,
    DemoError,
    Server,
    in_time,
    serve_files,
)

DOCS = ("*.md", "LICENSE", "changes/**/*", "docs/**/*", "examples/**/*")
BIG = 8 << 20  # More bytes than the buffers of a connection hold: 4 MB and 64 kB.
SMALL = 1024
CLIENTS = 200
STALLED = 20
TIMEOUT = 1.0  # For a request to be sent whole; shortened to keep the demo short.
GRACE = 5.0  # For running responses, after SIGINT: the server's own default.
LATE = 3.0  # Seconds that a busy machine may add to either.
LOADED = 40  # Connections that the speed is measured with.
SLICE = 0.4
BUSY = 0.85  # A server with less of a processor was held up by something else.
ENOUGH = 3  # Slices with a busy server that make a rate.
MOST = 40  # Slices until the machine is found too busy for one.
CRASH = re.compile(  # What the server reports of its one crash, from first to last.
    r"task '.+' crashed at /__crash__\n"
    r"Traceback \(most recent call last\):\n(?: .*\n)+"
    r"RuntimeError: this URL crashes on purpose"
)


@dataclass
class Column:
    """What the closing table says of one runner."""

    name: str
    command: list[str]
    served: int = 0
    compared: int = 0
    timed_out: int = 0
    crashed: int = 0
    cut_off: int = 0
    tasks: str = "?"
    descriptors: str = "?"
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def add_slice(self, requests: int, seconds: float, cpu: float) -> None:
        """Note a slice of the load; its rate counts only if the server set it."""
        self.cpu.append(cpu / requests * 1e6)
        self.busy.append(cpu / seconds)
        if self.busy[-1] >= BUSY:
            self.rates.append(requests / seconds)


def timed_out_at(client: Client) -> float:
    """Wait for the server to time a client out; the time, NaN if it does otherwise."""
    good = client.answer()[0] == 408 and client.hung_up()
    return time.monotonic() if good else math.nan


class Site:
    """A folder with a copy of the project's pages, and two files made for the demo."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: dict[str, bytes] = {}
        for path in sorted(set(itertools.chain(*map(ROOT.glob, DOCS)))):
            if path.is_file() and "__pycache__" not in path.parts:
                name = path.relative_to(ROOT)
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                url = "/" + urllib.parse.quote(name.as_posix())
                self.pages[url] = path.read_bytes()
        self.urls = list(self.pages)
        self.big = os.urandom(BIG)
        (folder / "big.bin").write_bytes(self.big)
        (folder / "small.bin").write_bytes(os.urandom(SMALL))


class Story:
    """One server's life, from its start to its end."""

    def __init__(self, column: Column, site: Site, checks: Checks) -> None:
        self.column = column
        self.site = site
        self.checks = checks
        self.answered = 0  # As the clients count; the server must agree.

    def tell(self) -> None:
        options = f"--timeout {TIMEOUT} --grace {GRACE} --crash".split()
        print(f"\n{shlex.join(self.column.command)} {PROGRAM} {' '.join(options)}")
        self.server = serve_files(self.column.command, self.site.folder, *options)
        with ExitStack() as stack:
            stack.callback(self.server.kill)
            self.fetch_by_urllib()
            self.fetch_by_curl()
            self.two_hundred(stack)
            self.stop(stack)

    def client(self, stack: ExitStack, receive_buffer: int = 0) -> Client:
        client = Client(self.server.port, receive_buffer)
        stack.callback(client.close)
        return client

    def count_good(self, good: int) -> None:
        self.answered += good
        self.column.compared += good

    def fetch_by_urllib(self) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def same(url: str) -> bool:
            full = f"http://127.0.0.1:{self.server.port}{url}"
            with opener.open(full, timeout=BOUND) as response:
                return bool(response.read() == self.site.pages[url])

        with ThreadPoolExecutor(8) as threads:
            good = sum(threads.map(same, self.site.urls))
        self.count_good(good)
        self.checks(
            good == len(self.site.pages) > 0,
            f"urllib in 8 threads fetched {good} of the project's"
            f" {len(self.site.pages)} pages, each byte for byte",
        )

    def fetch_by_curl(self) -> None:
        curl = shutil.which("curl")
        if curl is None:
            print("  there is no curl here: left out")
            return
        base = f"http://127.0.0.1:{self.server.port}"
        with tempfile.TemporaryDirectory(prefix="ctrio-demo-curl-") as folder:
            files = {url: Path(folder, str(n)) for n, url in enumerate(self.site.urls)}
            orders = [f'url = "{base}{u}"\noutput = "{files[u]}"\n' for u in files]
            options = ["-q", "-sS", "--fail", "--noproxy", "*", "-K", "-"]
            done = subprocess.run(
                [curl, *options], input="".join(orders), text=True, timeout=BOUND
            )
            good = sum(
                file.is_file() and file.read_bytes() == self.site.pages[url]
                for url, file in files.items()
            )
        self.count_good(good)
        self.checks(
            good == len(self.site.pages) and done.returncode == 0,
            f"curl fetched {good} of {len(self.site.pages)}, each byte for byte",
        )

    def two_hundred(self, stack: ExitStack) -> None:
        """Many clients at once: some stall, one crashes its handler."""
        clients = [self.client(stack) for _ in range(CLIENTS)]
        stalled = clients[:: CLIENTS // STALLED]
        crashing = clients[CLIENTS // 2 + 1]
        others = [c for c in clients if c not in stalled and c is not crashing]
        waiting = stack.enter_context(ThreadPoolExecutor(STALLED))
        stalls = []
        for client in stalled:  # Each has a clock of its own, which nothing else stops.
            begin = time.monotonic()
            client.send(b"GET /README.md HTTP/1.1\r\nHost:")
            stalls.append((begin, waiting.submit(timed_out_at, client)))
        crashing.ask("/__crash__")
        good = self.ask_all(others, shift=0)
        self.checks(
            good == len(others),
            f"{CLIENTS} connections at once: {good} of {len(others)} got their page"
            f" while {STALLED} stalled in their request",
        )
        crash = crashing.answer()[0] == 500 and crashing.hung_up()
        report = self.server.errors.wait_for(r"^task '(.+)' crashed at (.+)$")
        self.checks(
            crash and report[2] == "/__crash__" and "connection" in report[1],
            f"one handler crashed; the server reported it as task {report[1]!r}",
        )
        good = self.ask_all(others, shift=1)
        self.checks(
            good == len(others),
            f"it disturbed nobody: {good} of {len(others)} got the next page"
            " on the same connection",
        )
        times = [end.result() - begin for begin, end in stalls]
        ends = sum(in_time(taken, TIMEOUT, LATE) for taken in times)
        self.checks(
            ends == STALLED,
            f"{ends} of {STALLED} stalled clients were timed out in time"
            f" ({min(times):.2f} to {max(times):.2f} s;"
            f" the timeout is {TIMEOUT:.0f} s)",
        )

    def ask_all(self, clients: list[Client], shift: int) -> int:
        """Let all ask, then all read; return how many got the right page."""
        urls = itertools.islice(itertools.cycle(self.site.urls), shift, None)
        asked = list(zip(clients, urls))  # noqa: B905 (the urls are endless)
        for client, url in asked:
            client.ask(url)
        pages = self.site.pages
        good = sum(client.answer() == (200, pages[url]) for client, url in asked)
        self.count_good(good)
        return good

    def stop(self, stack: ExitStack) -> None:
        """SIGINT with idle clients, running responses, and one that never ends."""
        idle = [self.client(stack) for _ in range(5)]
        good = self.ask_all(idle, shift=0)
        running = [self.client(stack, receive_buffer=1 << 16) for _ in range(4)]
        for client in running:
            client.ask("/big.bin")
        statuses = [client.read_status() for client in running]
        begin = time.monotonic()
        self.server.interrupt()
        number = int(self.server.output.wait_for(r"^stopping: (\d+) responses")[1])
        self.checks(
            good == 5 and statuses == [200] * 4 and number == 4,
            f"SIGINT: the server counts {number} of 4 running responses",
        )
        self.checks(self.refuses(), "it accepts nobody any more")
        closed = sum(client.hung_up() for client in idle)
        self.checks(closed == 5, f"it hung up on {closed} of 5 idle clients")
        *finishing, never = running
        done = sum(client.read_rest() == self.site.big for client in finishing)
        self.count_good(done)
        self.checks(
            done == 3, f"{done} of 3 clients still got their {BIG >> 20} MB to the end"
        )
        status = self.server.wait()
        taken = time.monotonic() - begin
        rest = len(never.read_rest())
        self.checks(
            rest < BIG and in_time(taken, GRACE, LATE),
            f"the fourth read nothing and was cut off in time ({taken:.1f} s;"
            f" the grace is {GRACE:.0f} s)",
        )
        self.checks(status == 0, f"the server ended by itself with status {status}")
        self.judge_summary()

    def refuses(self) -> bool:
        try:
            Client(self.server.port).close()
        except ConnectionRefusedError:
            return True
        return False

    def judge_summary(self) -> None:
        column = self.column
        summary = self.server.output.wait_for(
            r"^served (\d+), timed out (\d+), crashed (\d+), cut off (\d+);"
            r" left over: tasks (-?\d+), descriptors (-?\w+)$"
        )
        print(f"  it says: {summary[0]}")
        numbers = [int(number) for number in summary.groups()[:4]]
        column.served, column.timed_out, column.crashed, column.cut_off = numbers
        column.tasks, column.descriptors = summary[5], summary[6]
        self.checks(
            numbers == [self.answered, STALLED, 1, 1],
            "which is what the clients counted",
        )
        known = ["0"] if os.path.isdir("/proc/self/fd") else ["0", "unknown"]
        self.checks(
            column.tasks == "0" and column.descriptors in known,
            "no task and no descriptor is left over",
        )
        errors = self.server.errors.text()
        self.checks(
            CRASH.fullmatch(errors) is not None,
            "its stderr holds that one crash and nothing else",
        )


class Generator:
    """The load generator, in a process of its own."""

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        ports = [str(server.port) for server in servers]
        program = str(ROOT / "tools" / "demo_load.py")
        self.process = subprocess.Popen(
            [sys.executable, program, "/small.bin", str(LOADED), *ports],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=BOUND)

    def say(self, *order: object) -> list[str]:
        """Give it an order, if any; return its next answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        if order:
            print(*order, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().split()

    def slice(self, which: int) -> tuple[int, float, float]:
        """Load a server for a while; return requests, seconds, its CPU seconds."""
        before = self.servers[which].cpu_seconds()
        answer = self.say(which, SLICE)
        if not answer:
            raise DemoError("the load generator gave up")
        cpu = self.servers[which].cpu_seconds() - before
        return int(answer[0]), float(answer[1]), cpu


def measure(columns: list[Column], site: Site, slices: int, checks: Checks) -> None:
    """Load the servers in turn, each for a slice of time, again and again."""
    print(
        f"\nspeed: {LOADED} keep-alive connections, a file of {SMALL} bytes,"
        f" {slices} slices of {SLICE} s each or more, in turn"
    )
    with ExitStack() as stack:
        servers = []
        for column in columns:
            servers.append(serve_files(column.command, site.folder))
            stack.callback(servers[-1].kill)
        load = stack.enter_context(Generator(servers))
        if load.say() != ["ready"]:
            raise DemoError("the load generator did not start")
        order = list(range(len(columns)))
        for number in range(max(slices, MOST) + 1):
            for which in order:
                figures = load.slice(which)
                if number:  # The first slice is for warming up.
                    columns[which].add_slice(*figures)
            order.reverse()
            if number >= slices and all(len(c.rates) >= ENOUGH for c in columns):
                break
        for column, server in zip(columns, servers, strict=True):
            server.interrupt()
            checks(server.wait() == 0, f"{column.name}: the loaded server ended well")
    for column in columns:
        checks(
            len(column.rates) >= ENOUGH,
            f"{column.name}: in {len(column.rates)} of {len(column.busy)} slices the"
            f" server had {BUSY:.0%} of a processor; it takes {ENOUGH} for a rate",
        )
    if any(len(column.rates) < ENOUGH for column in columns):
        print(
            "         Something else keeps the processors busy; try again without it."
        )


def speed_rows(columns: list[Column]) -> list[tuple[str, list[str]]]:
    """Return the rows of speed, with the first column as a multiple of the second."""
    rows: list[tuple[str, list[str]]] = []
    if not all(column.busy for column in columns):
        return rows
    for title, lists in (
        ("requests a second (median)", [column.rates for column in columns]),
        ("server CPU a request (median, µs)", [column.cpu for column in columns]),
    ):
        if min(map(len, lists)) < ENOUGH:
            rows.append((title, ["-" for _ in columns]))
            continue
        first, second = (statistics.median(values) for values in lists)
        ratio = f"{first / second:.2f} x {columns[1].name}"
        rows.append((title, [f"{first:.0f}", f"{second:.0f}", ratio]))
    busy = [f"{statistics.median(column.busy):.0%}" for column in columns]
    rows.append(("server busy while measured", busy))
    return rows


def table(columns: list[Column]) -> None:
    """Print what came of it, column beside column."""
    rows = [
        ("responses served", [str(c.served) for c in columns]),
        ("files compared, byte for byte", [str(c.compared) for c in columns]),
        ("slow clients timed out", [str(c.timed_out) for c in columns]),
        ("handlers crashed and contained", [str(c.crashed) for c in columns]),
        ("cut off when the grace was over", [str(c.cut_off) for c in columns]),
        ("left over: tasks", [c.tasks for c in columns]),
        ("left over: descriptors", [c.descriptors for c in columns]),
    ]
    rows += speed_rows(columns)
    print(f"\n{'':36}" + "".join(f"{column.name:>14}" for column in columns))
    for title, cells in rows:
        print(f"{title:36}" + "".join(f"{cell:>14}" for cell in cells))


def version(python: list[str], package: str) -> str:
    """Return the version of a package in another environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run(
        [python[0], "-c", code], capture_output=True, text=True, timeout=BOUND
    )
    return f"{package} {done.stdout.strip() or 'of unknown version'}"


def choose() -> tuple[list[Column], int]:
    """Read the options; return a column for each runner, and the slices of speed."""
    parser = argparse.ArgumentParser(description="The main job, on real input.")
    here = ROOT / "build"
    runner = f"{here / 'venv/bin/python'} -m ctrio"
    peer = f"{here / 'venv-trio/bin/python'}"
    parser.add_argument("--runner", default=runner, help="runs the program by ctrio")
    parser.add_argument("--peer", default=peer, help="runs it by trio")
    parser.add_argument("--slices", type=int, default=8, help="of time, for the speed")
    options = parser.parse_args()
    columns = [
        Column("ctrio" if "ctrio" in options.runner else "runner", []),
        Column("trio", []),
    ]
    for column, command in zip(columns, [options.runner, options.peer], strict=True):
        column.command = shlex.split(command)
        if shutil.which(column.command[0]) is None:
            sys.exit(f"{column.command[0]} is missing; `make demo` makes it")
    return columns, max(options.slices, 1)


def main() -> int:
    begin = time.monotonic()
    columns, slices = choose()
    checks = Checks()
    print("A file server written for trio, run by ctrio and then by trio.")
    print(", ".join(version(c.command, c.name) for c in columns if c.name != "runner"))
    with tempfile.TemporaryDirectory(prefix="ctrio-demo-") as folder:
        site = Site(Path(folder).resolve())
        try:
            for column in columns:
                Story(column, site, checks).tell()
            if len(os.sched_getaffinity(0)) > 1:
                measure(columns, site, slices, checks)
            else:
                print("\nspeed is left out: server and clients share one processor")
            table(columns)
        except (DemoError, OSError, subprocess.SubprocessError) as error:
            checks(False, f"stopped by {type(error).__name__}: {error}")
    status = checks.sum_up(begin)
    if status == 0:
        print("Run a Trio program of your own on ctrio:  python -m ctrio app.py")
    return status


if __name__ == "__main__":
    sys.exit(main())
