"""Fixtures of the tests of connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from stepped_reactor import SteppedReactor
from two_sides import Files, Line


@pytest.fixture
def reactor() -> Iterator[SteppedReactor]:
    """A reactor whose steps the test takes."""
    made = SteppedReactor()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets."""
    made = socket.socketpair()
    yield made
    for sock in made:
        sock.close()


@pytest.fixture
def line(reactor: SteppedReactor) -> Iterator[Line]:
    """A connection of two peers."""
    made = Line(reactor)
    yield made
    made.close()


@pytest.fixture
def files() -> Iterator[Files]:
    """A maker of files with different sizes."""
    made = Files()
    yield made
    made.close()
