"""The pending calls of this process, which it has made and which have not returned: listing and cancelling them."""

from __future__ import annotations

from typing import Any

from nbactors import engine
from nbactors.options.checks import check_bool

__all__ = ["cancel_all", "pending_calls"]


def pending_calls() -> list[dict[str, Any]]:
    """Return a row for each call of this process that has not returned; none where no session is open. Never blocks.

    Returns:
        `call` (such as "Counter.increment"), `actor_id` (hexadecimal digits, "" for a task), `sent` (False while it
        waits in this process for its arguments, its actor or a worker), `plain` (True for a method of an actor without
        `async def`: once it runs, only an interrupt ends it).
    """
    running = engine.running()
    if running is None:
        return []
    return [
        {"call": call.label, "actor_id": call.actor_id.hex(), "sent": call.sent, "plain": call.plain}
        for call in running.pending_calls()
    ]


def cancel_all(*, force: bool = False, interrupt: bool = False) -> int:
    """Cancel every pending call of this process, and the calls that these have made. Returns at once.

    Args:
        force: End the processes of running tasks. Calls of actors are cancelled as without it.
        interrupt: Raise KeyboardInterrupt in running plain methods, too; see `nbactors.cancel`.

    Returns:
        How many calls were cancelled.

    Raises:
        TypeError: An argument is no bool.
        ValueError: Both arguments are True.
    """
    for name, value in (("force", force), ("interrupt", interrupt)):
        check_bool({name: value}, name)
    if force and interrupt:
        raise ValueError("cancel_all(force=True, interrupt=True): either end the processes, or interrupt what runs.")
    running = engine.running()
    return running.cancel_all(force, interrupt) if running is not None else 0
