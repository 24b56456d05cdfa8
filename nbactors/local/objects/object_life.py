"""The life of an object, as one process sees it: a table, nothing else.

    PENDING ──ask──► ASKED        a borrower has asked the owner for the value
    PENDING, ASKED ──value──► READY
    PENDING, ASKED ──error──► FAILED     the task that makes it failed: `get` raises its exception
    PENDING, ASKED ──lost──► LOST        its owner died, or does not know it any more

READY, FAILED and LOST are final: an object is immutable. It is freed with the last reference, in any state.
"""

from __future__ import annotations

PENDING, ASKED, READY, FAILED, LOST = range(5)
"""States; those from READY on are final, so that `state >= READY` asks whether there is something to get."""

STATES = ("PENDING", "ASKED", "READY", "FAILED", "LOST")

ASK, VALUE, ERROR, LOSS = "ask", "value", "error", "loss"

TABLE: dict[str, dict[int, int]] = {
    ASK: {PENDING: ASKED},
    VALUE: {PENDING: READY, ASKED: READY},
    ERROR: {PENDING: FAILED, ASKED: FAILED},
    LOSS: {PENDING: LOST, ASKED: LOST},
}
"""What each event makes of each state that it may find."""
