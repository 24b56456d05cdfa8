"""`PeerState`: what a process keeps with a connection to a peer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection


class PeerState:
    """What a process keeps with a connection to a peer.

    Attributes:
        calls: Calls in flight on it, by number.
        answering: The call whose answer is being handled now, until all of it is done.
        answered: Whose calls were answered by what is being handled now.
        insisted: Until when to signal the peer for a call, by number, see `PendingCall.insist`.
        insisting: Whether the next signal is due.
        granted: Numbers of the segment holds that the peer has.
        listeners: What waits here to answer the peer, each with the entry or stream that it waits for.
        functions: Keys of the functions that the peer knows.
        on_close: Called with (connection, why) when it has closed.
        outgoing: Whether this process made the connection.
        pid: The peer's process id, 0 where it is not known.
        waiting: In a worker: the peer's calls that have not begun, by number. Whoever takes one out decides what
            becomes of it: the thread that runs it, or the one that cancels it or gives it back.
        running: In a worker: the peer's calls that run.
    """

    __slots__ = (
        "answered",
        "answering",
        "calls",
        "functions",
        "granted",
        "insisted",
        "insisting",
        "listeners",
        "on_close",
        "outgoing",
        "pid",
        "running",
        "waiting",
    )

    def __init__(self, outgoing: bool) -> None:
        self.calls: dict[int, Any] = {}
        self.answered: Any = None
        self.answering: Any = None
        self.insisted: dict[int, float] = {}
        self.insisting = False
        self.granted: set[int] = set()
        self.listeners: dict[Any, Any] = {}
        self.functions: set[bytes] = set()
        self.on_close: Callable[[Connection, str], None] | None = None
        self.outgoing = outgoing
        self.pid = 0
        self.waiting: dict[int, Any] = {}
        self.running: dict[int, Any] = {}
