"""`Waits`: the waits of calls, and of a driver's code, in `get` and `wait`."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.task_events.recorder import Recorder

SHORT_S = 0.001
"""Seconds up to which a wait leaves no record."""

MOST = 100
"""Most waits of one call that are recorded."""


class Waits:
    """Notes where threads wait. Any thread.

    Args:
        recorder: Gets the waits of the driver's own code.

    Attributes:
        current_job: Set in a worker: returns the job that the calling code belongs to, None for none.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.current_job: Callable[[], Any] | None = None
        self._open: dict[int, tuple[str, float, Any]] = {}

    def begin(self, kind: str, start: float) -> None:
        """Note that this thread is about to wait, in "ray.get" or "ray.wait"."""
        if self.current_job is None:
            return
        job = self.current_job()
        if job is not None:
            self._open[get_ident()] = (kind, start, job)

    def end(self, kind: str, start: float) -> None:
        """Note that this thread waits no more. The arguments are those of `begin`."""
        if self._open:
            self._open.pop(get_ident(), None)
        now = monotonic()
        if now - start >= SHORT_S:
            self._record(kind, start, None if self.current_job is None else self.current_job(), now)

    def _record(self, kind: str, start: float, job: Any, now: float) -> None:
        if job is None:
            self._recorder.add_wait(kind, start, now)
        elif job.waits is None:
            job.waits = [messages.Wait(kind, start, now)]
        elif len(job.waits) < MOST:
            job.waits.append(messages.Wait(kind, start, now))

    def of(self, job: Any) -> tuple[str, float] | None:
        """Return the kind and the begin of a job's present wait, None if it does not wait."""
        for kind, start, waiting in self._open.copy().values():
            if waiting is job:
                return kind, start
        return None
