"""The calls that this process has made and that have not returned: what they are, and cancelling all of them."""

from __future__ import annotations

from typing import Any

from nbactors import engine
from nbactors.options.checks import check_bool

__all__ = ["cancel_all", "pending_calls"]


def pending_calls() -> list[dict[str, Any]]:
    """Return a row for each call of this process that has not returned; none where no session is open. Never blocks.

    Returns:
        `call` (such as "Counter.increment"), `actor_id` (hexadecimal digits, "" for a task), `sent` (False while it
        waits here: for its arguments, its actor or a worker), `plain` (True for a method of an actor without `async
        def`: cancelling does not end it once it runs, unless it is interrupted).
    """
    running = engine.running()
    if running is None:
        return []
    return [
        {"call": call.label, "actor_id": call.actor_id.hex(), "sent": call.sent, "plain": call.plain}
        for call in running.pending_calls()
    ]


def cancel_all(*, force: bool = False, interrupt: bool = False) -> int:
    """Cancel every call of this process that has not returned, and what they have called. Returns at once.

    Args:
        force: End the processes of tasks that run; calls of actors are cancelled without it.
        interrupt: Raise KeyboardInterrupt inside running plain methods too, see `nbactors.cancel`.

    Returns:
        How many were cancelled.

    Raises:
        TypeError: An argument is no bool.
        ValueError: Both are asked for.
    """
    for name, value in (("force", force), ("interrupt", interrupt)):
        check_bool({name: value}, name)
    if force and interrupt:
        raise ValueError("cancel_all(force=True, interrupt=True): either end the processes, or interrupt what runs.")
    running = engine.running()
    return running.cancel_all(force, interrupt) if running is not None else 0
