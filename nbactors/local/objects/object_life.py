"""The states of an object, as one process sees it: a table.

    PENDING ──ask──► ASKED        a borrower has asked the owner for the value
    PENDING, ASKED ──value──► READY
    PENDING, ASKED ──error──► FAILED     the task that makes the object has failed: `get` raises its exception
    PENDING, ASKED ──lost──► LOST        the owner has died, or does not know the object any more

READY, FAILED and LOST are final: an object is immutable. In any state it is freed with its last reference.
"""

from __future__ import annotations

PENDING, ASKED, READY, FAILED, LOST = range(5)
"""The states. READY and those after it are final, so `state >= READY` tells that `get` would return or raise."""

STATES = ("PENDING", "ASKED", "READY", "FAILED", "LOST")

ASK, VALUE, ERROR, LOSS = "ask", "value", "error", "loss"

TABLE: dict[str, dict[int, int]] = {
    ASK: {PENDING: ASKED},
    VALUE: {PENDING: READY, ASKED: READY},
    ERROR: {PENDING: FAILED, ASKED: FAILED},
    LOSS: {PENDING: LOST, ASKED: LOST},
}
"""The new state, by the event and the old state. An event does not apply to states that it does not list."""
