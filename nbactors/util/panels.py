"""`panel`: live panels of one actor, or of all actors of the session, in a notebook."""

from __future__ import annotations

from typing import Any

from nbactors.actor import ActorHandle
from nbactors.util import state

__all__ = ["Panel", "panel"]


class Panel:
    """What `panel` returns. A notebook shows it as a live panel, a terminal as text.

    Attributes:
        handle: The actor's handle, None for the panel of the session.
    """

    def __init__(self, handle: ActorHandle[Any] | None) -> None:
        self.handle = handle

    def __repr__(self) -> str:
        if self.handle is not None:
            return repr(self.handle)
        alive = len(state.list_actors(filters=[("state", "=", "ALIVE")], limit=state.MANY))
        return f"{'1 actor is' if alive == 1 else f'{alive:,} actors are'} alive; `nbactors list` shows what they do"


def panel(handle: ActorHandle[Any] | None = None) -> Panel:
    """Return a live panel of an actor, or of all actors of this session and the detached ones.

    As the last value of a cell it shows under the cell: state, running and queued calls with buttons that cancel them,
    CPU and memory. It goes on while cells run, and costs nothing while no page shows it. A saved notebook has
    the last state. The panel of an actor does not keep the actor alive.

    Args:
        handle: The actor's handle; None for the panel of the session.

    Raises:
        TypeError: `handle` is no actor handle.

    Example:
        >>> nbactors.panel(trainer)

    nbactors's own; in Ray the dashboard does this, in a page of its own. Any thread; shows under the cell that displays
    it.
    """
    if handle is not None and not isinstance(handle, ActorHandle):
        raise TypeError(f"panel() takes an actor's handle, or nothing for all actors. Got: {handle!r:.80}")
    return Panel(handle)
