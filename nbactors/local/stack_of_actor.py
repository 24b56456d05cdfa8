"""Asks a worker for its stack. Needs no session, because it opens a connection of its own."""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Sequence
from time import monotonic

from nbactors import exceptions
from nbactors.local import sockets
from nbactors.local.wire import messages
from nbactors.local.wire.framing import MAX_PEER_FRAME, FrameBuffer, peer_codec
from nbactors.version import __version__

_FILE = re.compile(r'  File "(.+)", line (\d+), in ')


def of_actor(directory: str, rows: Sequence[messages.ActorRow], timeout: float) -> str:
    """Return the stack of an actor's process, as `ask` does. `rows` is the node's row for the actor, or empty.

    Raises:
        RayActorError: The actor is dead.
        ValueError: The actor has no process yet.
    """
    if not rows:
        raise ValueError("the node does not know this actor (any more)")
    row = rows[0]
    label = f"{row.class_name} {row.name or row.actor_id.hex()[:12]}"
    if row.state == "DEAD":
        raise exceptions.RayActorError(row.actor_id, f"{label} is dead, so it has no stack: {row.death_cause}")
    if not row.process_id:
        raise ValueError(f"{label} has no process yet: it waits for its resources ({row.state})")
    try:
        return ask(directory, row.process_id, timeout)
    except ConnectionError as error:
        raise ValueError(f"{label} has no stack: {error}") from error


def ask(directory: str, process_id: bytes, timeout: float) -> str:
    """Return the stack of a worker. Blocks. Any thread.

    Raises:
        TimeoutError: The worker has not replied within `timeout` seconds.
        ConnectionError: The worker is gone, or does not listen yet.
    """
    ends = monotonic() + timeout
    try:
        sock = sockets.connect(sockets.process_socket_path(directory, process_id), timeout)
    except TimeoutError:
        raise TimeoutError(_silent(timeout)) from None
    except OSError as error:
        raise ConnectionError(f"its process cannot be reached ({error.strerror or error})") from error
    codec, frames = peer_codec(), FrameBuffer(MAX_PEER_FRAME)
    with sock:
        sockets.check_peer(sock)
        hello = messages.Hello(messages.PROTOCOL_VERSION, os.urandom(16), os.getpid(), "peer", __version__)
        sock.sendall(codec.encode([hello, messages.AskStack()]))
        while True:
            sock.settimeout(max(0.001, ends - monotonic()))
            try:
                data = sock.recv(1 << 16)
            except TimeoutError:
                raise TimeoutError(_silent(timeout)) from None
            if not data:
                raise ConnectionError("its process has ended just now")
            for body in frames.feed(data):
                for message in codec.decode(body):
                    if isinstance(message, messages.StackText):
                        return _with_source(message.text)


def _silent(timeout: float) -> str:
    return (
        f"the actor's process has not sent its stack within {timeout:g} seconds: its code keeps the GIL (a C extension "
        "may), or the machine is very busy. `py-spy dump --pid PID` shows the stack; kill(handle) ends the actor"
    )


def _with_source(text: str) -> str:
    """Add source lines that the worker does not have: those of a notebook's cells are known in this process."""
    lines = text.split("\n")
    result = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        result.append(line)
        found = _FILE.match(line)
        if found and not following.startswith("    "):
            source = linecache.getline(found[1], int(found[2])).strip()
            if source:
                result.append(f"    {source}")
    return "\n".join(result)
