"""Whatever one session sends, the others are served: a real node, and a session that speaks the protocol by hand."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from chaos import Chaos, kinds_of_messages
from raw_session import RawSession

from nbactors.local.access import discovery
from nbactors.local.access.control import ControlClient
from nbactors.local.wire import ids, messages
from nbactors.local.wire.framing import MAX_CONTROL_BATCH, TooLongError, control_codec
from nbactors.version import __version__

SOON_S = 1.5
"""Far more than an answer takes, and far less than what is sent here would take if it were all handled first."""


@pytest.fixture
def innocent() -> Iterator[RawSession]:
    session = RawSession()
    with session:
        yield session


def ask(session: ControlClient) -> float:
    """Return how long the node takes to answer."""
    start = time.monotonic()
    answer = session.request(messages.Query(session.next_rid(), "available_resources"))
    assert isinstance(answer, messages.Listing)
    return time.monotonic() - start


def stranger(process_id: bytes) -> socket.socket:
    """Return a connection that has said Hello as a session."""
    sock = discovery.connect_node()
    hello = messages.Hello(messages.PROTOCOL_VERSION, process_id, 1, "session", __version__)
    sock.sendall(control_codec().encode([hello]))
    return sock


@pytest.mark.slow
def test_a_flood_of_queries_delays_no_other_session(innocent: RawSession) -> None:
    with RawSession() as flooding:
        for _ in range(500):
            flooding.create(placement={"never": 1.0})
        frame = control_codec().encode([messages.Query(1, "actors")] * MAX_CONTROL_BATCH)
        flooding._sock.setblocking(False)
        try:
            while True:
                flooding._sock.send(frame)
        except BlockingIOError:
            pass
        assert max(ask(innocent) for _ in range(20)) < SOON_S


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_frames_of_any_values_harm_no_other_session(innocent: RawSession, seed: int) -> None:
    kept = innocent.create_up()
    chaos = Chaos(seed, known=[])
    kinds, codec = kinds_of_messages(), control_codec()
    for _ in range(60):
        own = ids.new_process_id()
        chaos.known = [own]
        batch = [chaos.message(chaos.random.choice(kinds)) for _ in range(chaos.random.choice([1, 5]))]
        try:
            frame = codec.encode(batch)
        except TooLongError:  # no process can send it
            continue
        with stranger(own) as sock:
            try:
                sock.sendall(frame)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert ask(innocent) < SOON_S
    answer = innocent.request(messages.Query(innocent.next_rid(), "actors"))
    assert isinstance(answer, messages.Listing)
    (row,) = [row for row in answer.actors if row.process_id == kept.process_id]
    assert row.pid == kept.pid


@pytest.mark.slow
def test_a_session_that_sends_a_value_out_of_bounds_reads_why() -> None:
    with stranger(ids.new_process_id()) as sock:
        client = control_codec()
        sock.sendall(client.encode([messages.KillActor(-1, b"", no_restart=True)]))
        sock.settimeout(10)
        said = b""
        while data := sock.recv(1 << 16):
            said += data
        assert b"it does not understand what this process sent" in said
        assert b"Expected `int` >= 0" in said
