"""`SimulatedLane`: stands for the threads of a concurrency group."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbactors.local.worker.running.thread_lane import ThreadLane

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.job import Job


class SimulatedLane(ThreadLane):
    """Runs the calls of a group, up to `limit` at the same time. Each runs as steps, see `Run`."""

    def __init__(self, name: str, limit: int, run: Any, later: Any, catch_up: Callable[[], None]) -> None:
        super().__init__(name, limit, run, later, catch_up)
        self._worker = run.__self__.worker

    def put(self, job: Job) -> None:
        self._jobs.append(job)
        self._go_on()

    def start(self) -> None:
        self._started = True
        self._go_on()

    def resume(self) -> None:
        self._paused = False
        self._go_on()

    def _go_on(self) -> None:
        worker = self._worker
        if self._started and self._jobs and not self._paused:
            worker.process.world.later(worker.process.jitter(), worker.process, self._begin, "has a thread take a call")

    def _begin(self) -> None:
        if not self._jobs or self._paused or len(self._active) >= self._limit:
            return
        job = self._jobs.popleft()
        if job.begin():
            job.thread = 1 + next(number for number in range(self._limit) if number + 1 not in self._active)
            self._active.add(job.thread)
            self._worker.run_in_lane(job, lambda: self._end(job))
        self._go_on()

    def _end(self, job: Job) -> None:
        self._active.discard(job.thread)
        self._go_on()
