"""The deliberate end of a worker: `__ray_shutdown__`, `__del__`, atexit handlers, buffers.

    begin: tell the node the cause ──► answer the callers ──► drain: let running calls end ──► clean up ──► exit

- The node learns of the end first. It kills the process and the processes that it has started after the actor's time
  for a graceful end. User code in the clean-up may last for ever: multiprocessing joins living children at exit.
- Callers do not wait for the clean-up. The call that ends the actor, waiting calls and later calls are answered at once
  with the cause of the actor's death.
- Calls that run on other threads and loops end first, and are answered with their results.
- SIGTERM ends an actor with lanes as `exit_actor()` does. Other workers have no handler for SIGTERM, which kills them.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from nbactors.limits import MAX_TEXT
from nbactors.local.wire import failures, messages
from nbactors.local.worker.jobs.job import Job
from nbactors.local.worker.running import forked

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.membership import Membership
    from nbactors.local.objects.objects import Objects
    from nbactors.local.worker.jobs.caller_jobs import CallerJobs
    from nbactors.local.worker.jobs.hosted import Hosted
    from nbactors.local.worker.running.answers import Answers

OUTPUT_S = 2.0

SIGTERM_STATUS = 128 + signal.SIGTERM
"""The exit status with which a shell reports that SIGTERM has ended a command."""


class ActorExit(BaseException):
    """Raised by `exit_actor()` to unwind the method. User code with `except Exception` does not catch it.

    Attributes:
        after_queue: Whether calls that wait already still run; otherwise they fail.
    """

    def __init__(self, text: str, after_queue: bool = False) -> None:
        super().__init__(text)
        self.after_queue = after_queue


class Ending:
    """The last job of a worker, for `Farewell.carry_out`.

    Args:
        kind: The kind of ending for the node, see `messages.Ending`.
        text: The cause, for the errors of callers.
        graceful: Whether user code for the clean-up runs.
        status: The exit status of the process.
    """

    def __init__(self, kind: str, text: str, graceful: bool = True, status: int = 0) -> None:
        self.kind = kind
        self.text = text[-MAX_TEXT:]
        self.graceful = graceful
        self.status = status


class Farewell:
    """Ends the worker, and tells the node and the callers of its actor.

    Args:
        membership: Tells whether this is a forked child.
        objects: Takes over the arguments of calls that come too late.
        peers: The connections of the callers.
        node: Is told of the ending.
        flush: Sends all buffered messages, for at most the given seconds.
        hosted: The worker's actor.
        answers: Answers the calls that will not run.
        end: Queues an ending behind the waiting calls.
        leave: Ends the process with an exit status.

    Attributes:
        ending: The first ending that has begun; None as long as the actor lives.
    """

    def __init__(
        self,
        membership: Membership,
        objects: Objects,
        peers: Peers,
        node: NodeLink,
        *,
        flush: Callable[[float], None],
        hosted: Hosted,
        answers: Answers,
        end: Callable[[Ending], None],
        leave: Callable[[int], NoReturn],
    ) -> None:
        self._membership = membership
        self._objects = objects
        self._peers = peers
        self._node = node
        self._flush = flush
        self._leave = leave
        self._hosted = hosted
        self._answers = answers
        self._end = end
        self.ending: Ending | None = None
        self.before_leaving: Callable[[], None] = lambda: None
        """Called before the last messages are sent."""

    def carry_out(self, ending: Ending) -> NoReturn:
        """End the process. The main thread.

        The order is Ray's: `__ray_shutdown__`, the instance's `__del__`, atexit handlers.
        """
        if self._membership.forked:
            if not ending.graceful:
                print(ending.text, file=sys.stderr)
            forked.leave(ending.status or int(not ending.graceful))
        self.begin(ending)
        # Answers to finished calls go out before the clean-up, which may take long.
        self._flush(OUTPUT_S)
        if ending.graceful:
            self._clean_up()
            if self._membership.forked:  # an atexit handler or `__del__` has forked this child
                forked.leave(0)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # user code has closed it
                pass
        self.before_leaving()
        self._flush(OUTPUT_S)
        self._leave(ending.status)

    def _clean_up(self) -> None:
        instance, self._hosted.instance = self._hosted.instance, None
        shutdown = getattr(instance, "__ray_shutdown__", None)
        if shutdown is not None:
            try:
                shutdown()
            except BaseException:  # noqa: BLE001 - Ray logs it and goes on
                print("__ray_shutdown__ raised:", file=sys.stderr)
                traceback.print_exc()
            if self._membership.forked:
                forked.leave(0)
        shutdown = None
        del instance
        gc.collect()
        # `sys.exit` would run the handlers. The process exits by os._exit instead, since it has the forkserver's state.
        atexit._run_exitfuncs()

    def take_sigterm(self) -> None:
        """Have SIGTERM end the actor. The main thread."""
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def give_sigterm_back(self) -> None:
        """In a forked child: have SIGTERM end the process, unless user code has set a handler."""
        if signal.getsignal(signal.SIGTERM) == self._on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _on_sigterm(self, number: int, frame: object) -> None:
        # The signal may have interrupted any code on the main thread, so this only posts an action, without a lock.
        self._objects.reactor.discard(self._on_asked)

    def _on_asked(self) -> None:
        text = f"its worker process (pid {os.getpid()}) got SIGTERM (somebody asked it to end)."
        ending = Ending("crashed", text, status=SIGTERM_STATUS)
        self.begin(ending)
        self._end(ending)

    def begin(self, ending: Ending, job: Job | None = None, after_queue: bool = False) -> None:
        """Tell the node, and take no more calls. Any thread; of several endings the first counts.

        The caller of a task is told by the node, and may try the task again.

        Args:
            ending: The ending.
            job: The call that has ended the actor.
            after_queue: Whether calls that wait already still run.
        """
        if self.ending is None:
            self.ending = ending
            self._node.send_now(messages.Ending(ending.kind, ending.text))
        if self._hosted.actor_id and ending.graceful:
            # On the leader's thread, which also takes calls in: so no call arrives in between, nor after the answers.
            self._objects.reactor.call_later(0, lambda: self._close(job, after_queue))

    def _answer(self, job: Job) -> None:
        assert self.ending is not None
        hosted = self._hosted
        if hosted.may_restart and self.ending.kind == "crashed":
            return  # its caller learns from the node that the actor restarts, and may try it again
        down = messages.ActorDown(
            hosted.actor_id, self.ending.kind, self.ending.text, hosted.class_name, hosted.name, os.getpid()
        )
        error = messages.Value(failures.actor_died(down), error=True)
        self._answers.send(job, messages.Results(job.message.number, [error]))

    def _close(self, job: Job | None, after_queue: bool) -> None:
        """Answer waiting and later calls with the cause of death. The leader's thread."""
        self._peers.handlers[messages.Call] = self._turn_away
        if job is not None:
            self._answer(job)
        if after_queue:
            return
        for connection in self._peers.incoming():
            jobs: CallerJobs = connection.jobs
            for number in list(jobs.waiting):
                # Another thread may begin the job just now: the thread that takes it out decides.
                waiting = jobs.waiting.pop(number, None)
                if waiting is not None:
                    self._answer(waiting)

    def _turn_away(self, connection: Connection, message: messages.Call) -> None:
        """Answer a call that has come too late. The leader's thread."""
        receive = self._objects.values.receive
        # The values are taken over and dropped, so that their descriptors, holds and tokens are given back.
        for value in (message.rest, *(value for _, value in message.deps or ())):
            if value is not None:
                receive(connection, value)
        self._answer(Job(connection, message, None, []))
