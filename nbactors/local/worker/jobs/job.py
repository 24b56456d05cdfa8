"""`Job`: one call or task in the worker that runs it."""

from __future__ import annotations

from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors.local.wire import ids, messages
from nbactors.local.worker.jobs.production import Production
from nbactors.speedups.worker import JobBase, know_jobs

if TYPE_CHECKING:
    import asyncio

    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.held import Held
    from nbactors.local.submitting.pending_call import PendingCall

current: ContextVar[Job | None] = ContextVar("nbactors_job", default=None)
"""The job that the calling code belongs to, on loops and pool threads; `Hosted.running` is the main thread's."""


class Job(JobBase):
    """A call or task. It is in `waiting` and then in `running` of its caller's `CallerJobs`.

    `JobBase` has the attributes. Where that is compiled, most jobs are made, begun, answered and ended by steps in C,
    which do what the steps in Python do.

    Attributes:
        connection: The connection to the caller, for the answer.
        message: The `Call` or `Run`.
        rest, deps: The arguments, if the message's `data` does not hold all of them.
        is_task: Whether the job is a task, and not an actor's method.
        name: The name in errors, such as `Counter.increment`.
        label: The name from `options(name=)`, else `name`; shown in the process title.
        module: The module that defines the function or class.
        read_at: A time on the monotonic clock after which the message was read.
        since: The time at which the job has begun, on the monotonic clock.
        cancel: The caller's `Cancel`, if it has come while the job ran.
        interrupts: How often KeyboardInterrupt was raised in the job.
        answered: Whether the caller has an answer, although the job may still run.
        launched: The asyncio task that will run the job, until it begins to.
        task: The asyncio task that runs the job; None if none does.
        thread: The identifier of the thread that runs the job, 0 if none does.
        production: The state of the job's generator; None for other jobs.
        failure: The kind and the text of the error that the job was answered with; None for no error.
        waits: The job's waits in `get` and `wait`, None for none; see `Waits`.
        children: The pending calls that the job has made, in this order; None if it has made none.
    """

    __slots__ = ()

    def __init__(
        self, connection: Connection, message: messages.Call | messages.Run, rest: Held | None, deps: list[Any]
    ) -> None:
        self.connection = connection
        self.message = message
        self.rest = rest
        self.deps = deps
        self.is_task = type(message) is messages.Run
        self.name = ""
        self.label = message.name
        self.module = ""
        self.read_at = 0.0
        self.since = 0.0
        self.cancel: messages.Cancel | None = None
        self.children: dict[PendingCall, None] | None = None
        self.failure: tuple[str, str] | None = None
        self.waits: list[messages.Wait] | None = None
        self.interrupts = 0
        self.answered = False
        self.launched: asyncio.Task[None] | None = None
        self.task: asyncio.Task[None] | None = None
        self.thread = 0
        # Made with the job: a `StopStream` may be read directly after the call.
        self.production = Production(message) if message.num_returns < 0 else None

    def begin(self) -> bool:
        """Start the job; return False if it was cancelled or given back. The thread that is to run it."""
        jobs = self.connection.jobs
        number = self.message.number
        # Added to `running` before removed from `waiting`: `Executor.on_cancel` looks into `waiting` first.
        jobs.running[number] = self
        if jobs.waiting.pop(number, None) is None:
            del jobs.running[number]
            return False
        self.since = monotonic()
        return True

    def end(self) -> None:
        """Note that the job runs no more."""
        jobs, message = self.connection.jobs, self.message
        jobs.running.pop(message.number, None)
        events = jobs.events
        if message.submitted and events is not None:
            count = events.recorder.count_fast
            if count is None or self.failure is not None:
                events.ended(self)
            else:  # most calls of a busy worker
                count(self.name)

    @property
    def kind(self) -> str:
        """Ray's name for the kind of call."""
        return "NORMAL_TASK" if self.is_task else "ACTOR_TASK"

    @property
    def task_id(self) -> bytes:
        """The id of the task, from which the ids of its results are made."""
        return ids.task_id(self.connection.peer_id, self.message.number)

    @property
    def cancel_id(self) -> str:
        """The task id by which the job can be cancelled, hexadecimal digits; empty if it cannot be."""
        return self.task_id.hex()


know_jobs(Job, messages.Call, messages.Run, messages.Reply)
