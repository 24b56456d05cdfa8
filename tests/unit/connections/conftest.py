"""Fixtures of the tests of connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from stepped_reactor import SteppedReactor
from two_sides import Files, Line

from nbactors.local.connections.peer_connection import PeerConnection
from nbactors.speedups import compiled


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


@pytest.fixture(autouse=True, params=["python"] if compiled is None else ["python", "compiled"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections do the usual case by the steps in Python, and by the compiled part."""
    if request.param == "python":
        monkeypatch.setattr(PeerConnection, "_equip_line", lambda connection: None)


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have connections do all by the steps in Python, which a test may interrupt anywhere."""
    monkeypatch.setattr(PeerConnection, "_equip_line", lambda connection: None)


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
