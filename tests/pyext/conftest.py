"""Fixtures of more than one file."""

from __future__ import annotations

import socket as stdlib_socket
from collections.abc import Iterator

import pytest
from datagrams import DATAGRAMS, Pair, ours


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connected sockets for datagrams."""
    left, right = stdlib_socket.socketpair(type=DATAGRAMS)
    with left, right:
        yield ours(left), ours(right)


@pytest.fixture(params=["127.0.0.1", "::1"])
def bound(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Two sockets for UDP, each with an address."""
    family = stdlib_socket.AF_INET6 if ":" in request.param else stdlib_socket.AF_INET
    if family == stdlib_socket.AF_INET6 and not stdlib_socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    with (
        stdlib_socket.socket(family, DATAGRAMS) as left,
        stdlib_socket.socket(family, DATAGRAMS) as right,
    ):
        left.bind((request.param, 0))
        right.bind((request.param, 0))
        yield ours(left), ours(right)
