"""`Restoring`: makes the records of this node from what processes of a crashed node declare."""

from __future__ import annotations

from collections.abc import Callable

from nbactors.local.node.rules.actors import Actors
from nbactors.local.node.rules.asks import Ask
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.events import Close, Exited, OpenForkserver, ReadAgain
from nbactors.local.node.rules.leases import Leases
from nbactors.local.node.rules.records import NO_CONNECTION, Session, Worker
from nbactors.local.node.rules.sessions import Sessions
from nbactors.local.node.rules.workers import Workers
from nbactors.local.wire import messages
from nbactors.local.wire.ids import socket_name

IN_TRANSIT_S = 5.0
"""For how long, in seconds, an actor without a holder lives on after a recovery.

Its last handle may be on its way: the sender had it counted by the crashed node, and the receiver has it counted again.
"""


class Restoring:
    """Handles declarations. They come in the order of `Recovery`; those of a process that returns late come as sent.

    Args:
        replace: Called with (connection, worker) to have a client's record replaced by that of a worker.
    """

    def __init__(
        self,
        context: Context,
        sessions: Sessions,
        workers: Workers,
        actors: Actors,
        leases: Leases,
        replace: Callable[[int, Worker], None],
    ) -> None:
        self._context = context
        self._sessions = sessions
        self._workers = workers
        self._actors = actors
        self._leases = leases
        self._replace = replace
        self._claimed: dict[bytes, set[int]] = {}
        """The leases that each process has declared so far."""
        self._ended: list[bytes] = []
        """The processes of workers that have ended while no node lived."""
        self._is_told = False
        """Whether those can be told who have declared such workers."""

    def rejoin(self, ask: Ask, message: messages.Rejoin) -> None:
        """Restore a session, or a worker with its actor or lease."""
        process = ask.asker
        session = self._sessions.restore(message.home) if message.home is not None else None
        if process.role == "session":
            return
        if session is None or message.assign is None:
            self._context.do(Close(process.conn))
            return
        worker = self._worker(process.process_id, process.pid, session)
        worker.conn, worker.pid, worker.output_ended = process.conn, process.pid, False
        worker.label = message.label or message.assign.class_name
        self._replace(process.conn, worker)
        self._context.do(ReadAgain(worker.process_id))
        if message.assign.actor_id:
            self._actors.restore(worker, message.assign, message.constructed)
        else:
            holder = self._context.find(message.assign.owner)
            if holder is None:
                self._workers.kill(worker)
            else:
                self._leases.restore(holder, worker, message.assign, message.blocked)

    def created(self, ask: Ask, message: messages.Created) -> None:
        """Restore an actor by what its creator knows, if its worker has not returned."""
        creator, creation = ask.asker, message.creation
        if creator.session is None or self._actors.table.find(creation.actor_id) is not None:
            return
        worker, is_up = None, False
        if message.process_id:
            worker = self._worker(message.process_id, message.pid, creator.session)
            is_up = not self._is_gone(worker)
            if not is_up:
                self._ended.append(worker.process_id)
        self._actors.restore_by_creator(creator, creation, message.restarts, worker, is_up)

    def leased(self, ask: Ask, message: messages.Leased) -> None:
        """Restore a lease by what its holder knows, if its worker has not returned."""
        holder = ask.asker
        self._claimed.setdefault(holder.process_id, set()).add(message.lease_id)
        if self._leases.has(holder, message.lease_id) or holder.session is None:
            return
        worker = self._worker(message.process_id, message.pid, holder.session)
        if self._is_gone(worker):
            self._ended.append(worker.process_id)
        assign = messages.Assign(
            actor_id=b"",
            class_name="",
            name="",
            namespace=holder.session.namespace,
            job_id=holder.session.job_id,
            gpu_ids=[],
            resources=message.asked.resources,
            runtime_env=None,
            graceful_shutdown_s=holder.session.graceful_shutdown_s,
            lease_id=message.lease_id,
            owner=holder.process_id,
            asked=message.asked,
        )
        self._leases.restore(holder, worker, assign, is_blocked=False)

    def restored(self, ask: Ask, _: messages.Restored) -> None:
        """Take back the leases that a process has returned while no node lived."""
        claimed = self._claimed.pop(ask.asker.process_id, set())
        for lease in list(ask.asker.leases.values()):
            if lease.granted and lease.lease_id not in claimed:
                self._leases.give_back(ask.asker, messages.ReturnLease(lease.lease_id))
        self._is_told = True

    def finish(self) -> None:
        """Judge the records when the processes have returned, or have had time enough."""
        context = self._context
        context.scope_from = context.now + IN_TRANSIT_S
        for session in list(context.sessions.values()):
            if session.driver.lost:
                self._sessions.gone(session)
            else:
                context.do(OpenForkserver(session.environment, self._sessions.environments.facts(session.environment)))
        for actor in list(self._actors.table):
            if context.find(actor.owner) is None and actor.owner != actor.home.driver.process_id:
                self._actors.end_child(actor, "owner_died", actor.owner_pid)
        context.later(IN_TRANSIT_S, self._actors.judge_scope)

    def end_gone(self) -> None:
        """Handle the ends of the workers that have ended while no node lived. Called at the end of each event."""
        while self._ended and self._is_told:
            self._workers.exited(Exited(self._ended.pop(), None))

    def _worker(self, process_id: bytes, pid: int, session: Session) -> Worker:
        """Return the record of a worker, made if there is none, or if there is only one of a process."""
        context = self._context
        known = context.processes.get(process_id)
        if isinstance(known, Worker):
            return known
        conn = known.conn if known is not None else NO_CONNECTION
        worker = Worker(process_id=process_id, conn=conn, pid=pid, role="worker", home=session, ready=True)
        worker.session = session
        # The crashed node's forkserver has forked it: no forkserver of this node reports its exit.
        worker.orphaned = worker.output_ended = True
        if known is not None:
            worker.watchers, worker.holds = known.watchers, known.holds
        context.processes[process_id] = session.workers[process_id] = worker
        return worker

    def _is_gone(self, worker: Worker) -> bool:
        return worker.conn == NO_CONNECTION and socket_name(worker.process_id) not in self._context.absent
