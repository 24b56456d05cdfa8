"""`Lookout`: sees to it that no call begins whose cancellation was there when its turn came."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.job import Job

UNREAD_S = 0.0002
"""After a call that ran longer, what callers have sent meanwhile is read before the next one begins.

To do so after shorter ones, too, would cost a third of their speed."""


class Lookout:
    """Stands between one call and the next of one thread. That thread, but for `distrust`.

    A call that was read after the one before it had ended needs no further look. Whether it was queued by then tells
    nothing: the thread that has read it may be held up before it hands it over, while its cancellation lies unread.

    Args:
        catch_up: Reads what callers have sent by now.
    """

    __slots__ = ("_catch_up", "_ended")

    def __init__(self, catch_up: Callable[[], None]) -> None:
        self._catch_up = catch_up
        self._ended = 0.0

    def before(self, job: Job) -> None:
        """A call is about to begin."""
        if job.read_at < self._ended:
            self._ended = 0.0
            self._catch_up()

    def after(self, job: Job) -> float:
        """A call has ended; return how many seconds it took."""
        now = monotonic()
        took = now - job.since
        if took > UNREAD_S:
            self._ended = now
        return took

    def distrust(self) -> None:
        """Look before the next call, whenever it was read: its turn comes later than anybody knows. Any thread."""
        self._ended = math.inf
