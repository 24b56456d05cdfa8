"""A lane with an event loop: runs the calls of one concurrency group of an asyncio actor."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from nbactors.local.worker.job import current

if TYPE_CHECKING:
    from nbactors.local.worker.job import Job


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's where that is installed."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class LoopLane:
    """Runs up to `limit` calls at the same time on one loop. Plain methods run on the loop's thread, too.

    Args:
        call: Calls the method; returns a coroutine that does the rest, or None when the call was answered.
        on_idle: Called on the loop's thread when nothing runs any more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: int,
        call: Callable[[Job], Coroutine[Any, Any, None] | None],
        on_idle: Callable[[], None],
    ) -> None:
        self.loop = loop
        self._limit = limit
        self._call = call
        self._on_idle = on_idle
        self._jobs: deque[Job] = deque()
        self._running = 0
        self._due = False
        self._started = False
        self._ident = 0
        # What calls are begun in: they come to know nothing of each other's context variables.
        self._context = contextvars.copy_context()

    def put(self, job: Job) -> None:
        """Take a call in. The leader's thread."""
        self._jobs.append(job)
        if self._started and not self._due:
            self._due = True
            # Never at once: on the loop's own thread this is inside the reactor, where user code must not run.
            if threading.get_ident() == self._ident:
                self.loop.call_soon(self._admit, context=self._context)
            else:
                self.soon(self._admit)

    def adopt(self) -> None:
        """Make the loop the calling thread's."""
        self._ident = threading.get_ident()
        asyncio.set_event_loop(self.loop)

    def start(self) -> None:
        """Begin: the constructor has returned. The loop's thread, before the loop runs."""
        self.adopt()
        self._started = True
        self.loop.call_soon(self._admit, context=self._context)

    def start_in_thread(self, name: str) -> None:
        """Begin, with the loop in a thread of its own."""

        def serve() -> None:
            self.start()
            self.loop.run_forever()

        threading.Thread(target=serve, name=f"nbactors-{name}", daemon=True).start()

    def clear(self) -> None:
        """Forget what has not begun: the actor ends."""
        self._jobs.clear()

    def cancel(self, job: Job) -> None:
        """Cancel the asyncio task of a running call. Any thread."""

        def cancel() -> None:
            if job.task is not None:
                job.task.cancel()

        self.soon(cancel)

    @property
    def is_busy(self) -> bool:
        """Whether more calls run or wait, so that answers are better gathered."""
        return self._running > 1 or bool(self._jobs)

    @property
    def has_running(self) -> bool:
        """Whether a call runs or waits."""
        return bool(self._running or self._jobs)

    def soon(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the loop's thread. Any thread."""
        try:
            self.loop.call_soon_threadsafe(callback, context=self._context)
        except RuntimeError:  # the loop is closed, the process about to end
            pass

    def _admit(self) -> None:
        """Start what may run. The loop's thread."""
        self._due = False
        jobs = self._jobs
        while self._running < self._limit:
            try:
                job = jobs.popleft()
            except IndexError:
                return
            if job.begin():
                self._running += 1
                self._launch(job)

    def _launch(self, job: Job) -> None:
        context = contextvars.copy_context()
        context.run(current.set, job)
        job.thread = self._ident
        rest = context.run(self._call, job)
        if rest is None:
            self._finished(job)
            return
        # The task enters itself in the job when it begins: cancelled before that, it would end without having answered.
        task = context.run(self.loop.create_task, rest)
        task.add_done_callback(lambda _: self._task_done(job))

    def _task_done(self, job: Job) -> None:
        job.task = None
        self._finished(job)
        if self._jobs:
            self._admit()

    def _finished(self, job: Job) -> None:
        job.end()
        self._running -= 1
        if not self._running and not self._jobs:
            self._on_idle()
