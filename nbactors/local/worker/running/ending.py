"""How a worker ends on purpose: `__ray_shutdown__`, `__del__`, atexit handlers, buffers, and the node is told why.

Guarantees, whoever begins it:

- The node learns of it first, and kills the process and what it has started when the actor's time for a graceful end
  is up. What the user's clean-up does may last for ever: multiprocessing joins living children at exit.
- Callers need not wait for that. The call that ends the actor, those that wait and those that come later are answered
  at once with why the actor is dead.
- SIGTERM ends an actor that runs several calls at once like `exit_actor()`; any other process dies of it.
- Calls that run on other threads and loops end first, and are answered with what they return.
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
"""As a shell tells that a command was ended by it."""


class ActorExit(BaseException):
    """Raised by `exit_actor()` to unwind the method; no `except Exception` of the user's catches it.

    Attributes:
        after_queue: Whether what waits already is still served; otherwise it fails.
    """

    def __init__(self, text: str, after_queue: bool = False) -> None:
        super().__init__(text)
        self.after_queue = after_queue


class Ending:
    """The last job of a worker; `Farewell.carry_out` does it.

    Args:
        kind: What the node is told, see `messages.Ending`.
        text: The cause, for whoever still calls.
        graceful: Whether the user's clean-up runs.
        status: The process's exit status.
    """

    def __init__(self, kind: str, text: str, graceful: bool = True, status: int = 0) -> None:
        self.kind = kind
        self.text = text[-MAX_TEXT:]
        self.graceful = graceful
        self.status = status


class Farewell:
    """Ends the worker, and tells the node and the callers of its actor.

    Args:
        membership: Whether this is a forked child.
        objects: Unpack what comes too late.
        peers: The connections of the callers.
        node: Is told.
        flush: Sends all that is buffered, for at most so many seconds.
        hosted: What the worker hosts.
        answers: Answers the calls that will not run.
        end: Queues an ending behind all that waits.
        leave: Ends the process with a status.

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

    def carry_out(self, ending: Ending) -> NoReturn:
        """End the process. The main thread.

        The order is Ray's: `__ray_shutdown__`, the instance's `__del__`, atexit handlers.
        """
        if self._membership.forked:
            if not ending.graceful:
                print(ending.text, file=sys.stderr)
            forked.leave(ending.status or int(not ending.graceful))
        self.begin(ending)
        # Answers of finished calls go out before the clean-up, which may take long.
        self._flush(OUTPUT_S)
        if ending.graceful:
            self._clean_up()
            if self._membership.forked:  # by a handler
                forked.leave(0)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # closed by the user
                pass
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
        # What `sys.exit` would run; the interpreter itself is left by os._exit, since the forkserver's state is in it.
        atexit._run_exitfuncs()

    def take_sigterm(self) -> None:
        """Have SIGTERM end the actor. The main thread."""
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def give_sigterm_back(self) -> None:
        """In a forked child: have SIGTERM end it, unless the user has taken that."""
        if signal.getsignal(signal.SIGTERM) == self._on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _on_sigterm(self, number: int, frame: object) -> None:
        # It may have interrupted anything on the main thread: this takes no lock.
        self._objects.reactor.discard(self._on_asked)

    def _on_asked(self) -> None:
        text = f"its worker process (pid {os.getpid()}) got SIGTERM (somebody asked it to end)."
        ending = Ending("crashed", text, status=SIGTERM_STATUS)
        self.begin(ending)
        self._end(ending)

    def begin(self, ending: Ending, job: Job | None = None, after_queue: bool = False) -> None:
        """Tell the node, and take in no more calls. Any thread; of several endings the first counts.

        A task's caller learns from the node, and may try it again.

        Args:
            ending: How it ends.
            job: The call that has ended it.
            after_queue: Whether what waits already is still served.
        """
        if self.ending is None:
            self.ending = ending
            self._node.send_now(messages.Ending(ending.kind, ending.text))
        if self._hosted.actor_id and ending.graceful:
            # On the leader's thread, where calls are taken in: none slips in between, nor after the answer.
            self._objects.reactor.call_later(0, lambda: self._close(job, after_queue))

    def _answer(self, job: Job) -> None:
        assert self.ending is not None
        hosted = self._hosted
        down = messages.ActorDown(
            hosted.actor_id, self.ending.kind, self.ending.text, hosted.class_name, hosted.name, os.getpid()
        )
        error = messages.Value(failures.actor_died(down), error=True)
        self._answers.send(job, messages.Results(job.message.number, [error]))

    def _close(self, job: Job | None, after_queue: bool) -> None:
        """Take in no more calls, and answer. The leader's thread."""
        self._peers.handlers[messages.Call] = self._turn_away
        if job is not None:
            self._answer(job)
        if after_queue:
            return
        for connection in self._peers.incoming():
            jobs: CallerJobs = connection.jobs
            for number in list(jobs.waiting):
                # The thread that takes a job out decides about it: it may begin just now.
                waiting = jobs.waiting.pop(number, None)
                if waiting is not None:
                    self._answer(waiting)

    def _turn_away(self, connection: Connection, message: messages.Call) -> None:
        """A call has come too late. The leader's thread."""
        receive = self._objects.values.receive
        # Taken over, and dropped at once: the descriptors of the next message lie behind those of this one.
        for value in (message.rest, *(value for _, value in message.deps or ())):
            if value is not None:
                receive(connection, value)
        self._answer(Job(connection, message, None, []))
