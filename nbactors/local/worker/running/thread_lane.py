"""`ThreadLane`: runs the calls of one concurrency group on threads."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.local.worker.jobs.job import current
from nbactors.local.worker.running.lookout import Lookout
from nbactors.speedups.worker import LaneBase

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.job import Job

SHORT_S = 0.001
"""Seconds that a short call takes at most. For short calls threads are woken one after the other: all awake together
would compete for the GIL, at half the speed."""

WATCH_S = 0.001
"""Seconds after which one more thread is woken if the threads that are awake have taken no call."""


class ThreadLane(LaneBase):
    """Starts threads as calls need them, `limit` at most, and keeps them, with their thread-local state.

    Args:
        name: The group's name, for the names of the threads.
        limit: The most calls that run at the same time.
        run: Runs one job and answers; raises nothing.
        later: Calls a function on the leader's thread after the given seconds.
        catch_up: Reads all messages that have arrived.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        run: Callable[[Job], None],
        later: Callable[[float, Callable[[], None]], object],
        catch_up: Callable[[], None],
    ) -> None:
        self._name = name
        self._limit = min(limit, sys.maxsize)
        self._run = run
        self._current = current
        self._later = later
        self._catch_up = catch_up
        self._is_short = False
        self._taken = 0
        self._watching = False
        self._jobs: deque[Job] = deque()
        self._idle: list[threading.Lock] = []
        self._count = 0
        self._started = False
        self._paused = False
        self._active: set[int] = set()

    def put(self, job: Job) -> None:
        """Take a call in. The leader's thread."""
        self._jobs.append(job)
        if not self._started:
            return
        if self._is_short and self._count > len(self._idle):
            if not self._watching:
                self._watching = True
                taken = self._taken
                self._later(WATCH_S, lambda: self._watch(taken))
        else:
            self._wake()

    def _watch(self, taken: int) -> None:
        """Wake one more thread if calls wait and no thread has taken one since. The leader's thread."""
        if not self._jobs:
            self._watching = False
            return
        if taken == self._taken:
            self._wake()
        now = self._taken
        self._later(WATCH_S, lambda: self._watch(now))

    def wrap(self, wrapper: Callable[[Callable[[Job], None]], Callable[[Job], None]]) -> None:
        """Run jobs by what `wrapper` makes of the function that runs them. Once, before `start`."""
        self._run = wrapper(self._run)

    def start(self) -> None:
        """Begin to run calls, after the constructor has returned. Once, on the main thread."""
        self._started = True
        for _ in range(min(len(self._jobs), self._limit)):
            self._wake()

    def pause(self) -> None:
        """Begin no more calls until `resume`. Any thread."""
        self._paused = True

    def resume(self) -> None:
        """Begin calls again. Any thread."""
        self._paused = False
        for _ in range(min(len(self._jobs), self._limit)):
            self._wake()

    @property
    def is_busy(self) -> bool:
        """Whether calls wait for a thread."""
        return bool(self._jobs)

    @property
    def has_running(self) -> bool:
        """Whether a call runs or waits."""
        return bool(self._active or self._jobs)

    @property
    def runs(self) -> bool:
        """Whether a call runs. While the lane is paused, False also means that no call will begin."""
        return bool(self._active)

    def _wake(self) -> None:
        try:
            self._idle.pop().release()
        except IndexError:
            if self._count < self._limit:
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
        jobs, idle, active, ident = self._jobs, self._idle, self._active, threading.get_ident()
        job: Job | None
        lookout = Lookout(self._catch_up)
        while True:
            self._serve_quickly(lookout, ident)
            # Active before it reads the flag: `Renewal` sets the flag and then reads `runs`, so one sees the other.
            active.add(ident)
            job = None
            if jobs and not self._paused:
                try:
                    job = jobs.popleft()
                except IndexError:  # another thread has taken it
                    pass
            if job is None:
                active.discard(ident)
                idle.append(sleep)
                if jobs and not self._paused:
                    # A call has come after the look into `jobs` and before this thread was in `idle`.
                    try:
                        idle.remove(sleep)
                    except ValueError:  # another thread has taken the lock out, and releases it
                        sleep.acquire()
                    continue
                sleep.acquire()
                continue
            self._taken += 1
            lookout.before(job)
            if job.begin():
                job.thread = ident
                current.set(job)
                self._run(job)
                current.set(None)
                job.end()
                self._is_short = lookout.after(job) < SHORT_S
            active.discard(ident)
            job = None


_spawning = threading.Lock()
