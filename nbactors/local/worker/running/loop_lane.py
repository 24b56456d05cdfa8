"""`LoopLane`: runs the calls of one concurrency group of an asyncio actor on an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors.local.worker.jobs.job import current
from nbactors.local.worker.running.lookout import UNREAD_S, Lookout
from nbactors.speedups.worker import LaneBase

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.running.loop_performer import LoopPerformer


class LoopLane(LaneBase):
    """Runs up to `limit` calls at the same time on one loop. Plain methods run on the loop's thread, too.

    Args:
        performer: Performs the calls.
        on_idle: Called on the loop's thread when no call runs or waits any more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: int,
        performer: LoopPerformer,
        on_idle: Callable[[], None],
    ) -> None:
        self.loop = loop
        self._limit = min(limit, sys.maxsize)
        self._performer = performer
        self._current = current
        self._on_idle = on_idle
        self._jobs: deque[Job] = deque()
        self._running = 0
        self._room = limit
        self._due = False
        self._due_since = 0.0
        self._is_gathering = self._has_gathered = False
        self._lookout = Lookout(performer.catch_up)
        self._reads = True  # whether this loop hosts the reactor, and so reads the sockets
        self._started = False
        self._paused = False
        self._ident = 0
        # The context in which calls begin, so that no call sees the context variables of another one.
        self._context = contextvars.copy_context()

    def put(self, job: Job) -> None:
        """Take a call in. The leader's thread."""
        elsewhere = get_ident() != self._ident
        if elsewhere and self._reads:
            # Another thread has read the call, so the loop is blocked for an unknown time. `distrust` comes before the
            # loop can find the call.
            self._lookout.distrust()
        self._jobs.append(job)
        # The call does not begin here: on the loop's own thread this is inside the reactor, which runs no user code.
        if self._is_gathering and not elsewhere:
            self._has_gathered = self._started
        elif self._started and not self._due:
            self._due, self._due_since = True, job.read_at
            if elsewhere:
                self.soon(self._on_put)
            else:
                self.loop.call_soon(self._on_put, context=self._context)

    def gather(self, visit: Callable[[], bool]) -> bool:
        """Do what `visit` does, and begin the calls that it has put in, without another turn of the loop.

        Called by a callback of the loop, outside of the reactor. Returns what `visit` returns.
        """
        self._is_gathering = True
        try:
            return visit()
        finally:
            self._is_gathering = False
            if self._has_gathered:
                self._has_gathered = False
                self._admit()

    def adopt(self) -> None:
        """Make the loop the loop of the calling thread."""
        self._ident = threading.get_ident()
        asyncio.set_event_loop(self.loop)

    def start(self) -> None:
        """Begin to run calls, after the constructor has returned. The loop's thread, before the loop runs."""
        self.adopt()
        self._started = True
        self.loop.call_soon(self._admit, context=self._context)

    def start_in_thread(self, name: str) -> None:
        """Begin to run calls, with the loop on a thread of its own. The default group's loop reads the sockets."""
        self._reads = False

        def serve() -> None:
            self.start()
            self.run()

        threading.Thread(target=serve, name=f"nbactors-{name}", daemon=True).start()

    def run(self) -> None:
        """Run the loop until it is stopped. The loop's thread.

        Exceptions of calls do not get here. The loop raises exceptions of asyncio tasks and callbacks that user code
        has made, and can run on afterwards.
        """
        while True:
            try:
                self.loop.run_forever()
                return
            except SystemExit as reason:
                self._performer.leave_by(reason, None)
            except KeyboardInterrupt:  # the task keeps it for code that awaits the task
                pass

    def pause(self) -> None:
        """Begin no more calls until `resume`. Any thread."""
        self._paused = True

    def resume(self) -> None:
        """Begin calls again. Any thread."""
        self._paused = False
        self.soon(self._admit)

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

    @property
    def runs(self) -> bool:
        """Whether a call runs. A call that is just beginning does not count yet, but does after a turn of the loop."""
        return bool(self._running)

    @property
    def is_own(self) -> bool:
        """Whether the calling thread is the loop's thread."""
        return threading.get_ident() == self._ident

    def call_next(self, callback: Callable[[], object]) -> None:
        """Have the loop call `callback` before all other callbacks that are due. The loop's thread."""
        self.loop.call_soon(callback)
        ready = getattr(self.loop, "_ready", None)
        if isinstance(ready, deque):  # uvloop has none
            ready.rotate(1)

    def soon(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the loop's thread. Any thread."""
        try:
            self.loop.call_soon_threadsafe(callback, context=self._context)
        except RuntimeError:  # the loop is closed: the process is about to end
            pass

    def _on_put(self) -> None:
        """Start calls that have arrived, or that another call's end lets run. The loop's thread."""
        self._due = False
        if monotonic() - self._due_since > UNREAD_S:
            # A coroutine has blocked the loop meanwhile. Its call still runs, so the end of a call has not noted that.
            self._lookout.distrust()
        self._admit()

    def _admit(self) -> None:
        """Start calls up to the limit. The loop's thread.

        Calls that end at once leave room for others. So the steps in C begin no more than the limit in one turn of the
        loop, to let all else that is due run.
        """
        jobs = self._jobs
        self._room = self._limit
        while not self._admit_quickly():
            if not (jobs and self._running < self._limit) or self._paused:
                return
            job = jobs.popleft()
            self._lookout.before(job)
            if job.begin():
                self._running += 1
                job.thread = self._ident
                contextvars.copy_context().run(self._begin, job)

    def _begin(self, job: Job) -> None:
        """Begin a call in a context of its own."""
        current.set(job)
        rest = self._performer.call(job, self._task_ends)
        if rest is None:
            self._finished(job)
        elif not self._launch_quickly(job, rest):  # at once, as the calls behind it, which would overtake it
            self._launch(job, rest)

    def _launch(self, job: Job, rest: Coroutine[Any, Any, None]) -> None:
        """Make the task that runs the rest of a call, from the loop's next turn on.

        The steps in C make the task and take its first step at once, unless the loop is not ours or has a task factory.
        """
        # Run to its first `await`. asyncio drops a coroutine that is cancelled before it has begun, without a word to
        # it: so it begins here. A callback of the task instead would cost a sixth of a small call.
        rest.send(None)
        # It becomes `job.task` when it begins. `cancel` leaves it alone before that, so that it begins and answers.
        job.launched = self.loop.create_task(rest)

    def _task_ends(self, job: Job) -> None:
        """Note the end of a call's asyncio task. Runs within this task, so it must not begin another call."""
        job.task = job.launched = None
        self._finished(job)
        if self._jobs and not self._due:
            self._go_on()

    def _go_on(self) -> None:
        """Have waiting calls started. The loop's thread."""
        self._due, self._due_since = True, monotonic()
        self.loop.call_soon(self._on_put, context=self._context)

    def _finished(self, job: Job) -> None:
        if self._lookout._finish_quickly(job) is None:
            job.end()
            self._lookout.after(job)
        self._running -= 1
        if not self._running and not self._jobs:
            self._on_idle()
