"""`InFlight`: what a submitter keeps with the connection to a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.submitting.pending_call import PendingCall


class Submitting(Protocol):
    """Whom calls go to, see `Target`."""

    def answered(self, connection: Connection) -> None:
        """Calls have returned."""


class InFlight:
    """The calls that were sent on one connection and have no answer yet. `Connection.in_flight` holds the record.

    Attributes:
        calls: The calls, by number.
        answering: The call whose answer the leader's thread handles now, until all of it is done.
        answered: The target whose calls were answered by what the leader's thread handles now.
        insisted: Until when to signal the worker for a call, by number; see `insist`.
        insisting: Whether the next signal is due.
        functions: Keys of the functions that the worker knows.
        on_close: Called with (connection, why) when the connection has closed.
        pid: The worker's, 0 where it is not known.
    """

    __slots__ = ("answered", "answering", "calls", "functions", "insisted", "insisting", "on_close", "pid")

    def __init__(self) -> None:
        self.calls: dict[int, PendingCall] = {}
        self.answering: PendingCall | None = None
        self.answered: Submitting | None = None
        self.insisted: dict[int, float] = {}
        self.insisting = False
        self.functions: set[bytes] = set()
        self.on_close: Callable[[Connection, str], None] | None = None
        self.pid = 0
