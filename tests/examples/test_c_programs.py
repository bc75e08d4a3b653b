"""The C pool, crawler, supervisor and kitchen, against servers of the tests' own."""

from __future__ import annotations

import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from subprocess import PIPE, Popen

from c_programs import BOUND, Peer, folder, run


def lines(connection: socket.socket) -> Iterator[str]:
    with connection.makefile("r") as file:
        yield from file


def test_the_kitchen_serves_as_its_python_twin_does() -> None:
    done = run("kitchen")
    said = "here comes the soup\nhere comes the bread\nno pudding today\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


# --- pool ----------------------------------------------------------------------------


class Oracle(Peer):
    """Answers each line, but for what `answer` does not."""

    def serve(self, connection: socket.socket, number: int) -> None:
        with closing(lines(connection)) as questions:
            for question in questions:
                answer = self.answer(int(question.split()[1]))
                if answer is None:
                    return
                connection.sendall(answer)

    def answer(self, number: int) -> bytes | None:
        return b"%d is a fine number\n" % number


def answers(output: str) -> dict[int, str]:
    found = re.findall(r"^(\d+): (.+)$", output, re.M)
    return {int(number): answer for number, answer in found}


def test_the_pool_asks_all_questions_over_a_few_connections() -> None:
    with Oracle() as peer:
        done = run("pool", "127.0.0.1", peer.port, 200, 4)
    assert (done.returncode, done.stderr) == (0, "")
    assert answers(done.stdout) == {n: f"{n} is a fine number" for n in range(200)}
    assert done.stdout.endswith("connections opened: 4\n")
    assert peer.accepted == 4


class HangsUp(Oracle):
    """Hangs up on question 5, in the middle of the answer."""

    def serve(self, connection: socket.socket, number: int) -> None:
        with closing(lines(connection)) as questions:
            for question in questions:
                which = int(question.split()[1])
                if which == 5:
                    connection.sendall(b"half an ans")
                    return
                connection.sendall(b"%d is a fine number\n" % which)


def test_the_pool_does_not_reuse_a_connection_that_broke() -> None:
    with HangsUp() as peer:
        done = run("pool", "127.0.0.1", peer.port, 20, 1)
    assert (done.returncode, done.stderr) == (0, "")
    said = answers(done.stdout)
    assert said.pop(5) == "the server hung up"
    assert said == {n: f"{n} is a fine number" for n in range(20) if n != 5}
    assert peer.accepted == 2


class Slow(Oracle):
    """Answers question 3 when it is too late: once the next connection is there."""

    def __init__(self) -> None:
        self.second = threading.Event()
        super().__init__()

    def serve(self, connection: socket.socket, number: int) -> None:
        if number == 1:
            self.second.set()
        super().serve(connection, number)

    def answer(self, number: int) -> bytes | None:
        if number == 3:
            self.second.wait()
        return super().answer(number)


def test_the_pool_takes_no_late_answer_for_that_to_another_question() -> None:
    with Slow() as peer:
        done = run("pool", "127.0.0.1", peer.port, 8, 1, 0.5)
    assert (done.returncode, done.stderr) == (0, "")
    said = answers(done.stdout)
    assert said.pop(3) == "no answer in time"
    for number, answer in said.items():
        assert answer in (f"{number} is a fine number", "no answer in time")
    assert peer.accepted >= 2


def test_the_pool_fails_without_a_server() -> None:
    with Oracle() as peer:
        port = peer.port
    done = run("pool", "127.0.0.1", port, 10, 2)
    assert done.returncode == 1
    assert "Connection refused" in done.stderr
    assert done.stdout == "connections opened: 0\n"


# --- crawler -------------------------------------------------------------------------


class Site(Peer):
    """Serves /page/N over HTTP/1.0, ten bytes each."""

    def __init__(self) -> None:
        self.asked: set[int] = set()
        super().__init__()

    def serve(self, connection: socket.socket, number: int) -> None:
        with closing(lines(connection)) as head:
            page = re.match(r"GET /page/(\d+) HTTP/1.0", next(head))
            assert page is not None
            self.asked.add(int(page[1]))
            self.answer(connection, number)

    def answer(self, connection: socket.socket, number: int) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\n" + b"x" * 10)


class Refusing(Site):
    """Refuses the third that comes; the others wait, until they are broken off."""

    def answer(self, connection: socket.socket, number: int) -> None:
        if number == 2:
            connection.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n")
        while connection.recv(1 << 16):
            pass


def test_the_crawler_fetches_every_page() -> None:
    with Site() as site:
        done = run("crawler", "127.0.0.1", site.port, 60, 5)
    assert (done.returncode, done.stdout, done.stderr) == (0, "600 bytes\n", "")
    assert site.asked == set(range(60))
    assert site.accepted == 60


def test_the_crawlers_first_failure_stops_the_others() -> None:
    with Refusing() as site:
        done = run("crawler", "127.0.0.1", site.port, 60, 5)
    assert (done.returncode, done.stdout) == (1, "0 bytes\n")
    assert "the server says: HTTP/1.0 404 Not Found" in done.stderr
    assert 3 <= site.accepted <= 5  # It had not begun with any other.


# --- supervisor ----------------------------------------------------------------------


def pauses(output: str, service: str) -> list[float]:
    pattern = rf"^{service}: failed: .+; again in ([\d.]+) s$"
    return [float(pause) for pause in re.findall(pattern, output, re.M)]


def test_the_supervisor_gives_up_after_so_many_failures_and_ends_the_others() -> None:
    done = run("supervisor", 4, 0.001)
    assert done.returncode == 1
    assert len(pauses(done.stdout, "flaky")) == 3
    assert "flaky: failed: lost the feed; given up\n" in done.stdout
    assert "steady: told to stop\n" in done.stdout
    assert "lost the feed" in done.stderr
    assert "supervisor of flaky" in done.stderr


def test_the_supervisors_pauses_double_up_to_the_longest() -> None:
    first, longest = 0.001, 0.004
    done = run("supervisor", 6, first, longest)
    found = pauses(done.stdout, "flaky")
    assert len(found) == 5
    for i, pause in enumerate(found):
        whole = min(first * 2**i, longest)
        assert 0.5 * whole - 1e-4 <= pause <= whole + 1e-4


def test_the_supervisor_keeps_what_settles() -> None:
    done = run("supervisor", 3, 0.001)
    assert len(pauses(done.stdout, "settling")) == 2
    assert "settling: failed: not ready yet; given up" not in done.stdout


def test_an_interrupt_ends_the_supervisor_with_its_services() -> None:
    command = [str(folder() / "supervisor"), "1000", "0.001"]
    with Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process:
        watchdog = threading.Timer(BOUND, process.kill)
        watchdog.start()
        assert process.stdout is not None
        for line in process.stdout:
            if line == "settling: it runs\n":
                break
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=BOUND)
        watchdog.cancel()
    assert process.returncode == 130
    assert "steady: told to stop\n" in output
    assert errors == "supervisor: interrupted\n"
