"""The life of a call or a task, as its submitter sees it: a table, nothing else.

WAITING ──ready──► QUEUED ──send──► SENT ──reply──► FINISHED
   │                 │  ▲             │ └──fail───► FAILED
   └──────fail───────┴──┼──────►      │
                        └──return─────┘   given back unstarted, or to be tried again
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
"""What each event makes of each state that it may find."""
