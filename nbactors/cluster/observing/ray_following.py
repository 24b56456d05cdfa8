"""`RayFollowing`: a reader of what changes in a session on a cluster."""

from __future__ import annotations

import time
from typing import Protocol

from nbactors.cluster.common.usage import SessionEndedError
from nbactors.cluster.observing.task_table import TaskTable
from nbactors.engine.observer import Following, TaskChanges

SYNC_S = 0.25
"""Seconds after which a waiting reader asks again for the reports of workers."""

LOOK_S = 0.5
"""Seconds between two looks at all actors, at least."""

SHARE = 20
"""The time between two looks is at least this many times the time that the last one took: clusters may be large."""


class Source(Protocol):
    """What a reader asks. Methods: the reader's thread."""

    def table(self) -> TaskTable:
        """Return the table of calls."""

    def sync(self) -> None:
        """Give the table what workers have reported, and the calls of this session that have not ended."""

    def look(self) -> None:
        """Give the table all actors."""


class RayFollowing(Following):
    """See the base class.

    Args:
        source: What it asks.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seq = 0
        self._look_at = 0.0

    def next(self, timeout: float) -> TaskChanges | None:
        """See the base class. None, after a quarter of a second at most, if the session has ended."""
        deadline = time.monotonic() + timeout
        table = self._source.table()
        is_first = not self._seq
        while True:
            try:
                self._ask()
            except SessionEndedError:
                time.sleep(min(max(timeout, 0.0), SYNC_S))  # so that a reader that asks in a loop does not spin
                return None
            if is_first or table.wait(self._seq, 0.0):
                news = table.changes(self._seq)
                self._seq = news.seq
                return news
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            table.wait(self._seq, min(left, SYNC_S))

    def _ask(self) -> None:
        self._source.sync()
        began = time.monotonic()
        if began >= self._look_at:
            self._source.look()
            now = time.monotonic()
            self._look_at = now + max(LOOK_S, SHARE * (now - began))

    def close(self) -> None:
        """See the base class."""
