"""The states of a call or a task, as its submitter sees it: a table.

WAITING ──ready──► QUEUED ──send──► SENT ──reply──► FINISHED
   │                 │  ▲             │ └──fail───► FAILED
   └──────fail───────┴──┼──────►      │
                        └──return─────┘   the worker has given it back unstarted, or it is to be tried again
"""

from __future__ import annotations

WAITING, QUEUED, SENT, FINISHED, FAILED = range(5)

STATES = ("WAITING", "QUEUED", "SENT", "FINISHED", "FAILED")

READY, SEND, REPLY, FAIL, RETURN = "ready", "send", "reply", "fail", "return"

TABLE: dict[str, dict[int, int]] = {
    READY: {WAITING: QUEUED},
    SEND: {QUEUED: SENT},
    REPLY: {SENT: FINISHED},
    FAIL: {WAITING: FAILED, QUEUED: FAILED, SENT: FAILED},
    RETURN: {SENT: QUEUED},
}
"""The new state, by the event and the old state. An event does not apply to states that it does not list."""
