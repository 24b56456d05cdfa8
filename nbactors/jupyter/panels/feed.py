"""`Feed`: the thread that reads the event stream for all panels of this kernel, while a page shows one of them."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from time import monotonic
from typing import Any, Protocol

from nbactors.jupyter.panels.activity import Activity
from nbactors.util import state

UPDATE_S = 0.25
"""Seconds between two updates of a panel, at least."""

QUIET_S = 1.0
"""Seconds between two updates of a panel while no call and no actor changes: CPU, memory and log may have."""

LIST_S = 10.0
"""Seconds after which the actors are listed again, though no change of one was told: a log may have begun."""

LOOK_S = 2.0
"""Seconds for which a look waits for the thread, which has begun just now."""

PATIENCE_S = 0.1
"""Seconds for which all panels wait for the answers of workers. A later answer shows in the next update."""


class View(Protocol):
    """What shows something, such as a panel. Methods: the feed's thread."""

    def is_visible(self, is_busy: bool) -> bool:
        """Return whether a page shows it. `is_busy`: whether a cell runs."""

    def ask(self) -> Future[Any] | None:
        """Ask another process for what is shown, if need be. Returns what has the answer."""

    def refresh(self) -> None:
        """Show what has changed."""


class Reader(Protocol):
    """Reads the event stream with the feed, whether a page shows anything or not."""

    is_open: bool
    """Whether it goes on reading. The feed runs as long as a reader is open, and forgets those that are not."""

    def take(self, changes: state.TaskChanges | None) -> None:
        """Take the next changes, None if nothing has changed. Called four times a second. The feed's thread."""


class Feed:
    """What all panels show. Methods: any thread, unless they say otherwise.

    Attributes:
        activity: The calls of all actors.
        actors: The actors, by id, in the order of creation: rows of `nbactors.util.state.list_actors(detail=True)`.
        unlisted: How many calls of each function have ended without a row, at the last look; None before the first.

    Args:
        is_busy: Returns whether a cell runs.
    """

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        self._is_busy = is_busy
        self._condition = threading.Condition()
        self._panels: weakref.WeakSet[View] = weakref.WeakSet()
        self._readers: list[Reader] = []
        self.unlisted: dict[str, int] | None = None
        self._thread: threading.Thread | None = None
        self._is_touched = False
        self._is_current = False
        """Whether the thread has read the stream since its start."""
        self._following = state.follow()
        """Used by the thread, and under the condition while there is none. Goes on after a pause."""
        self.activity = Activity()
        self.actors: dict[str, dict[str, Any]] = {}
        self._listed_at = -LIST_S
        self._refreshed_at = -QUIET_S
        self._failed: weakref.WeakSet[View] = weakref.WeakSet()

    def add(self, panel: View) -> None:
        """Serve a panel, as long as it lives."""
        self._panels.add(panel)

    def read(self, reader: Reader) -> None:
        """Give a reader all changes from now on, until it is not open any more."""
        with self._condition:
            self._readers.append(reader)
        self.touch()

    def look(self) -> None:
        """Look at the actors and calls once: a first state needs them. Blocks for some milliseconds."""
        self._list()
        with self._condition:
            if self._thread is not None:  # it reads the calls, and gives them to the readers, too
                self._condition.wait_for(lambda: self._is_current or self._thread is None, LOOK_S)
            if self._thread is None:
                self._read()
                self._following.close()

    def touch(self) -> None:
        """Update the panels soon: a page shows one of them, or something was done."""
        with self._condition:
            self._is_touched = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nbactors-panels", daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def _visible(self) -> list[View]:
        is_busy = self._is_busy()
        return [panel for panel in list(self._panels) if panel.is_visible(is_busy)]

    def _run(self) -> None:
        try:
            while True:
                panels = self._visible()
                with self._condition:
                    self._readers = readers = [reader for reader in self._readers if reader.is_open]
                    if not panels and not readers and not self._is_touched:
                        self._stop()
                        return
                    is_touched, self._is_touched = self._is_touched, False
                began = monotonic()
                self._round(panels, readers, is_touched)
                with self._condition:
                    rest = UPDATE_S - (monotonic() - began)
                    if rest > 0 and not self._is_touched:
                        self._condition.wait_for(lambda: self._is_touched, rest)
        except Exception:
            logging.getLogger("nbactors").warning("the panels cannot be updated", exc_info=True)
            with self._condition:
                self._stop()

    def _stop(self) -> None:
        """End the thread. Under the condition, so that nobody reads the stream meanwhile."""
        self._thread = None
        self._is_current = False
        self._following.close()
        self._condition.notify_all()

    def _read(self) -> state.TaskChanges | None:
        """Read the stream: all that is known at first, and then what has changed since, also after a pause."""
        news = self._following.next(0.0)
        if news is not None:
            self.activity.apply(news)
            self.unlisted = news.unlisted
        return news

    def _round(self, panels: Sequence[View], readers: Iterable[Reader], is_touched: bool) -> None:
        news = self._read()
        now = monotonic()
        if not self._is_current:
            with self._condition:
                self._is_current = True
                self._condition.notify_all()
        has_actors = news is not None and (bool(news.actors) or news.is_snapshot)
        if has_actors or now - self._listed_at >= LIST_S:
            self._list()
        for reader in readers:
            reader.take(news)
        if is_touched or news is not None or now - self._refreshed_at >= QUIET_S:
            self._refreshed_at = now
            wait([asked for panel in panels if (asked := panel.ask()) is not None], PATIENCE_S)
            for panel in panels:
                self._refresh(panel)

    def _refresh(self, panel: View) -> None:
        try:
            panel.refresh()
        except Exception:
            if panel not in self._failed:  # one panel that fails must not stop the others
                self._failed.add(panel)
                logging.getLogger("nbactors").warning("a panel cannot be updated", exc_info=True)

    def _list(self) -> None:
        self._listed_at = monotonic()
        try:
            listed = state.list_actors(limit=state.MANY, detail=True)
        except OSError:  # the node does not answer, or has crashed and the next one starts
            return
        before = self.actors
        # A row that has not changed stays the same object, which is the quickest way to see it.
        self.actors = {
            actor_id: row if before.get(actor_id) != row else before[actor_id]
            for actor_id, row in ((row["actor_id"], row) for row in listed)
        }
