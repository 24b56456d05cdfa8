"""`Restoring`: makes the records of this node from what processes of a crashed node declare."""

from __future__ import annotations

from collections.abc import Callable

from nbactors.local.node.rules.actors import Actors
from nbactors.local.node.rules.asks import Ask
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.events import Close, Exited, OpenForkserver, ReadAgain
from nbactors.local.node.rules.grouping.groups import Groups
from nbactors.local.node.rules.leases import Leases
from nbactors.local.node.rules.records import NO_CONNECTION, Actor, Process, Session, Worker
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
        is_recovering: Returns whether the processes that return are still waited for.
    """

    def __init__(
        self,
        context: Context,
        sessions: Sessions,
        workers: Workers,
        actors: Actors,
        leases: Leases,
        groups: Groups,
        replace: Callable[[int, Worker], None],
        is_recovering: Callable[[], bool],
    ) -> None:
        self._context = context
        self._sessions = sessions
        self._workers = workers
        self._actors = actors
        self._leases = leases
        self._groups = groups
        self._replace = replace
        self._is_recovering = is_recovering
        self._unassigned: dict[bytes, Process] = {}
        """The workers that have returned without having been told what they are for."""
        self._claimed: dict[bytes, set[int]] = {}
        """The leases that each process has declared so far."""
        self._complete: set[bytes] = set()
        """The processes that have declared everything."""
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
        self._context.do(ReadAgain(process.process_id))
        if session is None or message.assign is None:
            # Whoever has asked for this worker may have been told of it before the worker was.
            if isinstance(process, Worker):
                process.output_ended = False
                self._assign(process)
            else:
                self._unassigned[process.process_id] = process
            if session is not None and session.driver.lost and not self._is_recovering():
                self._sessions.gone(session)
            return
        worker = self._worker(process.process_id, process.pid, session)
        worker.conn, worker.pid, worker.output_ended = process.conn, process.pid, False
        worker.label = message.label or message.assign.class_name
        self._replace(process.conn, worker)
        if message.assign.actor_id:
            self._actors.restore(worker, message.assign, message.constructed)
            if worker.actor is not None and not self._is_recovering():
                self._judge(worker.actor)
        elif worker.lease is not None and worker.lease.lease_id != message.assign.lease_id:
            self._assign(worker)  # its next holder was told before the worker was
        else:
            holder = self._context.find(message.assign.owner)
            if holder is None or holder.lost:
                self._workers.kill(worker)
            else:
                self._return_to_lease(holder, worker, message)
        if session.driver.lost and not self._is_recovering():
            self._sessions.gone(session)

    def _return_to_lease(self, holder: Process, worker: Worker, message: messages.Rejoin) -> None:
        """Restore the lease of a task worker, or keep the worker for the next lease."""
        assign = message.assign
        assert assign is not None, "the caller has checked that it has an assignment"
        assert isinstance(assign.asked, messages.RequestLease), "a lease's assignment has its request"
        # A worker is not told that its lease was returned: it declares the lease all the same. If the holder has
        # returned it to this node, the worker is idle already. Twice among the idle ones, it would get two leases at
        # the same time: it knows only one of them, and a process that holds both returns only one.
        if worker in worker.home.idle:
            return
        # If the holder has returned it before this node came, the holder has declared everything, and not this lease.
        is_returned = worker.lease is None and holder.process_id in self._complete
        self._leases.restore(holder, worker, assign.asked, assign.lease_id, assign.gpu_ids)
        if is_returned:
            self._leases.give_back(holder, messages.ReturnLease(assign.lease_id))
        elif message.blocked:
            self._leases.block(worker)

    def grouped(self, ask: Ask, message: messages.Grouped) -> None:
        """Restore a placement group. It comes before all that may run in it."""
        self._groups.restore(self._sessions.restore(message.home), message)

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
        if worker is not None and self._unassigned.pop(worker.process_id, None) is not None:
            self._assign(worker)

    def leased(self, ask: Ask, message: messages.Leased) -> None:
        """Restore a lease by what its holder knows, if its worker has not returned."""
        holder = ask.asker
        self._claimed.setdefault(holder.process_id, set()).add(message.lease_id)
        if self._leases.has(holder, message.lease_id) or holder.session is None:
            return
        worker = self._worker(message.process_id, message.pid, holder.session)
        if self._is_gone(worker):
            self._ended.append(worker.process_id)
        if worker.lease is not None:  # the worker was not told of its present holder
            self._leases.forget(worker.lease)
        self._leases.restore(holder, worker, message.asked, message.lease_id)
        self._unassigned.pop(worker.process_id, None)
        if worker.conn != NO_CONNECTION:
            self._assign(worker)

    def restored(self, ask: Ask, _: messages.Restored) -> None:
        """Take back the leases that a process has returned while no node lived."""
        claimed = self._claimed.pop(ask.asker.process_id, set())
        self._complete.add(ask.asker.process_id)
        for lease in list(ask.asker.leases.values()):
            if lease.granted and lease.lease_id not in claimed:
                self._leases.give_back(ask.asker, messages.ReturnLease(lease.lease_id))
        self._is_told = True
        if not self._is_recovering():
            self._dismiss_unassigned()

    def _assign(self, worker: Worker) -> None:
        """Tell a worker what it is for, since the crashed node has not."""
        self._context.send(worker, worker.home.described)
        if worker.actor is not None:
            self._actors.assign(worker, worker.actor)
        elif worker.lease is not None:
            self._leases.assign(worker.lease)

    def _dismiss_unassigned(self) -> None:
        """End the workers that nobody was told of: whoever has asked for them asks again."""
        while self._unassigned:
            _, process = self._unassigned.popitem()
            self._context.send(process, messages.Refused(0, "runtime", "nobody waits for this worker: it has to exit."))
            self._context.do(Close(process.conn))

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
            self._judge(actor)
        self._dismiss_unassigned()
        context.later(IN_TRANSIT_S, self._actors.judge_scope)

    def _judge(self, actor: Actor) -> None:
        """End an actor whose creator has not survived."""
        if actor.owner == actor.home.driver.process_id:
            if actor.home.driver.lost:
                self._actors.end_child(actor, "session_ended", actor.owner_pid)
        elif self._context.find(actor.owner) is None:
            self._actors.end_child(actor, "owner_died", actor.owner_pid)

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
            # Other processes may have returned first, and told what this one holds, has created and has leased.
            worker.watchers, worker.holds = known.watchers, known.holds
            worker.children, worker.leases = known.children, known.leases
            for lease in worker.leases.values():
                lease.holder = worker
            if known.conn != NO_CONNECTION:
                worker.output_ended = False
                self._replace(known.conn, worker)
        context.processes[process_id] = session.workers[process_id] = worker
        return worker

    def _is_gone(self, worker: Worker) -> bool:
        return worker.conn == NO_CONNECTION and socket_name(worker.process_id) not in self._context.absent
