"""Asks a process, such as a worker for its stack. Needs no session, because it opens a connection of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TypeVar

from nbactors import exceptions
from nbactors.exceptions.source_lines import with_sources
from nbactors.local import sockets
from nbactors.local.wire import messages
from nbactors.local.wire.framing import MAX_PEER_FRAME, FrameBuffer, peer_codec
from nbactors.version import __version__

A = TypeVar("A", messages.StackText, messages.Profile, messages.Objects, messages.Canceled, messages.Inspection)

ANSWER_S = 10.0
"""Seconds within which a worker sends a profile after the end of the sampling."""

NUDGE_S = 0.05
"""Seconds between two nudges of a process that does not answer."""


def of_actor(directory: str, rows: Sequence[messages.ActorRow], timeout: float) -> str:
    """Return the stack of an actor's process as text. For the arguments and errors see `ask_actor`."""
    answer = ask_actor(directory, rows, messages.AskStack(), messages.StackText, timeout)
    return with_sources(answer.text)


def profile_of_actor(
    directory: str, rows: Sequence[messages.ActorRow], seconds: float, interval: float
) -> messages.Profile:
    """Return the sampled stacks of an actor's process. For the arguments and errors see `ask_actor`."""
    question = messages.AskProfile(seconds, interval)
    return ask_actor(directory, rows, question, messages.Profile, seconds + ANSWER_S)


def inspection_of_actor(directory: str, rows: Sequence[messages.ActorRow], timeout: float) -> messages.Inspection:
    """Return what an actor's process does now. For the arguments and errors see `ask_actor`."""
    return ask_actor(directory, rows, messages.AskInspection(), messages.Inspection, timeout, "calls")


def ask_actor(
    directory: str,
    rows: Sequence[messages.ActorRow],
    question: messages.Peer,
    kind: type[A],
    timeout: float,
    lacks: str = "stack",
    nudge: Callable[[], None] | None = None,
) -> A:
    """Return the answer of an actor's process, as `ask` does.

    Args:
        directory: The node's directory.
        rows: The node's row for the actor, or empty.
        question: See `ask`.
        kind: See `ask`.
        timeout: See `ask`.
        lacks: What an actor without a process does not have, for the error's text.
        nudge: See `ask`.

    Raises:
        RayActorError: The actor is dead.
        ValueError: The actor has no process yet.
    """
    if not rows:
        raise ValueError("the node does not know this actor (any more)")
    row = rows[0]
    label = f"{row.class_name} {row.name or row.actor_id.hex()[:12]}"
    if row.state == "DEAD":
        raise exceptions.RayActorError(row.actor_id, f"{label} is dead, so it has no {lacks}: {row.death_cause}")
    if not row.process_id:
        raise ValueError(f"{label} has no process yet: it waits for its resources ({row.state})")
    try:
        return ask(directory, row.process_id, question, kind, timeout, nudge)
    except ConnectionError as error:
        raise ValueError(f"{label} has no {lacks}, since its process starts or ends: {error}") from error


def ask(
    directory: str,
    process_id: bytes,
    question: messages.Peer,
    kind: type[A],
    timeout: float,
    nudge: Callable[[], None] | None = None,
) -> A:
    """Return a process's answer to a question. Blocks. Any thread.

    Args:
        directory: The node's directory.
        process_id: The id of the session or worker.
        question: The message to send.
        kind: The type of the answer.
        timeout: Seconds to wait for the answer.
        nudge: Called every `NUDGE_S` until the answer comes.

    Raises:
        TimeoutError: The process has not replied within `timeout` seconds.
        ConnectionError: The process is gone, or does not listen yet.
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
        sock.sendall(codec.encode([hello, question]))
        while True:
            left = max(0.001, ends - monotonic())
            sock.settimeout(min(left, NUDGE_S) if nudge is not None else left)
            try:
                data = sock.recv(1 << 16)
            except TimeoutError:
                if nudge is not None and monotonic() < ends:
                    nudge()
                    continue
                raise TimeoutError(_silent(timeout)) from None
            if not data:
                raise ConnectionError("its process has ended just now")
            for body in frames.feed(data):
                for message in codec.decode(body):
                    if isinstance(message, kind):
                        return message


def _silent(timeout: float) -> str:
    return (
        f"the process has not answered within {timeout:g} seconds: its code keeps the GIL (a C extension may), it is "
        "stopped by a signal, or the machine is very busy. `py-spy dump --pid PID` shows the stack; kill(handle) ends "
        "the actor"
    )
