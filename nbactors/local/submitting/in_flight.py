"""`InFlight`: the submitter's record with its connection to a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.submitting.pending_call import PendingCall


class Submitting(Protocol):
    """The target of calls, see `Target`."""

    def answered(self, connection: Connection) -> None:
        """Send more calls, since some have returned."""


class InFlight:
    """The calls that were sent on one connection and have no answer yet. `Connection.in_flight` holds the record.

    Attributes:
        calls: The calls, by number.
        answering: The call whose answer the leader's thread handles now; None after the handling is complete.
        retried: The answer because of which a call was last put back into its queue, see `Target.retry`.
        answered: The target of the calls whose answers the leader's thread has handled in the current batch.
        insisted: The monotonic time until which to signal the worker for a call, by the call's number; see `insist`.
        insisting: Whether a timer for the next signal is set.
        functions: The keys of the functions that the worker knows.
        on_close: Called with (connection, why) when the connection is closed.
        pid: The worker's process number, 0 if it is unknown.
    """

    __slots__ = ("answered", "answering", "calls", "functions", "insisted", "insisting", "on_close", "pid", "retried")

    def __init__(self) -> None:
        self.calls: dict[int, PendingCall] = {}
        self.answering: PendingCall | None = None
        self.retried: object = None
        self.answered: Submitting | None = None
        self.insisted: dict[int, float] = {}
        self.insisting = False
        self.functions: set[bytes] = set()
        self.on_close: Callable[[Connection, str], None] | None = None
        self.pid = 0
