"""`Inspector`: tells what a worker does now, as data."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from operator import attrgetter
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING

from nbactors.in_worker import arguments_now, pausing
from nbactors.in_worker.thread_frames import current_frames
from nbactors.local.wire import messages

if TYPE_CHECKING:
    import asyncio

    from nbactors.in_worker.arguments_now import Arguments, Called
    from nbactors.local.membership import Membership
    from nbactors.local.worker.jobs.hosted import Hosted
    from nbactors.local.worker.jobs.job import Job

Place = tuple[int, "asyncio.Task[None] | None"]
"""The thread that runs a job, 0 if that is not known, and the asyncio task."""

MAX_CALLS = 200
"""The most running calls of an answer, and the most waiting ones."""


class Inspector:
    """Makes the answer to `AskInspection`, while the calls run on. It takes no lock and does not wait.

    Args:
        membership: Knows the worker's id.
        hosted: The worker's actor.
        jobs: Returns the jobs that run, and then those that have not begun.
        limits: Returns how many calls each concurrency group runs at the same time, the default group first.
        memory: Returns the memory of this process in bytes.
        called: Returns what the runtime has called for a job on a thread, by the thread's innermost frame.
    """

    def __init__(
        self,
        membership: Membership,
        hosted: Hosted,
        jobs: Callable[[], tuple[Iterator[Job], Iterator[Job]]],
        limits: Callable[[], Mapping[str, int]],
        memory: Callable[[], int],
        called: Callable[[FrameType | None], Called | None],
    ) -> None:
        self._membership = membership
        self._hosted = hosted
        self._jobs = jobs
        self._limits = limits
        self._memory = memory
        self._called = called

    def look(self) -> messages.Inspection:
        """Return what the worker does now. The leader's thread."""
        before, unbegun = (list(jobs) for jobs in self._jobs())
        places = {job: self._place(job) for job in before}
        frames = current_frames()
        running = sorted(self._jobs()[0], key=attrgetter("since"))
        begun = set(running)
        waiting = [job for job in unbegun if job not in begun]
        waiting.sort(key=attrgetter("read_at"))  # each caller's are in order already
        rows = [self._running(job, places.get(job), frames) for job in running[:MAX_CALLS]]
        # One of them is the frame of this function. The cycle would keep the arguments of ended calls.
        frames.clear()
        return messages.Inspection(
            pid=os.getpid(),
            process_id=self._membership.process_id,
            cpu_s=time.process_time(),
            memory=self._memory(),
            at=monotonic(),
            since=self._membership.since,
            groups=self._groups(running, waiting),
            running=rows,
            queued=[self._row(job, job.read_at, [], False) for job in islice(waiting, MAX_CALLS)],
        )

    def _groups(self, running: list[Job], waiting: list[Job]) -> list[messages.GroupNow]:
        limits = self._limits()
        ids: dict[str, list[bytes]] = {name: [] for name in limits}
        for job in running:
            group = self._group(job)
            if group in ids:  # calls that bypass the queue have none
                ids[group].append(job.task_id)
        # Counted one by one only where there is a choice: 100,000 calls may wait.
        queued = Counter(map(self._group, waiting)) if len(limits) > 1 else {"": len(waiting)}
        return [messages.GroupNow(name, size, ids[name], queued.get(name, 0)) for name, size in limits.items()]

    @staticmethod
    def _group(job: Job) -> str:
        return "" if isinstance(job.message, messages.Run) else job.message.group

    def _row(self, job: Job, since: float, arguments: Arguments, paused: bool) -> messages.CallNow:
        name = job.label or self._hosted.function_of(job)
        return messages.CallNow(job.task_id, name, self._group(job), since, arguments, paused)

    def _place(self, job: Job) -> Place:
        # The loop's thread sets `task` before it clears `launched`.
        launched, task = job.launched, job.task
        # A job has no thread while the main thread runs it, and also directly after it has begun on another one.
        main = threading.main_thread().ident or 0
        return job.thread or (main if self._hosted.running is job else 0), task or launched

    def _running(self, job: Job, before: Place | None, frames: Mapping[int, FrameType]) -> messages.CallNow:
        """Return the row of a running job. `before` is its place before the frames were read, None if it had none.

        If the place is the same after that, the frame of the thread is of this job. Else it may be of another job,
        which the thread has run before or after.
        """
        thread, task = place = self._place(job)
        arguments: Arguments = []
        paused = False
        if task is not None:
            arguments, paused = self._of_task(task.get_coro(), frames.get(thread))
        elif place == before and thread:
            frame = frames.get(thread)
            called = self._called(frame)
            paused = pausing.waits_for_user(arguments_now.within(frame, None) or [])
            if called is not None:
                arguments = arguments_now.of_call(called, self._hosted.instance, paused)
        return self._row(job, job.since or monotonic(), arguments, paused)

    def _of_task(self, coroutine: object, frame: FrameType | None) -> tuple[Arguments, bool]:
        own: FrameType | None = getattr(coroutine, "cr_frame", None)
        if own is None:  # it has ended just now
            return [], False
        inner = arguments_now.within(frame, own)
        paused = inner is not None and pausing.waits_for_user(inner)
        method = arguments_now.method_of(coroutine, inner)
        return arguments_now.of_frame(method, self._hosted.instance, paused), paused
