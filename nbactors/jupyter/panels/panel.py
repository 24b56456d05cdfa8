"""`Panel`: one panel under one cell, whatever it shows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from time import monotonic
from typing import Any

from nbactors.jupyter.panels import states
from nbactors.jupyter.panels.source import Answer, Source
from nbactors.jupyter.panels.widget import PanelWidget

LOOKED_S = 30.0
"""For how long a panel counts as visible after its page has said so. Pages say it every 10 seconds."""

FIRST_S = 0.1
"""Seconds for which the first state waits for the worker's answer: a cell waits for the state."""

_commands = ThreadPoolExecutor(8, thread_name_prefix="nbactors-panel")
"""Runs what buttons ask for: it may block, and the shell that has got the message must not."""


class Panel:
    """One panel.

    Args:
        source: What it shows.
        on_seen: Called when a page shows the panel, and after a command: the state may have changed.
    """

    def __init__(self, source: Source, on_seen: Callable[[], None]) -> None:
        self._source = source
        self._on_seen = on_seen
        self._lock = threading.Lock()
        asked = self.ask()
        if asked is not None:
            wait([asked], FIRST_S)
        self._state = source.state()
        self._seen_at = -LOOKED_S
        self._is_closed = False
        self.has_page = False
        """Whether a page has loaded the views."""
        self.widget = PanelWidget(self._state, self._on_message)

    def is_visible(self, is_busy: bool) -> bool:
        """Return whether a page shows the panel.

        Args:
            is_busy: Whether a cell runs: a kernel without subshells hears nothing from the page until it has ended.
        """
        if self._is_closed:
            return False
        return (is_busy and self._seen_at > 0) or monotonic() - self._seen_at < LOOKED_S

    def ask(self) -> Future[Any] | None:
        """Ask the worker that the panel shows. See `source.Asking`."""
        ask = getattr(self._source, "ask", None)
        if ask is None:
            return None
        with self._lock:
            asked: Future[Any] | None = ask()
            return asked

    def refresh(self, *, always: bool = False) -> None:
        """Send what has changed, if something has, or if `always`. Any thread."""
        with self._lock:
            state = self._source.state()
            changes = states.difference(self._state, state, self._source.table)
            if changes is None and always:
                changes = {"kind": "changes", "now": state["now"], "fields": {}}
            if changes is not None:
                self._state = state
                self.widget.change(state, changes)

    def view(self) -> dict[str, Any]:
        """Return the data that show the panel in a display, of the MIME type of widgets."""
        return {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}

    def close(self) -> None:
        """Remove the panel from all pages: it shows nothing any more. Any thread."""
        self._is_closed = True
        self.widget.layout.close()
        self.widget.close()

    def _on_message(self, message: dict[str, Any]) -> None:
        """Take a message of a view. The thread of a subshell or the main thread."""
        kind = message.get("kind")
        if kind == "hello":
            self.has_page = True
            _commands.submit(self.refresh, always=True)
        elif kind == "look":
            self._seen_at = monotonic() if message["visible"] else -LOOKED_S
            self._on_seen()
        elif kind == "do":
            _commands.submit(self._do, message)

    def _do(self, command: dict[str, Any]) -> None:
        try:
            answer = self._source.do(command)
        except Exception as error:  # noqa: BLE001 - the view shows it
            answer = Answer(False, f"{type(error).__name__}: {error}")
        self.widget.send({"kind": "answer", "number": command["number"], "ok": answer.ok, "text": answer.text})
        self._on_seen()
