"""`Pages`: the open side panels of this server, which all get the same changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from nbactors.jupyter.panels import states
from nbactors.jupyter.panels.source import Source

LOOKED_S = 30.0
"""For how long a page counts as visible after it has said so. Pages say it every 10 seconds."""


class Page(Protocol):
    """The connection to one page."""

    seen_at: float
    """When it has last said that it is visible, on the monotonic clock."""

    def send(self, message: dict[str, Any]) -> None:
        """Send a message, or drop it if the page is too slow. Any thread; returns at once."""


class Pages:
    """What is shown, once for all pages. The feed's thread refreshes it, see `Feed`.

    A page gets the whole state when it comes, and the numbered changes after that. A page that is not visible gets
    nothing, and the whole state when it looks again.

    Args:
        source: What is shown.
        wake: Has the feed run.
    """

    def __init__(self, source: Source, wake: Callable[[], None]) -> None:
        self._source = source
        self.wake = wake
        self._lock = threading.Lock()
        self._pages: dict[Page, bool] = {}
        """Each page, and whether it has the present state."""
        self._state: dict[str, Any] = {}
        self._seq = 0

    def __len__(self) -> int:
        return len(self._pages)

    def add(self, page: Page) -> None:
        """Serve a page. Any thread."""
        with self._lock:
            self._pages[page] = False
        self.wake()

    def remove(self, page: Page) -> None:
        """Serve a page no more. Any thread."""
        with self._lock:
            self._pages.pop(page, None)

    def restart(self, page: Page) -> None:
        """Send the whole state to a page next: it has missed something. Any thread."""
        with self._lock:
            if page in self._pages:
                self._pages[page] = False
        self.wake()

    def look(self, page: Page, is_visible: bool) -> None:
        """Note that a page is on the screen, or is not any more. Any thread."""
        was_visible = monotonic() - page.seen_at < LOOKED_S
        page.seen_at = monotonic() if is_visible else -LOOKED_S
        if is_visible and not was_visible:
            self.restart(page)

    def is_visible(self, is_busy: bool) -> bool:
        """Return whether a page looks. `is_busy` is of kernels, and changes nothing here. The feed's thread."""
        now = monotonic()
        with self._lock:
            return any(now - page.seen_at < LOOKED_S for page in self._pages)

    def ask(self) -> None:
        """Ask nobody: the state needs no worker's answer. The feed's thread."""

    def refresh(self) -> None:
        """Send what has changed. The feed's thread."""
        state = self._source.state()
        with self._lock:
            changes = states.difference(self._state, state, self._source.table) if self._state else None
            self._state = state
            if changes is not None:
                self._seq += 1
                changes["seq"] = self._seq
            now = monotonic()
            for page, is_current in list(self._pages.items()):
                if now - page.seen_at >= LOOKED_S:
                    self._pages[page] = False
                elif not is_current:
                    self._pages[page] = True
                    page.send({"kind": "state", "seq": self._seq, "state": state})
                elif changes is not None:
                    page.send(changes)
