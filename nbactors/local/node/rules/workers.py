"""Worker processes, from the order to fork a worker until it is removed.

Two events tell that a worker has ended, in any order: its control connection closes, and its forkserver reports its
exit. After the first, all other processes treat the worker as gone. The text about its end waits for the second and for
the last of its output, but only briefly: the processes that wait for the worker must be told soon.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from nbactors.local.node.rules import deaths, events
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.records import NO_CONNECTION, Session, Worker
from nbactors.local.wire import messages, os_bytes

REPORT_WITHIN_S = 0.5
"""How long, in seconds, an error text may wait for the exit status and the last lines of stderr."""

DRAIN_WITHIN_S = 0.2
"""The limit, in seconds, for a connection open after its process has exited: a child may have a copy of it."""

FINISH_WITHIN_S = 0.3
"""The limit, in seconds, for pipes open after the exit. Below `REPORT_WITHIN_S`, so that the report has all lines."""

EXIT_WITHIN_S = 3.0
"""How long, in seconds, a worker that has sent `Ending` may take to exit, for example for its atexit handlers."""

CONNECT_WITHIN_S = 60.0
"""The limit, in seconds, for a forked process to register: it applies its runtime_env on a machine that may be busy."""

ATTEMPTS = 3
"""How many processes are started for one task or actor, if they end before they are ready."""

KEEP_LOGS = 100
"""How many logs of ended task workers are kept."""

Hook = Callable[[Worker], None]


class Workers:
    """All workers.

    Args:
        take_spare: Returns the id that the next worker of an environment should have; empty if any id serves.
        on_ready: Called when a worker has registered.
        on_lost: Called when a worker is gone, once.
        on_reported: Called when it is known how a worker ended, or that this will never be known.
        on_removed: Called when a worker is removed.
    """

    def __init__(
        self,
        context: Context,
        environments: Callable[[int], messages.Environment],
        take_spare: Callable[[int], bytes],
        on_ready: Hook,
        on_lost: Hook,
        on_reported: Hook,
        on_removed: Hook,
    ) -> None:
        self._context = context
        self._environments = environments
        self._take_spare = take_spare
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._on_reported = on_reported
        self._on_removed = on_removed
        self._logs: deque[bytes] = deque()

    def start(self, session: Session, label: str, asked: messages.CreateActor | messages.RequestLease) -> Worker:
        """Have a worker forked, as a request for it asks. It is in the records from now on."""
        facts = self._context.facts
        # A preloaded module has read the session's variables and packages, and a runtime_env may have others.
        environment = session.environment if asked.runtime_env is None else session.plain
        process_id = self._take_spare(environment) if asked.runtime_env is None else b""
        worker = Worker(
            process_id=process_id or facts.new_id(), conn=NO_CONNECTION, pid=0, role="worker", home=session, label=label
        )
        worker.session = session
        self._context.processes[worker.process_id] = worker
        session.workers[worker.process_id] = worker
        order = messages.Fork(
            process_id=worker.process_id,
            directory=os_bytes.encode(facts.directory),
            title=f"ray::{label}",
            sys_path=asked.sys_path,
            cwd=asked.cwd,
            runtime_env=asked.runtime_env,
            modules=asked.modules if isinstance(asked, messages.CreateActor) else [],
        )
        self._context.do(events.Spawn(environment, self._environments(environment), order))
        worker.alarm = self._context.later(CONNECT_WITHIN_S, lambda: self._give_up(worker))
        return worker

    def kill(self, worker: Worker) -> None:
        """Kill a worker: now, or as soon as it exists."""
        if not (worker.doomed or worker.removed or worker.exit_known):
            worker.doomed = True
            if worker.pid:
                self._context.do(events.Kill(worker.process_id))

    def kill_later(self, worker: Worker, delay_s: float) -> None:
        """Kill a worker if it has not ended after `delay_s` seconds."""
        self._context.later(delay_s, lambda: self.kill(worker))

    def register(self, worker: Worker, conn: int, pid: int) -> None:
        """Note that the worker has connected."""
        worker.conn = conn
        worker.pid = worker.pid or pid
        worker.ready = True
        self._context.alarms.take_back(worker.alarm)
        self._context.send(worker, worker.home.described)
        self._on_ready(worker)

    def forked(self, event: events.Forked) -> None:
        """Note that the process exists, or could not be forked."""
        worker = self._find(event.process_id)
        if worker is None:
            return
        if not event.pid:
            worker.error = event.error
            self._assume_exited(worker)
            return
        worker.pid = event.pid
        if worker.doomed:
            self._context.do(events.Kill(worker.process_id))

    def exited(self, event: events.Exited) -> None:
        """Note that the process has exited. Messages that it sent before may still be unread."""
        worker = self._find(event.process_id)
        if worker is None or worker.exit_known:
            return
        worker.exit_known = True
        worker.status = event.status
        worker.has_oom_killer_struck = event.has_oom_killer_struck and not worker.doomed
        self._context.later(FINISH_WITHIN_S, lambda: self._finish_output(worker))
        if worker.conn == NO_CONNECTION:
            self._lose(worker)
        else:
            self._context.later(DRAIN_WITHIN_S, lambda: self._lose(worker))
        self._settle(worker)

    def disconnected(self, worker: Worker) -> None:
        """Note that the worker's connection has ended. The process ends soon, or is killed."""
        worker.conn = NO_CONNECTION
        self._lose(worker)
        if worker.exit_known:
            return
        if worker.orphaned:
            self.kill(worker)
            self._assume_exited(worker)
        else:
            self.kill_later(worker, EXIT_WITHIN_S if worker.ending else REPORT_WITHIN_S)

    def output_ended(self, event: events.OutputEnded) -> None:
        """Note that all output of the worker was read."""
        worker = self._find(event.process_id)
        if worker is not None:
            self._end_output(worker, event.tail)

    def orphan(self, process_ids: list[bytes], error: str) -> None:
        """Note that the forkserver of these workers is gone."""
        for process_id in process_ids:
            worker = self._find(process_id)
            if worker is not None and not worker.exit_known:
                worker.orphaned = True
                if worker.conn == NO_CONNECTION:
                    worker.error = worker.error or error
                    self.kill(worker)
                    self._assume_exited(worker)

    def may_try_again(self, worker: Worker, attempts: int) -> bool:
        """Return whether to start another process for a worker that has ended before it was ready.

        Not if the system or the node has given a reason against it. The death of a forkserver is no such reason: the
        next process gets another forkserver.
        """
        has_reason = (worker.error and not worker.orphaned) or self.kind_of_death(worker) == "runtime_env"
        return not (worker.ready or has_reason or attempts >= ATTEMPTS or self._context.stopping)

    def kind_of_death(self, worker: Worker) -> str:
        """Return "runtime_env" if the worker could not apply its runtime_env, "out_of_memory", or else "crashed"."""
        if worker.ending is not None and worker.ending.kind == "out_of_memory":
            return "out_of_memory"
        return "runtime_env" if deaths.has_no_runtime_env(worker.status, worker.ready) else "crashed"

    def death(self, worker: Worker) -> str:
        """Return why the worker ended, for the user."""
        if worker.error and not worker.ready:
            return deaths.not_started(worker.error)
        if worker.ending is not None and worker.ending.kind == "out_of_memory":
            return worker.ending.text
        if worker.has_oom_killer_struck:
            return deaths.oom_killed(worker.pid)
        return deaths.how(worker.pid, worker.status, worker.tail, worker.ready)

    def _find(self, process_id: bytes) -> Worker | None:
        worker = self._context.processes.get(process_id)
        return worker if isinstance(worker, Worker) else None

    def _give_up(self, worker: Worker) -> None:
        if not worker.ready and not worker.lost:
            worker.error = f"it did not register within {CONNECT_WITHIN_S:g} s"
            self.kill(worker)
            # It also counts as exited: a forkserver that hangs may never have forked it, and will not report its exit.
            self._assume_exited(worker)

    def _assume_exited(self, worker: Worker) -> None:
        """Treat a worker as exited whose exit will not be reported."""
        worker.exit_known = True
        if worker.pid:
            self._context.later(FINISH_WITHIN_S, lambda: self._finish_output(worker))
        else:
            worker.output_ended = True
        self._lose(worker)
        self._settle(worker)

    def _finish_output(self, worker: Worker) -> None:
        if not worker.output_ended:
            self._context.do(events.FinishOutput(worker.process_id))

    def _end_output(self, worker: Worker, tail: str) -> None:
        worker.output_ended = True
        worker.tail = worker.tail or tail
        self._settle(worker)

    def _lose(self, worker: Worker) -> None:
        if worker.lost:
            return
        worker.lost = True
        self._context.alarms.take_back(worker.alarm)
        if worker.conn != NO_CONNECTION:
            self._context.do(events.Close(worker.conn))
            worker.conn = NO_CONNECTION
        self._context.do(events.RemoveSocket(worker.process_id))
        # A spare may have died before its Hello, or its file may have stayed where it was.
        self._context.do(events.RemoveSocket(worker.process_id, is_spare=True))
        self._context.later(REPORT_WITHIN_S, lambda: self._report(worker))
        self._on_lost(worker)
        self._settle(worker)

    def _report(self, worker: Worker) -> None:
        if not worker.reported:
            worker.reported = True
            self._on_reported(worker)

    def _settle(self, worker: Worker) -> None:
        if not (worker.lost and worker.exit_known and worker.output_ended) or worker.removed:
            return
        self._report(worker)
        worker.removed = True
        self._context.processes.pop(worker.process_id, None)
        worker.home.workers.pop(worker.process_id, None)
        self._context.do(events.Forget(worker.process_id))
        if worker.actor is None:  # an actor's log is kept as long as the record of the actor
            self._logs.append(worker.process_id)
            if len(self._logs) > KEEP_LOGS:
                self._context.do(events.RemoveLog(self._logs.popleft()))
        self._on_removed(worker)
