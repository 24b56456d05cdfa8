"""What the tests of the compiled part share: which of its functions have met the usual case, and what a call has."""

from __future__ import annotations

from typing import Any

from members import Session

from nbactors.local.connections.connection import Connection
from nbactors.local.submitting.pending_call import PendingCall
from nbactors.local.wire import messages


def only(session: Session) -> tuple[PendingCall, Connection]:
    """Return the one call in flight, and its connection."""
    (call,) = session.pending_calls()
    (connection,) = session.peers.outgoing()
    return call, connection


def attributes(thing: Any, *hidden: str) -> dict[str, Any]:
    """Return the values of all slots but some, with the names of the classes of objects."""
    names = {name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())}
    plain = (int, float, bytes, str, tuple, dict, type(None))
    values = {name: getattr(thing, name) for name in names - {"__weakref__", *hidden}}
    return {name: value if type(value) in plain else type(value).__name__ for name, value in values.items()}


def work(number: int) -> int:
    """A task that never runs: the test answers it."""
    return number


class Parent:
    """A job that makes calls."""

    task_id = b"t" * 24

    def __init__(self) -> None:
        self.children: Any = {}
        self.message = messages.Call(1, "parent", b"", origin=7)


class Node:
    """A class with attributes of the names of slots."""

    call = _doomed = None
