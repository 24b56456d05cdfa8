"""Without a free descriptor nobody can be accepted: nobody spins meanwhile, and it goes on when there is one again."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from raw_session import RawSession, is_gone

from nbactors.local import sockets
from nbactors.local.access import discovery
from nbactors.local.access.control import ControlClient
from nbactors.local.connections import peers
from nbactors.local.wire import messages
from nbactors.testing import eventually

WATCHED_S = 1.0
BUSY_S = 0.3
"""Processor time in that: a process that spins takes nearly all of it."""

SESSION = """
import os, socket, threading, time
import nbactors as ray
from nbactors import engine
from nbactors.local import sockets

ray.init(num_cpus=1)
process = engine.current().process
client = socket.socket(socket.AF_UNIX)
client.settimeout(20)
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
client.connect(sockets.process_socket_path(process.directory, process.process_id))
before = time.process_time()
threading.Event().wait(%s)
busy = time.process_time() - before
for fd in held:
    os.close(fd)
client.sendall(b"\\xff" * 8)  # no frame: who has accepted it closes it
try:
    answer = client.recv(1)
except ConnectionResetError:
    answer = b""
print(busy, answer)
ray.shutdown()
"""


@pytest.mark.slow
def test_a_session_without_descriptors_does_not_spin_and_accepts_later() -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 4096))\n"
    done = subprocess.run(
        [sys.executable, "-c", limit + SESSION % WATCHED_S], capture_output=True, text=True, timeout=40, check=True
    )
    busy, answer = done.stdout.split()
    assert float(busy) < BUSY_S
    assert answer == "b''"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sets the limit of another process")
def test_a_node_without_descriptors_does_not_spin_and_accepts_later() -> None:
    session = RawSession()
    node = psutil.Process(session.welcome.pid)
    soft, hard = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)
    late: list[ControlClient] = []
    try:
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (3, hard))
        connecting = discovery.find_node()
        assert connecting is not None
        before = sum(node.cpu_times()[:2])
        threading.Event().wait(WATCHED_S)
        assert sum(node.cpu_times()[:2]) - before < BUSY_S
        # Those that it knows are served.
        assert isinstance(session.request(messages.Query(session.next_rid(), "nodes")), messages.Listing)
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (soft, hard))
        late.append(ControlClient(connecting, "cli", b"", timeout_s=10.0))
        assert isinstance(late[0].request(messages.Query(late[0].next_rid(), "nodes")), messages.Listing)
    finally:
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (soft, hard))
        for client in [session, *late]:
            client.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sets the limit of another process")
def test_a_forkserver_without_a_descriptor_fails_with_the_limit_as_its_reason() -> None:
    with RawSession() as session:
        pid = session.create_up().pid
        forkserver = psutil.Process(pid).parent()
        assert forkserver is not None
        (spare,) = eventually(lambda: [child for child in forkserver.children() if child.pid != pid])
        node = session.welcome.pid
        soft, hard = resource.prlimit(node, resource.RLIMIT_NOFILE)
        forkserver.kill()
        # Until the spare has begun, it has the socket by whose end the node knows.
        eventually(lambda: is_gone(forkserver.pid) and is_gone(spare.pid))
        try:
            resource.prlimit(node, resource.RLIMIT_NOFILE, (3, hard))
            session.create()
            text = session.receive(messages.ActorDown).text
        finally:
            resource.prlimit(node, resource.RLIMIT_NOFILE, (soft, hard))
        assert "no process that forks workers can be started (Too many open files): raise the limit" in text


@pytest.mark.slow
def test_a_silent_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a session's or worker's own socket. The node's has this rule, too: see the tests of its state."""
    import nbactors as ray
    from nbactors import engine

    monkeypatch.setattr(peers, "HELLO_WITHIN_S", 0.2)
    ray.init(num_cpus=1)
    try:
        process = engine.current().process  # type: ignore[attr-defined]
        path = Path(sockets.process_socket_path(process.directory, process.process_id))
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(10)
            stranger.connect(str(path))
            assert stranger.recv(1) == b""
    finally:
        ray.shutdown()
