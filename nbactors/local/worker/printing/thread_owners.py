"""`ThreadOwners`: which job, and which cell, the code of a thread belongs to. See `in_worker.thread_calls`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Token
from typing import NamedTuple

from nbactors.local.worker.jobs.job import Job, current


class Owner(NamedTuple):
    """The call that code belongs to: its job and its origin, or only the origin in a thread that it has started."""

    job: Job | None
    origin: int | None


_NOBODY = Owner(None, None)

_CONSTRUCTOR = "ACTOR_CREATION_TASK"


class ThreadOwners:
    """See `nbactors.in_worker.thread_calls.Owners`.

    Args:
        on_main: Returns the job whose code the main thread runs, None if it runs none.
        end_lines: Ends the calling thread's unfinished lines.
    """

    def __init__(self, on_main: Callable[[], Job | None], end_lines: Callable[[], None]) -> None:
        self._on_main = on_main
        self._end_lines = end_lines
        self._of_thread = threading.local()

    def origin(self) -> int | None:
        """Return the origin of the calling code on a loop or in a thread, None if it belongs to no call."""
        job = current.get()
        if job is not None:
            return job.message.origin
        origin: int | None = getattr(self._of_thread, "origin", None)
        return origin

    def owner(self) -> Owner:
        """See `Owners.owner`."""
        job = current.get()
        if job is None and threading.current_thread() is threading.main_thread():
            job = self._on_main()
        return Owner(job, self.origin()) if job is None else Owner(job, job.message.origin)

    def of_thread(self, owner: Owner) -> Owner:
        """See `Owners.of_thread`."""
        return _NOBODY if owner.job is not None and owner.job.kind == _CONSTRUCTOR else Owner(None, owner.origin)

    def enter(self, owner: Owner) -> tuple[Token[Job | None], int | None]:
        """See `Owners.enter`."""
        of_thread, token = self._of_thread, current.set(owner.job)
        before: int | None = getattr(of_thread, "origin", None)
        of_thread.origin = owner.origin
        return token, before

    def leave(self, token: tuple[Token[Job | None], int | None]) -> None:
        """See `Owners.leave`."""
        self._of_thread.origin = token[1]
        current.reset(token[0])

    def end_lines(self, owner: Owner) -> None:
        """See `Owners.end_lines`."""
        del owner
        self._end_lines()
