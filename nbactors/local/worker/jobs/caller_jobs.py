"""`CallerJobs`: the worker's record with the connection of a caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbactors.speedups.worker import CallerJobsBase

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.jobs.job_events import JobEvents


class CallerJobs(CallerJobsBase):
    """The jobs of one caller. `Connection.jobs` holds the record.

    The thread that takes a job out of `waiting` decides about the job: it runs, cancels, or gives back the job.

    Args:
        events: Records the task events of the jobs; None for no record.

    Attributes:
        waiting: The jobs that have not begun, by number.
        running: The jobs that run, by number.
    """

    __slots__ = ()

    def __init__(self, events: JobEvents | None = None) -> None:
        self.events = events
        self.waiting: dict[int, Job] = {}
        self.running: dict[int, Job] = {}
