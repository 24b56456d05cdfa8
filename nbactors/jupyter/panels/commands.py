"""What the buttons of panels do. Each may block and runs on a thread of its own."""

from __future__ import annotations

from typing import Any

from nbactors import exceptions
from nbactors.jupyter.panels.source import Answer
from nbactors.util import actor_log, calls, state
from nbactors.util.profiling import profile

LOG_LINES = 200
LOG_BYTES = 1 << 18
LOG_WIDTH = 2000
PROFILE_S = 3.0


def on_actor(command: dict[str, Any]) -> Answer:
    """Carry out a command about one actor or one call.

    Raises:
        RayError, ValueError, OSError: It cannot be done; the text tells why.
    """
    what = command["what"]
    if what == "cancel":
        return cancel([command["call"]])
    actor_id: str = command["actor"]
    if what == "interrupt":
        count = calls.interrupt_actor(actor_id)
        return Answer(True, f"{count} interrupted") if count else Answer(False, "Nothing runs in it now.")
    if what == "kill":
        calls.kill_actor(actor_id)
        return Answer(True)
    if what == "stack":
        return Answer(True, state.stack(actor_id) or "Nothing runs.")
    if what == "profile":
        return Answer(True, repr(profile(actor_id, PROFILE_S)))
    if what == "log":
        return Answer(True, _log(actor_id))
    return Answer(False, f"This kernel knows no command {what!r}: its nbactors is older than the panel.")


def interrupt_all(actor_ids: list[str]) -> Answer:
    """Interrupt all that runs in these actors."""
    problems, count = [], 0
    for actor_id in actor_ids:
        try:
            count += calls.interrupt_actor(actor_id)
        except (exceptions.RayError, ValueError, OSError) as error:
            problems.append(str(error))
    return Answer(not problems, "\n".join(problems) or f"{count} interrupted")


def cancel(task_ids: list[str]) -> Answer:
    """Cancel calls; synchronous methods are interrupted."""
    problems, outcomes = [], []
    for task_id in task_ids:
        try:
            outcomes.append(calls.cancel_call(task_id, interrupt=True))
        except (exceptions.RayError, ValueError, OSError) as error:
            problems.append(str(error))
    return Answer(not problems, "\n".join(problems or outcomes))


def _log(actor_id: str) -> str:
    rows = state.actor_logs(actor_id)
    lines = actor_log.last(rows[-1], LOG_LINES, LOG_BYTES) if rows else []
    return "\n".join(line.rpartition("\r")[2][:LOG_WIDTH] for line in lines) or "It has printed nothing yet."
