"""`Hosted`: the actor of a worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from nbactors.local.membership import Membership
from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.job import Job


MOST_NAMES = 1000
"""Methods whose names are kept."""


class CallsAtOnce(Protocol):
    """Runs the calls of an actor that runs several at the same time, see `Lanes`. Only the main thread calls `turn`."""

    is_async: bool
    main_ident: int | None

    @property
    def runs(self) -> bool: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def turn(self, seconds: float) -> None: ...
    def complete(self, coroutine: Coroutine[Any, Any, Any]) -> Any: ...
    def loops(self) -> list[Any]: ...
    def leave_loop(self, end: Callable[[], NoReturn]) -> None: ...


class Hosted:
    """The actor of a worker. In a worker for tasks, only `running` is ever set.

    Args:
        membership: Knows the node's directory; None for none.

    Attributes:
        actor_id, class_name, name: Of the actor, from the node's assignment.
        restarts: How often the actor was restarted before.
        may_restart: Whether the node makes another process of the actor when this one crashes.
        cls, module: The actor's class, and the module that defines it.
        instance: The actor's instance; None before the constructor has returned.
        made: Set when the constructor has returned.
        calls: Runs the calls of an actor that runs several at the same time; None if the main thread runs them.
        running: The job that the main thread runs.
        names: Names such as `Counter.increment`, by the method, see `name_of`.
    """

    def __init__(self, membership: Membership | None = None) -> None:
        self._membership = membership or Membership()
        self.actor_id = b""
        self.class_name = self.name = ""
        self.restarts = 0
        self.may_restart = False
        self.cls: type | None = None
        self.module = ""
        self.instance: Any = None
        self.made = threading.Event()
        self.calls: CallsAtOnce | None = None
        self.running: Job | None = None
        self.names: dict[str, str] = {}

    @property
    def directory(self) -> str:
        """The node's directory."""
        return self._membership.directory

    @property
    def is_async(self) -> bool:
        """Whether calls run on event loops."""
        return self.calls is not None and self.calls.is_async

    def name_of(self, method: str) -> str:
        """Return the name of a method with its class. Any thread.

        Each name is one object: a busy actor keeps the names of its calls for half a second, see `Recorder.unlisted`.
        """
        name = f"{self.class_name}.{method}"
        if not self.class_name:  # calls may arrive before the node's message that this worker hosts an actor
            return name
        if len(self.names) >= MOST_NAMES:  # callers may ask for any name
            self.names.clear()
        return self.names.setdefault(method, name)

    def function_of(self, job: Job) -> str:
        """Return the name of a job's function, such as `Counter.increment`, also before the job has begun."""
        message = job.message
        if job.name:
            return job.name
        return message.name if isinstance(message, messages.Run) else self.name_of(message.method)

    def enter(self, job: Job) -> None:
        """Note that user code of a job begins on a loop's thread. SIGINT can interrupt it on the main thread only."""
        if self.calls is not None and job.thread == self.calls.main_ident:
            self.running = job

    def leave(self, job: Job) -> None:
        """Note that user code of a job has given control back."""
        if self.running is job:
            self.running = None
