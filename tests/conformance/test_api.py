"""Every public name, as real Trio has it: its signature, its members, its objects.

Real Trio comes out of the wheel, in a process of its own. What differs has to be listed
here, and what is listed has to differ.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import layout

DUMP = Path(__file__).with_name("api_dump.py")
Table = dict[str, dict[str, Any]]

LATER = """
    trio.DTLSChannel trio.DTLSChannelStatistics trio.DTLSEndpoint
    trio.NeedHandshakeError trio.Path trio.PosixPath trio.Process trio.SSLListener
    trio.SSLStream trio.WindowsPath trio.lowlevel.FdStream trio.lowlevel.open_process
    trio.open_file trio.open_ssl_over_tcp_listeners
    trio.open_ssl_over_tcp_stream trio.open_unix_socket trio.run_process
    trio.serve_ssl_over_tcp trio.wrap_file
"""
"""What ctrio does not have yet."""

OURS = {
    "trio.Nursery.cancel_scope",  # in Trio an attribute of instances only
    "trio.SocketStream.socket",  # the same
    "trio.install",
}

MEMBERS_OF_A_BASE = """
    trio.SocketStream.receive_some trio.SocketStream.send_all
    trio.SocketStream.wait_send_all_might_not_block
"""
"""Methods that say that they are those of our base class of their class."""

OTHERWISE = {
    ("trio.run", "parameters"): "has `strict_checkpoints` in addition",
    ("trio.lowlevel.reschedule", "parameters"): "no `next_send` is the same as None",
    ("TrioToken", "repr"): "Trio's shows its private parts",
    ("clock", "new attribute"): "refused in other words",
    ("open_nursery", "hash"): "Trio's is compared by value",
    ("open_nursery", "new attribute"): "refused",
    ("task_status", "new attribute"): "refused",
    ("fail_after outside of a run", "answer"): "refuses NaN at once",
}
"""Facts about names and objects that differ, and how."""


@cache
def tables(package: str) -> dict[str, Table]:
    """What `api_dump.py` finds in a package."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if package == "trio":
        environment["PYTHONPATH"] = str(layout.obtain_wheel())
    done = subprocess.run(
        [sys.executable, DUMP, package],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    found: dict[str, Table] = json.loads(done.stdout)
    return found


def is_later(name: str) -> bool:
    return any(name == top or name.startswith(f"{top}.") for top in LATER.split())


def is_allowed(name: str, fact: str, theirs: Any, ours: Any) -> bool:
    """Whether a difference is one of those that many names have."""
    if fact == "documented":
        return bool(ours)
    if fact == "where":
        # A builtin method has no module. Where Trio inherits a method, ours may be
        # the class's own.
        own = theirs is not None and theirs.startswith(name.rpartition(".")[0])
        return ours is None or ours == name or (own and name in MEMBERS_OF_A_BASE)
    return fact == "copy" and str(ours).startswith("TypeError: cannot pickle")


def differences(kind: str) -> set[tuple[str, str]]:
    """All that differ, each with what they are."""
    theirs, ours = tables("trio")[kind], tables("ctrio")[kind]
    found = {}
    for name in theirs.keys() & ours.keys():
        for fact in theirs[name].keys() | ours[name].keys():
            pair = theirs[name].get(fact), ours[name].get(fact)
            if pair[0] != pair[1] and not is_allowed(name, fact, *pair):
                found[name, fact] = pair
    for name, fact in found.keys() - OTHERWISE.keys():
        print(f"{name}, {fact}:\n  trio  {found[name, fact][0]!r}")
        print(f"  ctrio {found[name, fact][1]!r}")
    return set(found)


def test_every_public_name_is_there() -> None:
    ours, theirs = tables("ctrio")["names"], tables("trio")["names"]
    missing = {name for name in theirs.keys() - ours.keys() if not is_later(name)}
    assert not missing
    assert not {*LATER.split()} & ours.keys(), "to be taken off the list"
    assert {*LATER.split()} < theirs.keys()


def test_no_public_name_is_there_that_trio_has_not() -> None:
    assert tables("ctrio")["names"].keys() - tables("trio")["names"].keys() == OURS


@pytest.mark.parametrize("kind", ["names", "objects"])
def test_what_is_asked_of_it_is_answered_as_by_trio(kind: str) -> None:
    listed = {key for key in OTHERWISE if key[0] in tables("ctrio")[kind]}
    assert differences(kind) == listed


def test_the_same_objects_were_asked() -> None:
    assert tables("ctrio")["objects"].keys() == tables("trio")["objects"].keys()
    assert all(
        any(key[0] in tables("trio")[k] for k in tables("trio")) for key in OTHERWISE
    )


def test_a_coroutine_that_nobody_awaits_is_complained_of() -> None:
    ours = tables("ctrio")["objects"]
    dropped = {name for name in ours if name.startswith("a dropped call of ")}
    assert len(dropped) > 20
    for name in dropped:
        (text,) = ours[name]["warnings"]
        assert text.startswith("RuntimeWarning: coroutine '")
        assert text.endswith("' was never awaited")
