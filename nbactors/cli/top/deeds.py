"""What the keys of `nbactors top` do. Each function may block, runs in a thread, and returns a text for the user."""

from __future__ import annotations

from nbactors.exceptions import NodeMissingError, RayError
from nbactors.util import actor_log, calls, state

LOG_LINES = 500
"""The last lines of a log that are shown."""

ERRORS = (ValueError, OSError, NodeMissingError, RayError)
"""What the functions here raise if something cannot be done; the text tells why."""


def cancel(task_id: str) -> str:
    """Cancel a call, and interrupt it if it runs."""
    return {"CANCELLED": "cancelled", "ENDED": "had ended"}[calls.cancel_call(task_id, interrupt=True)]


def interrupt(actor_id: str) -> str:
    """Interrupt all that runs in an actor."""
    count = calls.interrupt_actor(actor_id)
    return f"{count} call{'' if count == 1 else 's'} interrupted" if count else "nothing runs in it"


def kill(actor_id: str) -> str:
    """End an actor."""
    calls.kill_actor(actor_id)
    return "ended"


def stack(actor_id: str) -> str:
    """Return what an actor does now."""
    return state.stack(actor_id) or "Nothing runs."


def log(actor_id: str) -> str:
    """Return the end of an actor's log."""
    found = state.actor_logs(actor_id)
    return ("".join(actor_log.read(found[-1], LOG_LINES, False)) if found else "") or "It has printed nothing."
