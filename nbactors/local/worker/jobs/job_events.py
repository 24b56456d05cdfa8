"""`JobEvents`: the task events of the jobs of a worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import chain, islice
from time import monotonic
from typing import TYPE_CHECKING

from nbactors.limits import MAX_NAME
from nbactors.local.task_events.recorder import LISTED, LISTED_LONG, LONG_S, MOST, YOUNG_S, Recorder
from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.membership import Membership
    from nbactors.local.task_events.waits import Waits
    from nbactors.local.worker.jobs.hosted import Hosted
    from nbactors.local.worker.jobs.job import Job


class JobEvents:
    """Makes rows of the worker's jobs. Any thread.

    Args:
        membership: Knows the worker's id.
        recorder: Gets the rows.
        waits: The waits of the jobs in `get` and `wait`.
        hosted: The worker's actor.
        jobs: Returns the jobs that run, and then those that have not begun.
    """

    def __init__(
        self,
        membership: Membership,
        recorder: Recorder,
        waits: Waits,
        hosted: Hosted,
        jobs: Callable[[], tuple[Iterator[Job], Iterator[Job]]],
    ) -> None:
        self._membership = membership
        self.recorder = recorder
        self._waits = waits
        self._hosted = hosted
        self._jobs = jobs
        recorder.sources.append(self.live)

    def ended(self, job: Job) -> None:
        """Note that a job has ended. The thread that has run it, or has answered it unstarted."""
        recorder, failure = self.recorder, job.failure
        now = monotonic()
        limit = MOST if failure is not None else LISTED_LONG if now - job.since > LONG_S else LISTED
        if not recorder.has_room(limit):
            if failure is None:
                recorder.count(job.name)
            else:
                recorder.count_failure(job.name, self._hosted.actor_id, failure[0])
        elif failure is not None:
            recorder.add(self._row(job, "FAILED", now, *failure))
        else:
            recorder.add(self._row(job, "FINISHED", now))

    def live(self, now: float) -> tuple[list[messages.TaskRow], set[int]]:
        """Return the jobs that run or wait and are not young, and a set that is not empty if there are young ones.

        The cells of jobs are told by the sessions.
        """
        before = now - YOUNG_S
        running, waiting = ([job for job in jobs if job.message.submitted] for jobs in self._jobs())
        began = [job for job in running if 0 < job.since < before]
        turn = [job for job in waiting if job.read_at < before]
        rows = chain(
            map(self._running, began),
            (self._row(job, "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY") for job in turn),
        )
        return list(islice(rows, MOST)), {0} if len(began) + len(turn) < len(running) + len(waiting) else set()

    def _running(self, job: Job) -> messages.TaskRow:
        wait = self._waits.of(job)
        if wait is None:
            return self._row(job, "RUNNING")
        kind, start = wait
        state = "RUNNING_IN_RAY_GET" if kind == "ray.get" else "RUNNING_IN_RAY_WAIT"
        return self._row(job, state, 0.0, "", "", messages.Wait(kind, start, 0.0))

    def _row(
        self,
        job: Job,
        state: str,
        ended: float = 0.0,
        error_type: str = "",
        error: str = "",
        wait: messages.Wait | None = None,
    ) -> messages.TaskRow:
        message, hosted = job.message, self._hosted
        name = hosted.function_of(job)
        waits = list(job.waits) if job.waits is not None else []
        if wait is not None:
            waits.append(wait)
        return messages.TaskRow(
            task_id=job.task_id,
            state=state,
            name=(job.label or name)[:MAX_NAME],
            function=name[:MAX_NAME],
            kind=job.kind,
            actor_id=hosted.actor_id,
            parent=message.parent,
            origin=message.origin,
            awaited="",
            submitted=message.submitted,
            arrived=job.read_at,
            started=job.since,
            ended=ended,
            error_type=error_type,
            error=error[: messages.MAX_ERROR_TEXT],
            worker=self._membership.process_id,
            pid=os.getpid(),
            waits=waits,
        )
