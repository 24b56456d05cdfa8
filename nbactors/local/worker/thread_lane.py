"""A lane of threads: runs the calls of one concurrency group, so many at the same time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.local.worker.job import current

if TYPE_CHECKING:
    from nbactors.local.worker.job import Job


class ThreadLane:
    """Starts threads as calls need them, `limit` at most, and keeps them, with their thread-local state.

    Args:
        name: Of the group, for the threads' names.
        run: Runs one job, and lets nothing of it escape.
    """

    def __init__(self, name: str, limit: int, run: Callable[[Job], None]) -> None:
        self._name = name
        self._limit = limit
        self._run = run
        self._jobs: deque[Job] = deque()
        self._idle: list[threading.Lock] = []
        self._count = 0
        self._started = False
        self._active: set[Job] = set()

    def put(self, job: Job) -> None:
        """Take a call in. The leader's thread."""
        self._jobs.append(job)
        if self._started:
            self._wake()

    def start(self) -> None:
        """Begin: the constructor has returned. Once, on the main thread."""
        self._started = True
        for _ in range(min(len(self._jobs), self._limit)):
            self._wake()

    def clear(self) -> None:
        """Forget what has not begun: the actor ends."""
        self._jobs.clear()

    @property
    def is_busy(self) -> bool:
        """Whether calls wait for a thread."""
        return bool(self._jobs)

    @property
    def has_running(self) -> bool:
        """Whether a call runs or waits."""
        return bool(self._active or self._jobs)

    def _wake(self) -> None:
        try:
            self._idle.pop().release()
        except IndexError:
            self._spawn()

    def _spawn(self) -> None:
        with _spawning:
            if self._count >= self._limit:
                return
            self._count += 1
            number = self._count
        name = f"nbactors-{self._name or 'default'}-{number}"
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        sleep = threading.Lock()
        sleep.acquire()
        jobs, idle, ident = self._jobs, self._idle, threading.get_ident()
        job: Job | None
        while True:
            try:
                job = jobs.popleft()
            except IndexError:
                idle.append(sleep)
                if jobs:
                    # It came between the look and the bed. Whoever has taken the lock already will release it.
                    try:
                        idle.remove(sleep)
                    except ValueError:
                        sleep.acquire()
                    continue
                sleep.acquire()
                continue
            self._active.add(job)
            if job.begin():
                job.thread = ident
                current.set(job)
                self._run(job)
                current.set(None)
                job.end()
            self._active.discard(job)
            job = None


_spawning = threading.Lock()
