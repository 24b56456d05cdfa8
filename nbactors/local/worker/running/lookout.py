"""`Lookout`: makes sure that a call does not begin if its `Cancel` has arrived before."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from nbactors.speedups.worker import LookoutBase

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.job import Job

UNREAD_S = 0.0002
"""Seconds of run time after which the sockets are read before the next call begins. To read them after shorter calls,
too, would cost a third of their speed."""


class Lookout(LookoutBase):
    """Reads the sockets between two calls of one thread. This thread calls it, but for `distrust`.

    A call that was read after the end of the previous call needs no further look. The time at which it was queued tells
    nothing: the reading thread may be held up before it queues the call, while the call's `Cancel` is unread.

    Args:
        catch_up: Reads all messages that have arrived.

    Attributes:
        is_shut_to_tasks: Whether `_pop_quickly` leaves tasks in the queue.
    """

    __slots__ = ()

    def __init__(self, catch_up: Callable[[], None]) -> None:
        self._catch_up = catch_up
        self._ended = 0.0
        self._unread_s = UNREAD_S
        self.is_shut_to_tasks = False

    def before(self, job: Job) -> None:
        """Read the sockets if necessary, before a call begins."""
        if job.read_at < self._ended:
            self._ended = 0.0
            self._catch_up()

    def after(self, job: Job) -> float:
        """Note the end of a call; return how many seconds it took."""
        now = monotonic()
        took = now - job.since
        if took > UNREAD_S:
            self._ended = now
        return took

    def distrust(self) -> None:
        """Have the sockets read before the next call, whenever it was read: its start is delayed. Any thread."""
        self._ended = math.inf
