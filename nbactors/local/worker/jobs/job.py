"""`Job`: one call or task in the worker that runs it."""

from __future__ import annotations

from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors.local.wire import ids, messages
from nbactors.local.worker.jobs.production import Production

if TYPE_CHECKING:
    import asyncio

    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.held import Held
    from nbactors.local.submitting.pending_call import PendingCall

current: ContextVar[Job | None] = ContextVar("nbactors_job", default=None)
"""The job that the calling code belongs to, on loops and pool threads; the main thread's is `Executor.running`."""


class Job:
    """What came with a call, and how far it is.

    It waits in its connection's `waiting`, then runs in `running`; see `CallerJobs`.

    Attributes:
        connection: Where the answer goes.
        message: The `Call` or `Run`.
        rest, deps: The arguments where the message's `data` does not hold them all.
        is_task: Whether it is a task, not an actor's method.
        name: As in the process title and in errors: `Counter.increment`.
        label: What `options(name=)` gave, else `name`.
        module: Where the function or class is defined.
        read_at: It was read after this moment, on the monotonic clock.
        since: When it has begun, on the monotonic clock.
        cancel: What was asked for, if it was cancelled while it ran.
        interrupts: How often KeyboardInterrupt was raised in it.
        answered: Its caller got an answer, though it may still run.
        launched: The asyncio task that is to run it, until that begins.
        task: The asyncio task that runs it, if one does.
        thread: The identifier of the thread that runs it, 0 if none does.
        production: What it yields, if it is a generator.
        children: The calls that it has made and that have not returned, in this order; None if it has made none.
    """

    __slots__ = (
        "answered",
        "cancel",
        "children",
        "connection",
        "deps",
        "interrupts",
        "is_task",
        "label",
        "launched",
        "message",
        "module",
        "name",
        "production",
        "read_at",
        "rest",
        "since",
        "task",
        "thread",
    )

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
        self.interrupts = 0
        self.answered = False
        self.launched: asyncio.Task[None] | None = None
        self.task: asyncio.Task[None] | None = None
        self.thread = 0
        # Made with the job: word that nobody reads may come as soon as the call has.
        self.production = Production(message) if message.num_returns < 0 else None

    def begin(self) -> bool:
        """Start, unless it was cancelled or given back. The thread that is to run it."""
        jobs = self.connection.jobs
        number = self.message.number
        # In this order: whoever cancels looks into `waiting` first, and then finds it in `running`.
        jobs.running[number] = self
        if jobs.waiting.pop(number, None) is None:
            del jobs.running[number]
            return False
        self.since = monotonic()
        return True

    def end(self) -> None:
        """It runs no more."""
        self.connection.jobs.running.pop(self.message.number, None)

    @property
    def task_id(self) -> bytes:
        """The id of the task, as in the ids of its results."""
        return ids.task_id(self.connection.peer_id, self.message.number)
