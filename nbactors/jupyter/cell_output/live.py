"""A live display under a cell: any thread shows, changes and ends it, also while the kernel is busy.

Where the front end shows live panels the display is one, which comes back after a reload of the page. Its static form,
which the notebook stores, is refreshed now and then. Elsewhere, and for a batch client, which would store the panel's
first state, each change replaces the display. At its end plain HTML replaces the panel, so that a saved notebook shows
the last state without any widget. A page that was loaded again meanwhile does not get the HTML, so the widget stays,
with the last state.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.inbox import WIDGET_MIME
from nbactors.jupyter.cell_output.painter import Picture, painter
from nbactors.jupyter.cell_output.refresh_pace import RefreshPace
from nbactors.jupyter.panels import front_end
from nbactors.jupyter.panels.source import Source

ENDED_WIDGETS = 200
"""The most widgets of displays that have ended. Of more, those that have ended last stay."""

_ended: dict[Live, None] = {}
"""The displays with such widgets. Used on the painter's thread."""


class LiveSource(Source, Picture, Protocol):
    """What a live display shows. The painter paints it: it calls `Live.show` or `Live.end`."""


class Live:
    """One live display. Used by one thread at a time; `show` and `end` on the painter's.

    Args:
        cell: The number of the cell that shows it.
        source: Has the state that the panel shows; None for a display of texts alone.
        on_seen: Called when a page shows the panel, and after a click. Any thread.
    """

    def __init__(self, cell: int, source: LiveSource | None = None, on_seen: Callable[[], None] = lambda: None) -> None:
        self._cell = cell
        self._source = source
        self._on_seen = on_seen
        self._id = uuid.uuid4().hex
        self._shown = False
        self._panel: Any = None
        self._wait = front_end.PageWait()
        self._is_alone = False
        """Whether no page has loaded the panel in time."""
        self._has_ended = False
        self._form = ("", "")
        self._pace = RefreshPace(monotonic())

    @property
    def panel(self) -> Any:
        """The panel; None before `open`, and where the front end shows none."""
        return self._panel

    @property
    def is_widget(self) -> bool:
        """Whether a widget draws the display now, so that changes are cheap, and clocks run by themselves."""
        panel = self._panel
        return panel is not None and not self._has_ended and (panel.has_page or not self._is_alone)

    @property
    def is_new(self) -> bool:
        """Whether nothing was shown yet."""
        return not self._shown

    @property
    def refresh_at(self) -> float | None:
        """When to call `show` again for the sake of the static form, in seconds of `monotonic`; None if it is current.

        Any thread.
        """
        return self._pace.due_at

    def reserve(self, text: str, html: str) -> None:
        """Take the display's place under the cell, with a first state without a widget. Cheap; before any `show`."""
        self._form = (text, html)
        self._publish()

    def renew(self) -> None:
        """Refresh the static form soon, whatever the age of the display: the state has another meaning now."""
        self._pace = RefreshPace(monotonic())

    def open(self) -> None:
        """Make the panel, if the front end shows panels. `show` does so, too."""
        if self._panel is None and self._source is not None and front_end.shows_panels(self._cell):
            from nbactors.jupyter.panels.panel import Panel  # noqa: PLC0415 - its libraries take long to import

            self._panel = Panel(self._source, self._on_seen)
            painter.touch(self, monotonic() + front_end.HELLO_S)

    def show(self, text: str, html: str) -> None:
        """Show the present state of the source, whose static form this is."""
        is_drawn = self.is_widget and self._shown
        if self._panel is None:
            self.open()
            is_drawn = False
        else:
            _ended.pop(self, None)
            self._panel.refresh()
        self._has_ended = False
        if (text, html) != self._form:
            self._form = (text, html)
            self._pace.change()
        due_at = self._pace.due_at
        if not is_drawn or (due_at is not None and monotonic() >= due_at):
            self._publish()

    def end(self, text: str, html: str) -> None:
        """Show the last state without a widget, for good or until `show` is called again."""
        self._has_ended = True
        self._form = (text, html)
        if self._panel is not None:
            self._panel.refresh()
            _ended[self] = None
            if len(_ended) > ENDED_WIDGETS:
                oldest = next(iter(_ended))
                del _ended[oldest]
                panel, oldest._panel = oldest._panel, None
                panel.close()
        self._publish()

    def paint(self, now: float) -> float | None:
        """Show the static form if no page has loaded the panel in time. See `painter.Picture`."""
        if self._panel is None or self._source is None or self._panel.has_page or self._has_ended:
            return None
        ends_at = self._wait.ends_at(now)
        if now < ends_at:
            return ends_at
        self._is_alone = True
        self._publish()
        painter.touch(self._source)  # its changes replace the display from now on
        return None

    def show_text(self, text: str) -> None:
        """Show a text without HTML and widgets."""
        self._send({"text/plain": text})

    def _publish(self) -> None:
        text, html = self._form
        data: dict[str, Any] = {"text/plain": text, "text/html": html}
        if self.is_widget:
            data[WIDGET_MIME] = self._panel.view()
        self._send(data)
        self._pace.refresh(monotonic())

    def _send(self, data: dict[str, Any]) -> None:
        kind = "update_display_data" if self._shown else "display_data"
        content = {"data": data, "metadata": {}, "transient": {"display_id": self._id}}
        self._shown = cells.publish(self._cell, kind, content) or self._shown
