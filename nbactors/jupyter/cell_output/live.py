"""A live display under a cell: any thread shows, changes and ends it, also while the kernel is busy.

With ipywidgets the display is a widget, which comes back after a reload of the page. Without, each change replaces the
display. At its end plain HTML replaces the widget, so that a saved notebook shows the last state without any widget.
"""

from __future__ import annotations

import uuid
from typing import Any

from nbactors.jupyter.cell_output import cells

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"


class Live:
    """One live display. Used by one thread at a time.

    Args:
        cell: The number of the cell that shows it.
    """

    def __init__(self, cell: int) -> None:
        self._cell = cell
        self._id = uuid.uuid4().hex
        self._shown = False
        self._page: Any = None
        self._box: Any = None

    @property
    def is_widget(self) -> bool:
        """Whether a widget draws the display now, so that changes are cheap."""
        return self._box is not None

    def show(self, text: str, html: str, make_button: Any = None) -> None:
        """Show a state. With ipywidgets, `make_button(ipywidgets)` returns a widget for the place in front of it."""
        if self._page is not None:
            self._page.value = html
            return
        if not self._shown or self._box is None:
            self._make_widgets(html, make_button)
        self._publish(text, html)

    def end(self, text: str, html: str) -> None:
        """Show the last state without a widget, for good or until `show` is called again."""
        box, self._box, self._page = self._box, None, None
        self._publish(text, html)
        if box is not None:
            for child in box.children:
                child.close()
            box.close()
            box.layout.close()

    def _make_widgets(self, html: str, make_button: Any) -> None:
        try:
            import ipywidgets  # noqa: PLC0415 - it is optional, and takes long to import
        except ImportError:
            return
        self._page = ipywidgets.HTML(html, layout=ipywidgets.Layout(flex="1 1 auto", width="auto", margin="0"))
        buttons = [make_button(ipywidgets)] if make_button is not None else []
        self._box = ipywidgets.HBox([*buttons, self._page], layout=ipywidgets.Layout(width="100%"))

    def show_text(self, text: str) -> None:
        """Show a text without HTML and widgets."""
        self._send({"text/plain": text})

    def _publish(self, text: str, html: str) -> None:
        data: dict[str, Any] = {"text/plain": text, "text/html": html}
        if self._box is not None:
            data[WIDGET_MIME] = {"version_major": 2, "version_minor": 0, "model_id": self._box.model_id}
        self._send(data)

    def _send(self, data: dict[str, Any]) -> None:
        kind = "update_display_data" if self._shown else "display_data"
        content = {"data": data, "metadata": {}, "transient": {"display_id": self._id}}
        self._shown = cells.publish(self._cell, kind, content) or self._shown
