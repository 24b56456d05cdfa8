"""What a worker hosts: an actor, or nothing but tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.job import Job


class CallsAtOnce(Protocol):
    """What runs the calls of an actor that runs several at once: its `Lanes`."""

    is_async: bool
    main_ident: int | None

    @property
    def runs(self) -> bool:
        """Whether a call runs."""

    def pause(self) -> None:
        """Begin no more calls for now. Any thread."""

    def resume(self) -> None:
        """Go on. Any thread."""

    def turn(self, seconds: float) -> None:
        """Run the default group's loop for a moment. The main thread."""

    def complete(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end, and return what it returns. The main thread."""

    def loops(self) -> list[Any]:
        """Return the event loops."""

    def leave_loop(self, end: Callable[[], NoReturn]) -> None:
        """In a forked child: have the calling thread's loop call `end` when it gets control back."""


class Hosted:
    """The actor of a worker, as far as it has come; in a worker for tasks all of it is empty.

    Attributes:
        actor_id, class_name, name: What the node has told.
        cls, module: Its class, and where that is defined.
        instance: The actor; None before the constructor has returned.
        made: Set when it has.
        calls: What runs its calls if not the main thread, one by one; None for most actors.
        running: What the main thread runs.
    """

    def __init__(self) -> None:
        self.actor_id = b""
        self.class_name = self.name = ""
        self.cls: type | None = None
        self.module = ""
        self.instance: Any = None
        self.made = threading.Event()
        self.calls: CallsAtOnce | None = None
        self.running: Job | None = None

    @property
    def is_async(self) -> bool:
        """Whether calls run on event loops."""
        return self.calls is not None and self.calls.is_async

    def enter(self, job: Job) -> None:
        """A call's own code begins on a loop's thread; the main thread's is what an interrupt may hit."""
        if self.calls is not None and job.thread == self.calls.main_ident:
            self.running = job

    def leave(self, job: Job) -> None:
        """It has given control back."""
        if self.running is job:
            self.running = None
