"""The card of a new actor, which is shown again once the actor has started or failed to."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from typing import Any

from nbactors.actor import ActorHandle
from nbactors.frontend import calling_cell
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.painter import painter
from nbactors.jupyter.panels import display
from nbactors.views import description
from nbactors.views.summaries import ActorFacts

FIRST_S, LAST_S = 0.05, 2.0
"""Seconds between two looks at an actor that starts; each time is twice the one before."""

SETTLE_S = 0.5
"""Seconds that `settle` waits at most."""

KEPT = 1_000
"""The most cards that show a failure of the constructor."""


class ActorCard:
    """The display of one handle, which it does not keep alive.

    Args:
        handle: The handle of an actor that was created just now.

    Attributes:
        cell: The number of the cell that shows it.
        is_final: Whether it shows an actor that starts no more.
    """

    def __init__(self, handle: ActorHandle[Any]) -> None:
        self._handle = weakref.ref(handle)
        self._first = description.actor(handle._link, handle._meta)
        self.cell = calling_cell.current()
        self._pause = FIRST_S
        self._is_unmade = False
        self.is_final = False
        self._display = display.show_actor(handle)
        if cells.is_known(self.cell):
            _cards[handle._link.actor_id.hex()] = self
            if len(_cards) > KEPT:
                _cards.popitem(last=False)
            painter.touch(self)

    def note_unmade(self) -> None:
        """Show the card as dead: the actor's process has started, but its constructor has raised. Any thread."""
        self._is_unmade = True
        self._pause = FIRST_S
        painter.touch(self)

    def paint(self, now: float) -> float | None:
        """Show the card again if the actor has started, and look again later if not. See `painter.Picture`."""
        handle = self._handle()
        if handle is None:
            shown = self._first._replace(text=f"{self._first.text.partition(': ')[0]}: no handle is left", state="gone")
        else:
            link = _WithoutCalls(handle._link)
            shown = description.actor(link, handle._meta)
            state = link.facts().state
            if state == "starting" or (self._is_unmade and state != "dead"):
                self._pause = min(2 * self._pause, LAST_S)
                return now + self._pause
        self._display.replace(shown.bundle())
        with _changed:
            self.is_final = True
            _changed.notify_all()
        return None


_cards: OrderedDict[str, ActorCard] = OrderedDict()
_changed = threading.Condition()


def settle(cell: int) -> None:
    """Wait a moment until the actors of a cell have started, and their cards say so. On the thread that ran the cell.

    For a batch client, whose next cells may drop the handle before the card looks at the actor again.
    """
    with _changed:
        _changed.wait_for(lambda: all(card.is_final for card in list(_cards.values()) if card.cell == cell), SETTLE_S)


def note_unmade(actor_id: str) -> None:
    """Show the failure of an actor's constructor in its card, if it has one. On the leader's thread."""
    card = _cards.pop(actor_id, None)
    if card is not None:
        card.note_unmade()


class _WithoutCalls:
    """The facts of an actor that the card shows for good, so without the calls that are under way now."""

    def __init__(self, link: Any) -> None:
        self.actor_id: bytes = link.actor_id
        self._facts: ActorFacts = link.facts()._replace(calls=0, unread=0)

    def facts(self) -> ActorFacts:
        """Return the facts."""
        return self._facts
