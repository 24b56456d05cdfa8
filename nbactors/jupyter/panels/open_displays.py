"""`OpenDisplays`: the displays of panels that a page may still show. The others end, and with the last one the panel.

A cell that runs again has lost its earlier output, so its earlier displays are gone. Of a cell that was deleted, or
that shows no panel any more, the kernel hears nothing: so the number of all displays is bounded, too.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol


class OpenDisplay(Protocol):
    """One display. Compared by identity."""

    @property
    def panel(self) -> Any:
        """The panel that it shows, None if it shows none any more."""

    def end(self, *, is_gone: bool) -> None:
        """Show the panel no more; where the display is still in the page, show the static form."""


class OpenDisplays:
    """The displays of a kernel. Any thread.

    Args:
        most: The most displays; of more, the oldest end.
        on_closed: Called with a panel that was closed.
    """

    def __init__(self, most: int, on_closed: Callable[[Any], None]) -> None:
        self._most = most
        self._on_closed = on_closed
        self._places: OrderedDict[OpenDisplay, tuple[str, int]] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._places)

    def add(self, display: OpenDisplay, place: str, run: int) -> None:
        """Add a display.

        Args:
            display: Shows a panel.
            place: The id of the cell in the notebook that shows it, empty if that is not known.
            run: The number of the run of this cell.
        """
        with self._lock:
            before = [
                other for other, (cell, number) in self._places.items() if place and cell == place and number != run
            ]
            self._places[display] = (place, run)
            old = list(self._places)[: -self._most]
        for other in before:
            self.end(other, is_gone=True)
        for other in old:
            self.end(other, is_gone=False)

    def end(self, display: OpenDisplay, *, is_gone: bool) -> None:
        """End a display, and close its panel if no other one shows it. See `OpenDisplay.end`."""
        with self._lock:
            self._places.pop(display, None)
            panel = display.panel
            is_last = panel is not None and not any(other.panel is panel for other in self._places)
        display.end(is_gone=is_gone)
        if is_last:
            panel.close()
            self._on_closed(panel)
