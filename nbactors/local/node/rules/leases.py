"""Leases of task workers, and idle task workers.

A worker that is given back is kept for the next lease of its kind; a session keeps as many as it has CPUs. A worker
that held GPUs is not kept: libraries remember the GPUs that they have found. Nor is a worker that has run a function
`max_calls` times, or has imported source files which were edited since: before a lease, at most once a second, the node
asks the worker to check its files.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import msgspec

from nbactors.local.node.rules.actors import REMOVED_GROUP, UNKNOWN_GROUP
from nbactors.local.node.rules.asks import Ask
from nbactors.local.node.rules.context import Context, Facts
from nbactors.local.node.rules.gpus import UNIT
from nbactors.local.node.rules.grouping import node_labels
from nbactors.local.node.rules.queue import Request, too_much
from nbactors.local.node.rules.records import Group, Lease, Process, Session, Worker, source
from nbactors.local.node.rules.resources import Allocation, to_units
from nbactors.local.node.rules.workers import Workers
from nbactors.local.wire import messages
from nbactors.local.wire.ids import TAG_SIZE

LOOK_EVERY_S = 1.0
"""For how long, in seconds, a worker may be leased without checking its imported files again."""

LOOK_WITHIN_S = 2.0
"""How long, in seconds, that check may take. The worker is idle, so a slower one is of no use for tasks, either."""

PER_MS = 1000
"""More leases than a node grants in a millisecond, see `_first_number`."""

_encode = msgspec.msgpack.Encoder().encode


class Leases:
    """All leases and idle task workers.

    Args:
        on_doomed: Called with a worker that is certain to end.
        queue_up: Called with (session, request, purpose, group) to queue a request for resources.
        find_group: Called with a place in a placement group; returns the group, None if there is none.
    """

    def __init__(
        self,
        context: Context,
        workers: Workers,
        on_doomed: Callable[[Process], None],
        queue_up: Callable[[Session, Request, str, Group | None], None],
        find_group: Callable[[messages.Seat | None], Group | None],
    ) -> None:
        self._context = context
        self._workers = workers
        self._on_doomed = on_doomed
        self._queue_up = queue_up
        self._find_group = find_group
        self._numbers = itertools.count(_first_number(context.facts))
        self._granted: dict[int, Lease] = {}

    def request(self, ask: Ask, asked: messages.RequestLease) -> None:
        """Queue a request for a worker."""
        asker = ask.asker
        session = asker.session
        if session is None or self._context.stopping:
            why = "the node is stopping (`nbactors stop`)" if self._context.stopping else "no session is open: init()"
            ask.refuse("runtime", f"no worker for tasks: {why}.")
            return
        known = asker.leases.get(asked.rid)
        if known is not None:
            if known.asked == asked:  # a client that has returned from a crashed node may send a request twice
                ask.withdraw()
            else:
                ask.refuse("value", f"request {asked.rid} is open already: each request has a number of its own.")
            return
        resources = to_units(asked.resources)
        group = self._find_group(asked.seat)
        if asked.seat is not None and group is None:
            ask.refuse("group_removed", f"no worker for task {asked.label}: {UNKNOWN_GROUP}")
            return
        why = too_much(len(asker.leases), *source(session, group, asked.seat), resources, resources)
        if why:
            ask.refuse("runtime", f"no worker for tasks: {why}")
            return
        self._wait(_lease(next(self._numbers), asker, session, asked, ask, group))

    def has(self, holder: Process, lease_id: int) -> bool:
        """Return whether a process holds a lease of this number."""
        lease = self._granted.get(lease_id)
        return lease is not None and lease.holder is holder

    def restore(
        self,
        holder: Process,
        worker: Worker,
        asked: messages.RequestLease,
        lease_id: int,
        gpu_ids: Sequence[str] = (),
    ) -> None:
        """Restore a lease after a crash of the node, by what its worker or its holder knows."""
        worker.looked_at = self._context.now
        worker.kind = _kind(asked)
        lease = self._granted.get(lease_id)
        if lease is None:
            ask = Ask(self._context.send, holder, asked)
            ask.withdraw()
            lease = _lease(lease_id, holder, worker.home, asked, ask, self._find_group(asked.seat))
            self._set_aside(holder.leases.get(asked.rid))
            holder.leases[lease.key] = lease
            self._granted[lease_id] = lease
        elif lease.allocation is not None:  # its holder was the first to tell
            lease.allocation.release()
        lease.granted = True
        lease.worker, worker.lease, worker.group = worker, lease, lease.group
        lease.allocation = source(worker.home, lease.group, asked.seat)[1].seize(lease.resources, gpu_ids)

    @staticmethod
    def _set_aside(lease: Lease | None) -> None:
        """Make room for another lease of the same request.

        A node may have granted a request, and crashed before it told the holder. The next node has granted it again,
        and both workers declare their leases to the node after that. The holder claims one of them, or none.
        """
        if lease is not None:
            leases = lease.holder.leases
            del leases[lease.key]
            lease.key = -lease.lease_id
            leases[lease.key] = lease

    def forget(self, lease: Lease) -> None:
        """Forget a lease that its holder has returned to a crashed node."""
        self._drop(lease)

    def cancel(self, asker: Process, message: messages.CancelLease) -> None:
        """Withdraw a request. A lease that was granted meanwhile stays: the client will return it."""
        lease = asker.leases.get(message.rid)
        if lease is not None and not lease.granted:
            lease.ask.withdraw()
            self._drop(lease)

    def give_back(self, holder: Process, message: messages.ReturnLease) -> None:
        """Take back a worker that the client no longer needs."""
        lease = self._granted.get(message.lease_id)
        if lease is None or lease.holder is not holder:
            return
        worker = lease.worker
        held_gpus = bool(lease.allocation and lease.allocation.gpus)
        self._drop(lease)
        if worker is not None and not worker.lost and not worker.doomed:
            if held_gpus or worker.spent:
                self._retire(worker)
            else:
                self._keep(worker)

    def spent(self, worker: Worker) -> None:
        """Note that a worker runs no more tasks. Its holder may have given it back before."""
        worker.spent = True
        if worker in worker.home.idle:
            worker.home.idle.remove(worker)
            self._retire(worker)

    def ready(self, worker: Worker) -> None:
        """Handle the registration of a task worker."""
        worker.looked_at = self._context.now
        self._to_its_lease(worker)

    def looked(self, worker: Worker, has_changed: bool) -> None:
        """Handle the result of a worker's check: whether imported files have changed, or the check has failed."""
        if not worker.looks or worker.lost or worker.doomed:
            return
        worker.looks = False
        if not has_changed:
            worker.looked_at = self._context.now
            self._to_its_lease(worker)
            return
        lease, worker.lease = worker.lease, None
        self._retire(worker)
        if lease is not None:
            with self._context.careful("the placing of a task", lambda why: self._fail(lease, why)):
                self._place(lease)

    def _to_its_lease(self, worker: Worker) -> None:
        if worker.lease is None:
            self._keep(worker)
        else:
            lease = worker.lease
            with self._context.careful("the grant of a lease", lambda why: self._fail(lease, why)):
                self._grant(lease, worker)

    def lost(self, worker: Worker) -> None:
        """Handle the loss of a task worker. Its resources are free now; the client is told when the cause is known."""
        if worker in worker.home.idle:
            worker.home.idle.remove(worker)
        lease = worker.lease
        if lease is not None and lease.allocation is not None:
            lease.allocation.release()

    def reported(self, worker: Worker) -> None:
        """Tell the client how a task worker ended; that is known now, or will never be."""
        lease, worker.lease = worker.lease, None
        if lease is not None:
            with self._context.careful("the end of a task's worker", lambda why: self._fail(lease, why)):
                self._handle_lost_worker(lease, worker)

    def _handle_lost_worker(self, lease: Lease, worker: Worker) -> None:
        granted = lease.granted
        self._forget(lease)
        if granted:
            kind, why = self._workers.kind_of_death(worker), self._workers.death(worker)
            if lease.group is not None and lease.group.state == "REMOVED":
                kind, why = "group_removed", REMOVED_GROUP
            lost = messages.LeaseLost(lease.lease_id, worker.process_id, why, kind)
            self._context.send(lease.holder, lost)
            return
        if lease.group is not None and lease.group.state == "REMOVED":
            lease.ask.refuse("group_removed", f"no worker for task {lease.asked.label}: {REMOVED_GROUP}")
            return
        lease.attempts += 1
        # It does not matter whether the node told this worker to end: a worker whose forkserver has died was told, too,
        # and its request must be tried again, or its tasks would wait for ever. A client that is gone has no leases.
        if worker.looks or self._workers.may_try_again(worker, lease.attempts):
            self._wait(lease)
            return
        kind, why = self._workers.kind_of_death(worker), self._workers.death(worker)
        if self._context.stopping:
            kind, why = "runtime", "the node is stopping."
        lease.ask.refuse(kind, f"no worker for task {lease.asked.label}: {why}")

    def end_of(self, process: Process) -> None:
        """Kill the leased workers of a process that is gone or about to end, and withdraw its requests."""
        for lease in list(process.leases.values()):
            worker = lease.worker
            if not lease.granted:  # a process that ends gracefully may still run a call that waits for the task
                text = (
                    f"no worker for task {lease.asked.label}: this process is about to end, since its owner has ended."
                )
                lease.ask.refuse("runtime", text)
            self._drop(lease)
            if worker is not None and not worker.lost:
                self._workers.kill(worker)
                self._on_doomed(worker)

    def end_group(self, group: Group, workers: list[Worker]) -> None:
        """Kill the task workers of a placement group that was removed, and refuse the requests that wait."""
        for process in list(self._context.processes.values()):
            for lease in list(process.leases.values()):
                if lease.group is group and lease.worker is None:
                    lease.ask.refuse("group_removed", f"no worker for task {lease.asked.label}: {REMOVED_GROUP}")
                    self._drop(lease)
        for worker in workers:
            if worker.group is group:  # an idle one, too: it would tell the next node of the group
                if worker in worker.home.idle:
                    worker.home.idle.remove(worker)
                self._workers.kill(worker)
                self._on_doomed(worker)

    def block(self, worker: Worker) -> None:
        """Lend the CPUs of a worker that waits for other workers, which may need them."""
        if worker.lease is not None and worker.lease.allocation is not None and not worker.lost:
            worker.lease.allocation.pool.lend(worker.lease.allocation)

    def unblock(self, worker: Worker) -> None:
        """Take the CPUs back for a worker that goes on."""
        if worker.lease is not None and worker.lease.allocation is not None:
            worker.lease.allocation.pool.take_back(worker.lease.allocation)

    def end_idle(self, session: Session) -> None:
        """Kill the workers without a lease of a session that is closed."""
        for worker in list(session.workers.values()):
            if worker.actor is None and worker.lease is None:
                self._workers.kill(worker)
        session.idle.clear()

    # ---------------------------------------------------------------------------------------------------- internals

    def _wait(self, lease: Lease) -> None:
        """Queue for resources, for the first or a later attempt."""
        lease.holder.leases[lease.key] = lease
        lease.allocation = None

        def grant(allocation: Allocation) -> None:
            lease.allocation = allocation
            with self._context.careful("the placing of a task", lambda why: self._fail(lease, why)):
                self._place(lease)

        _, pool = source(lease.home, lease.group, lease.asked.seat)
        pool, unmet = node_labels.pool_for(self._context, lease.home, pool, lease.asked.selectors)
        lease.request = Request(lease.resources, lease.resources, grant, pool, unmet)
        self._queue_up(lease.home, lease.request, f"task {lease.asked.label}", lease.group)

    def _fail(self, lease: Lease, why: str) -> None:
        lease.ask.fail(why)
        self._drop(lease)

    def _place(self, lease: Lease) -> None:
        lease.request = None
        session, asked = lease.home, lease.asked
        for worker in reversed(session.idle):
            if worker.kind == lease.kind:
                session.idle.remove(worker)
                lease.worker, worker.lease = worker, lease
                if self._context.now - worker.looked_at < LOOK_EVERY_S:
                    self._grant(lease, worker)
                else:
                    self._start_check(worker)
                return
        worker = self._workers.start(session, asked.label, asked)
        worker.kind, worker.group = lease.kind, lease.group
        lease.worker, worker.lease = worker, lease

    def _start_check(self, worker: Worker) -> None:
        worker.looks = True
        asked_at = worker.looked_at = self._context.now
        self._context.send(worker, messages.Look())

        def give_up() -> None:
            if worker.looked_at == asked_at:
                self.looked(worker, has_changed=True)

        self._context.later(LOOK_WITHIN_S, give_up)

    def _grant(self, lease: Lease, worker: Worker) -> None:
        assert lease.allocation is not None, "only requests that were placed have a worker"
        lease.granted = True
        self._granted[lease.lease_id] = lease
        self.assign(lease)
        granted = messages.LeaseGranted(lease.asked.rid, lease.lease_id, worker.process_id, worker.pid)
        lease.ask.answer(granted)

    def assign(self, lease: Lease) -> None:
        """Tell a worker of its lease."""
        assert lease.worker is not None, "a granted lease has a worker"
        assert lease.allocation is not None, "a granted lease has resources"
        lease.worker.label = lease.asked.label
        assign = messages.Assign(
            actor_id=b"",
            class_name="",
            name="",
            namespace=lease.home.namespace,
            job_id=lease.home.job_id,
            gpu_ids=lease.allocation.gpu_ids,
            resources=lease.asked.resources,
            runtime_env=lease.asked.runtime_env,
            graceful_shutdown_s=lease.home.graceful_shutdown_s,
            lease_id=lease.lease_id,
            owner=lease.holder.process_id,
            owner_pid=lease.holder.pid,
            asked=lease.asked,
            group=lease.group.described if lease.group is not None else None,
        )
        self._context.send(lease.worker, assign)

    def _drop(self, lease: Lease) -> None:
        """End a lease or a request, and separate it from its worker."""
        if lease.request is not None:
            source(lease.home, lease.group, lease.asked.seat)[0].withdraw(lease.request)
            lease.request = None
        if lease.worker is not None:
            lease.worker.lease = None
        if lease.allocation is not None:
            lease.allocation.release()
        self._forget(lease)

    def _forget(self, lease: Lease) -> None:
        lease.holder.leases.pop(lease.key, None)
        self._granted.pop(lease.lease_id, None)
        lease.worker = None
        lease.granted = False

    def _keep(self, worker: Worker) -> None:
        session = worker.home
        if not session.is_open and not session.detached:
            self._workers.kill(worker)
            return
        session.idle.append(worker)
        if len(session.idle) > max(1, -(-session.pool.total.get("CPU", 0) // UNIT)):
            self._retire(session.idle.pop(0))

    def _retire(self, worker: Worker) -> None:
        """Have a worker end as soon as no process needs the values that it owns."""
        worker.retired = True
        self._context.send(worker, messages.Terminate("idle"))


def _first_number(facts: Facts) -> int:
    """Return the number of this node's first lease.

    A worker may return late from a crashed node, and declare a lease of that node. If this node had given the same
    number to a lease of its own, it would take the one for the other, and the worker of its own lease would be lost. So
    a node that follows a crashed one counts on from the time of its start. Other nodes count from 1: a task names its
    lease, and small numbers make short messages.
    """
    return int.from_bytes(facts.node_id[:TAG_SIZE], "big") * PER_MS + 1 if facts.survivors else 1


def _lease(
    lease_id: int, holder: Process, home: Session, asked: messages.RequestLease, ask: Ask, group: Group | None
) -> Lease:
    return Lease(
        lease_id=lease_id,
        key=asked.rid,
        holder=holder,
        home=home,
        asked=asked,
        ask=ask,
        kind=_kind(asked),
        resources=to_units(asked.resources),
        group=group,
    )


def _kind(asked: messages.RequestLease) -> bytes:
    seat = asked.seat and (asked.seat.group_id, asked.seat.captures)  # what a process creates may have to run there
    return _encode((asked.runtime_env, asked.sys_path, asked.cwd, [], asked.memory_limit, seat))
