"""Worker processes: from the wish for one until nothing is left of it.

A worker's end is noticed by two things that come in any order: its control connection closes, and its forkserver
reports how it exited. The first tells everybody that it is gone, at once; what is to be said about it waits for the
second and for the last of its output, but not long: whoever waits for the worker must be told soon.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from nbactors.local.node.rules import deaths
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.events import (
    Close,
    Exited,
    FinishOutput,
    Forget,
    Forked,
    Kill,
    OutputEnded,
    RemoveLog,
    RemoveSocket,
    Spawn,
)
from nbactors.local.node.rules.records import NO_CONNECTION, Session, Worker
from nbactors.local.wire import messages

REPORT_WITHIN_S = 0.5
"""What an error text may wait for the exit status and the last lines of stderr."""

DRAIN_WITHIN_S = 0.2
"""What a connection may stay open after its process has exited: a child of it may have kept a copy."""

FINISH_WITHIN_S = 0.3
"""What pipes may stay open after the exit; less than `REPORT_WITHIN_S`, so that the last lines are in the report."""

EXIT_WITHIN_S = 3.0
"""What a worker that has said goodbye may still take, for instance for its atexit handlers."""

CONNECT_WITHIN_S = 60.0
"""What a forked process may take to register: it applies its runtime_env, and the machine may be busy."""

ATTEMPTS = 3
"""How many processes are made for one task or actor, if they end before they are ready."""

KEEP_LOGS = 100
"""So many logs of task workers that have ended are kept."""

Hook = Callable[[Worker], None]


class Workers:
    """All workers.

    Args:
        on_ready: Called when one has registered.
        on_lost: Called when one is gone, once.
        on_reported: Called when it is known how it ended, or not to be known.
        on_removed: Called when nothing is left of it.
    """

    def __init__(
        self,
        context: Context,
        environments: Callable[[int], messages.Environment],
        on_ready: Hook,
        on_lost: Hook,
        on_reported: Hook,
        on_removed: Hook,
    ) -> None:
        self._context = context
        self._environments = environments
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._on_reported = on_reported
        self._on_removed = on_removed
        self._logs: deque[bytes] = deque()

    def start(
        self,
        session: Session,
        title: str,
        label: str,
        runtime_env: messages.RuntimeEnv | None,
        sys_path: list[bytes],
        cwd: bytes,
        modules: list[str],
    ) -> Worker:
        """Have a process forked. It is in the records from now on."""
        worker = Worker(
            process_id=self._context.facts.new_id(), conn=NO_CONNECTION, pid=0, role="worker", home=session, label=label
        )
        worker.session = session
        self._context.processes[worker.process_id] = worker
        session.workers[worker.process_id] = worker
        self._context.do(
            Spawn(
                session.environment,
                self._environments(session.environment),
                worker.process_id,
                title,
                sys_path,
                cwd,
                runtime_env,
                modules,
            )
        )
        worker.alarm = self._context.later(CONNECT_WITHIN_S, lambda: self._give_up(worker))
        return worker

    def kill(self, worker: Worker) -> None:
        """Kill it, now or as soon as it exists."""
        if not (worker.doomed or worker.removed or worker.exit_known):
            worker.doomed = True
            if worker.pid:
                self._context.do(Kill(worker.process_id))

    def kill_later(self, worker: Worker, delay_s: float) -> None:
        """Kill it if it has not ended by then."""
        self._context.later(delay_s, lambda: self.kill(worker))

    def register(self, worker: Worker, conn: int, pid: int) -> None:
        """The worker has connected."""
        worker.conn = conn
        worker.pid = worker.pid or pid
        worker.ready = True
        self._context.alarms.take_back(worker.alarm)
        self._on_ready(worker)

    def forked(self, event: Forked) -> None:
        """The process exists, or could not be made."""
        worker = self._find(event.process_id)
        if worker is None:
            return
        if not event.pid:
            worker.error = event.error
            self._nothing_more(worker)
            return
        worker.pid = event.pid
        if worker.doomed:
            self._context.do(Kill(worker.process_id))

    def exited(self, event: Exited) -> None:
        """The process has ended. What it had sent before may still have to be read."""
        worker = self._find(event.process_id)
        if worker is None or worker.exit_known:
            return
        worker.exit_known = True
        worker.status = event.status
        self._context.later(FINISH_WITHIN_S, lambda: self._finish_output(worker))
        if worker.conn == NO_CONNECTION:
            self._lose(worker)
        else:
            self._context.later(DRAIN_WITHIN_S, lambda: self._lose(worker))
        self._settle(worker)

    def disconnected(self, worker: Worker) -> None:
        """Its connection has ended, which it outlives only by mistake."""
        worker.conn = NO_CONNECTION
        self._lose(worker)
        if worker.exit_known:
            return
        if worker.orphaned:
            self.kill(worker)
            self._nothing_more(worker)
        else:
            self.kill_later(worker, EXIT_WITHIN_S if worker.ending else REPORT_WITHIN_S)

    def output_ended(self, event: OutputEnded) -> None:
        """All output of a worker was read."""
        worker = self._find(event.process_id)
        if worker is not None:
            self._end_output(worker, event.tail)

    def orphan(self, process_ids: list[bytes], error: str) -> None:
        """The forkserver of these is gone."""
        for process_id in process_ids:
            worker = self._find(process_id)
            if worker is not None and not worker.exit_known:
                worker.orphaned = True
                if worker.conn == NO_CONNECTION:
                    worker.error = worker.error or error
                    self.kill(worker)
                    self._nothing_more(worker)

    def may_try_again(self, worker: Worker, attempts: int) -> bool:
        """Return whether another process is to be made in place of one that has ended before it was ready.

        Not if the system or the node has said why there can be none. That a forkserver has died says nothing: the next
        process gets another.
        """
        has_reason = (worker.error and not worker.orphaned) or self.kind_of_death(worker) == "runtime_env"
        return not (worker.ready or has_reason or attempts >= ATTEMPTS or self._context.stopping)

    def kind_of_death(self, worker: Worker) -> str:
        """Return "runtime_env" of one that could not apply its runtime_env, else "crashed"."""
        return "runtime_env" if deaths.has_no_runtime_env(worker.status, worker.ready) else "crashed"

    def death(self, worker: Worker) -> str:
        """Return why it ended, for the user."""
        if worker.error and not worker.ready:
            return deaths.not_started(worker.error)
        return deaths.how(worker.pid, worker.status, worker.tail, worker.ready)

    def _find(self, process_id: bytes) -> Worker | None:
        worker = self._context.processes.get(process_id)
        return worker if isinstance(worker, Worker) else None

    def _give_up(self, worker: Worker) -> None:
        if not worker.ready and not worker.lost:
            worker.error = f"it did not register within {CONNECT_WITHIN_S:g} s"
            self.kill(worker)
            # Not only told to end: a forkserver that hangs may never have made it, and will not report its end.
            self._nothing_more(worker)

    def _nothing_more(self, worker: Worker) -> None:
        """Nobody will report how it exits."""
        worker.exit_known = True
        if worker.pid:
            self._context.later(FINISH_WITHIN_S, lambda: self._finish_output(worker))
        else:
            worker.output_ended = True
        self._lose(worker)
        self._settle(worker)

    def _finish_output(self, worker: Worker) -> None:
        if not worker.output_ended:
            self._context.do(FinishOutput(worker.process_id))

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
            self._context.do(Close(worker.conn))
            worker.conn = NO_CONNECTION
        self._context.do(RemoveSocket(worker.process_id))
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
        self._context.do(Forget(worker.process_id))
        if worker.actor is None:  # an actor's log is asked for as long as there is a record of it
            self._logs.append(worker.process_id)
            if len(self._logs) > KEEP_LOGS:
                self._context.do(RemoveLog(self._logs.popleft()))
        self._on_removed(worker)
