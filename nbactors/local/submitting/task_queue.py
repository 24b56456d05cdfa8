"""The tasks of one kind (function, resources, environment), and the leases that are fed with them.

- A lease gets one task at a time until tasks have shown to be short; then several are sent ahead, so that the worker
  never waits for the next. A worker on which a task takes long gives the rest back unstarted (`GivenBack`), and they
  go to whichever worker is free: sending ahead never makes a task wait behind a long one, nor behind one that waits
  for it.
- A lease without work is kept for a moment, then returned; one that is old is returned at once.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from nbactors.limits import MAX_NAME
from nbactors.local.reactor.turns import Turns
from nbactors.local.submitting.actor_link import VERDICT_S
from nbactors.local.submitting.call_life import FINISHED
from nbactors.local.submitting.call_queue import CallQueue
from nbactors.local.submitting.target import Target, in_turn
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.views.summaries import CallFacts

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.environment import Environment
    from nbactors.local.submitting.pending_call import PendingCall
    from nbactors.local.submitting.submitter import Submitter
    from nbactors.options import TaskOptions

AHEAD = 256
"""Most tasks that are sent ahead to one worker."""

SHORT_S = 0.002
"""A task that is answered within this time is short."""

LINGER_S = 0.02
"""How long a lease without work is kept, if nobody here waits for resources."""

TURN_S = 0.5
"""How long a lease is fed while other kinds of task wait."""

RENEW_S = 1.0
"""How long a lease is kept whose worker has something to do time and again: after that the worker is given back, so
that it looks whether the code that it has imported was edited."""

ASKING = 8
"""Most lease requests of one kind that are open at the node."""


class Lease:
    """A worker that is ours for a while."""

    __slots__ = ("connection", "depth", "idle_since", "in_flight", "last_event", "lease_id", "since")

    def __init__(self, lease_id: int, connection: Connection, depth: int) -> None:
        self.lease_id = lease_id
        self.connection = connection
        self.depth = depth
        self.in_flight = 0
        self.since = self.last_event = monotonic()
        self.idle_since = self.since


def _has_room(lease: Lease) -> bool:
    return lease.depth > len(lease.connection.in_flight.calls)


class Kinds(Protocol):
    """All task queues of a process, and which of them a lease or a request belongs to; see `Tasks`."""

    waiting: set[TaskQueue]

    def expect(self, rid: int, queue: TaskQueue) -> None:
        """A request for a lease is on its way."""

    def withdraw(self, rid: int) -> None:
        """A request for a lease is wanted no more."""

    def leased(self, process_id: bytes, queue: TaskQueue) -> None:
        """A worker is a queue's."""

    def unleased(self, process_id: bytes) -> None:
        """It is no more."""

    def others_wait(self, queue: TaskQueue) -> bool:
        """Return whether another kind of task has asked for a worker and has none yet."""

    def died(self, process_id: bytes, queue: TaskQueue, connection: Connection) -> None:
        """A leased worker's connection has ended; the cause is to come."""

    def lost(self, process_id: bytes, text: str) -> None:
        """The cause is known, or will not be."""


class TaskQueue(Target):
    """The tasks of one kind.

    Args:
        tasks: Knows the other kinds, and finds this one for what the node tells.
        submitter: What calls are made with.
        peers: The connections to workers.
        node: Gives workers.
        environment: Says what a new worker is given.
        label: What views call the tasks.
        options: Of all its tasks.
    """

    def __init__(
        self,
        tasks: Kinds,
        submitter: Submitter,
        peers: Peers,
        node: NodeLink,
        environment: Environment,
        label: str,
        options: TaskOptions,
    ) -> None:
        self._values = submitter.values
        self._peers = peers
        self._node = node
        self._environment = environment
        self._reactor = submitter.reactor
        self._turns = Turns(submitter.reactor)
        self._doomed = deque()
        self._tasks = tasks
        self._label = label
        self._resources = options.held()
        self._runtime_env = environment.runtime_env(options.runtime_env)
        self._queue: CallQueue[PendingCall] = CallQueue()
        self._unready: set[PendingCall] = set()
        self._leases: dict[bytes, Lease] = {}
        self._asked: set[int] = set()
        self._is_full = False
        # How many may be sent ahead, as far as is known of this kind of task: new leases begin with it.
        self._depth = 1

    def describe(self, call: PendingCall) -> CallFacts:
        """Return what there is to say of a task of this queue. Any thread."""
        return CallFacts(self._label, b"", call.connection is not None)

    # --------------------------------------------------------------------------------------------------- submitting

    def submit(self, call: PendingCall) -> None:
        """Queue a task. Any thread."""
        self._submit(call)

    def _accept(self, call: PendingCall) -> None:
        if call.arguments is not None:
            call.await_arguments()
            if not call.settled():
                self._unready.add(call)
                self._queue_if_ready(call)  # its argument may have come before it was there, to a handler in between
                return
        self._queue_up(call)

    def _queue_up(self, call: PendingCall) -> None:
        arguments, queue = call.arguments, self._queue
        failed = arguments.failure() if arguments is not None else None
        if failed is not None:  # it needs no worker to fail
            self._doom(call, failed.data)
            return
        is_first = not queue.calls
        call.queue = queue
        queue.calls.append(call)
        # Behind others that all workers are too full for it can only wait, for what sends those.
        if is_first or not self._is_full:
            self._pump()

    def _queue_if_ready(self, call: PendingCall) -> None:
        if call in self._unready and call.settled():
            if call.queue is None and call.connection is None:  # else an exception came between the two
                self._queue_up(call)
            self._unready.discard(call)

    @in_turn
    def on_argument(self, call: PendingCall) -> None:
        """The argument that a task has waited for is there. The thread that made it so."""
        self._queue_if_ready(call)

    def _insists_on(self, mode: CancelMode) -> bool:
        return not mode.ends_process

    def _take_out(self, call: PendingCall) -> bool:
        if call in self._unready:
            self._unready.discard(call)
            return True
        return self._queue.take_out(call)

    def queued(self) -> list[PendingCall]:
        """Return the tasks that were not sent yet. Any thread."""
        return [*list(self._unready), *self._queue]

    @property
    def waiting(self) -> bool:
        """Whether it has tasks for which it has no worker."""
        return bool(self._asked)

    def _pump(self) -> None:
        queue = self._queue
        waits = queue.head() is not None
        if waits:
            for lease in list(self._leases.values()):
                if _has_room(lease) and not self._turn_is_over(lease):
                    self._feed(lease)
                    waits = queue.head() is not None
                    if not waits:
                        break
        node_lost = self._node.lost
        if node_lost and (waits or self._unready):
            # Also a task that is to be tried again: nobody would ever give it a worker.
            self._doom_all(failures.worker_crashed(self._label, node_lost))
            return
        wanted = min(max(len(queue), 1), ASKING) if waits else 0
        while len(self._asked) < wanted:
            self._ask()
        self._is_full = waits and len(self._asked) >= ASKING and not any(map(_has_room, list(self._leases.values())))

    def _doom_all(self, error: bytes) -> None:
        for call in self.queued():
            self._doom(call, error)
            self._take_out(call)

    def _turn_is_over(self, lease: Lease) -> bool:
        return monotonic() - lease.since > TURN_S and self._tasks.others_wait(self)

    def _feed(self, lease: Lease) -> None:
        """Send tasks to one worker, up to its depth."""
        queue = self._queue
        calls = lease.connection.in_flight.calls
        was_idle = not calls
        if was_idle:
            lease.last_event = monotonic()
        while len(calls) < lease.depth:
            waiting = queue.calls
            call = waiting[0] if waiting else None
            if call is None or call.queue is not queue:
                call = queue.head()
                if call is None:
                    break
            if call.connection is None:
                self._send(lease, call)
            else:  # what came after the sending was torn
                call.sent()
            queue.pop(call)  # at last, so that no exception from outside loses it
        lease.in_flight = len(calls)
        if was_idle:
            # One send for all: each wakes the worker. While it is busy more are gathered.
            lease.connection.flush()

    def _send(self, lease: Lease, call: PendingCall) -> None:
        connection = lease.connection
        arguments, details = call.arguments, call.details
        if details is None:
            return  # a handler that has interrupted this thread has sent it, and it was answered
        export, prepared, num_returns, name, retry_exceptions, backpressure = details
        if export.key not in connection.in_flight.functions:
            function, more = self._values.pack(connection, export.held, False)
            connection.send(messages.Define(export.key, function), more)
            connection.in_flight.functions.add(export.key)
        deps: list[tuple[int | str, messages.Value]] | None = None
        rest: messages.Value | None = None
        fds: list[int] = []
        if arguments is not None:
            prepared = b""
            rest, deps, fds = arguments.pack(self._values, connection)
        message = messages.Run(
            call.number,
            export.key,
            prepared,
            num_returns,
            name,
            deps,
            rest,
            retry_exceptions,
            lease.lease_id,
            backpressure,
            call.origin,
        )
        call.go_out(connection, message, fds)

    def _ask(self) -> None:
        node = self._node
        # The first at once; further ones are gathered, since each alone would wake the node.
        send = node.send if self._asked else node.send_now
        rid = node.number()
        self._tasks.waiting.add(self)
        self._tasks.expect(rid, self)
        sys_path, cwd = self._environment.changed_paths()
        send(messages.RequestLease(rid, self._resources, self._runtime_env, self._label[:MAX_NAME], sys_path, cwd))
        # Noted at last: one that is noted and was not sent would be waited for for ever.
        self._asked.add(rid)

    # ------------------------------------------------------------------------------------------------------- leases

    @in_turn
    def granted(self, grant: messages.LeaseGranted) -> None:
        """The node gives a worker. The leader's thread."""
        self._answered_request(grant.rid)
        is_wanted = self._queue.head() is not None
        connection = self._peers.connect(grant.process_id) if is_wanted else None
        if connection is None:
            self._node.send_now(messages.ReturnLease(grant.lease_id))
        else:
            connection.in_flight.on_close = self._on_connection_closed
            connection.in_flight.pid = grant.pid
            self._leases[grant.process_id] = Lease(grant.lease_id, connection, self._depth)
            self._tasks.leased(grant.process_id, self)
        self._pump()
        if self._queue.head() is None:
            self._withdraw()
            lease = self._leases.get(grant.process_id)
            if lease is not None and not lease.connection.in_flight.calls:
                self._rest(lease)

    @in_turn
    def refused(self, refused: messages.Refused) -> None:
        """The node cannot give a worker, ever. The leader's thread."""
        self._answered_request(refused.rid)
        self._doom_all(failures.no_worker(refused))

    def _withdraw(self) -> None:
        # Of those that are open now: a signal handler may submit a task meanwhile, and ask for a worker.
        for rid in list(self._asked):
            self._tasks.withdraw(rid)
            self._answered_request(rid)

    def _answered_request(self, rid: int) -> None:
        self._asked.discard(rid)
        if not self._asked:
            self._tasks.waiting.discard(self)

    @in_turn
    def answered(self, connection: Connection) -> None:
        """Tasks have returned on a lease: send the next. The leader's thread, once for all that arrived together."""
        lease = self._leases.get(connection.peer_id)
        if lease is None:
            return
        now = monotonic()
        in_flight = len(connection.in_flight.calls)
        if now - lease.last_event < SHORT_S * max(lease.in_flight - in_flight, 1):
            if lease.depth < AHEAD:
                lease.depth *= 2
        elif not self._reactor.is_late:
            lease.depth = 1
        self._depth = lease.depth
        lease.last_event = now
        lease.in_flight = in_flight
        if self._queue.head() is not None:
            if in_flight <= lease.depth // 2:
                self._pump()
        elif self._asked:
            self._withdraw()
        if not connection.in_flight.calls:
            self._rest(lease)

    def _rest(self, lease: Lease) -> None:
        """A lease has no work: return it, at once if someone here waits for resources, else after a moment."""
        now = lease.idle_since = monotonic()
        if now - lease.since > RENEW_S or self._turn_is_over(lease) or self._tasks.others_wait(self):
            self._return(lease)
        else:
            self._reactor.call_later(LINGER_S, lambda: self._return_if_idle(lease))

    @in_turn
    def _return_if_idle(self, lease: Lease) -> None:
        current = self._leases.get(lease.connection.peer_id)
        if current is not lease or lease.connection.in_flight.calls:
            return
        if monotonic() - lease.idle_since >= LINGER_S * 0.9:
            self._return(lease)

    @in_turn
    def return_idle(self) -> None:
        """Return every lease without work: another kind of task waits for resources."""
        for lease in list(self._leases.values()):
            if not lease.connection.in_flight.calls:
                self._return(lease)

    def _return(self, lease: Lease) -> None:
        # First of all: one that is forgotten and was not returned would be nobody's for ever.
        self._node.send_now(messages.ReturnLease(lease.lease_id))
        self._leases.pop(lease.connection.peer_id, None)
        lease.connection.in_flight.on_close = None
        self._tasks.unleased(lease.connection.peer_id)

    # ------------------------------------------------------------------------------------------------------- events

    @in_turn
    def given_back(self, connection: Connection, numbers: list[int]) -> None:
        """A worker has not started these, since the running one takes long. The leader's thread."""
        lease = self._leases.get(connection.peer_id)
        self._depth = 1
        if lease is not None:
            lease.depth = 1
        for number in reversed(numbers):
            call = connection.in_flight.calls.get(number)
            if call is not None:
                self._requeue(call)
                connection.in_flight.calls.pop(number, None)
        self._pump()

    def _requeue(self, call: PendingCall, *, is_tried: bool = False) -> None:
        """Put a task that has come back in front, unless it was cancelled meanwhile."""
        if call.canceled:
            cancel = messages.Cancel(call.number, call.canceled, True, call.timeout_s)
            self._doom(call, call.error_if_canceled(cancel))
        else:
            call.return_to(self._queue, is_tried=is_tried)

    def retry(self, connection: Connection, call: PendingCall) -> None:
        """A task has raised what it is to be tried again for. The leader's thread."""
        self._try_again(call)
        self.answered(connection)

    @in_turn
    def _try_again(self, call: PendingCall) -> None:
        call.return_to(self._queue, is_tried=True, is_last=True)
        self._pump()

    def _on_connection_closed(self, connection: Connection, why: str) -> None:
        lease = self._leases.get(connection.peer_id)
        if lease is not None:
            # The node knows the cause, and tells it by LeaseLost; if it does not, go on without.
            tasks = self._tasks
            tasks.died(connection.peer_id, self, connection)  # first: what follows may be torn
            self._leases.pop(connection.peer_id, None)
            node_lost = self._node.lost
            text = f"the connection to it was lost ({why})."
            if node_lost:
                tasks.lost(connection.peer_id, node_lost)
            elif self._peers.is_final(connection.peer_id):
                self._reactor.call_later(VERDICT_S, lambda: tasks.lost(connection.peer_id, text))
            else:
                self._node.send_now(messages.ReturnLease(lease.lease_id))
                tasks.lost(connection.peer_id, text)

    @in_turn
    def lost(self, connection: Connection, text: str) -> None:
        """A worker has died: the task that it was running counts a try, those behind it go back. The leader's thread.

        A worker runs its tasks in the order sent, so the oldest unanswered one was running.
        """
        in_flight = list(connection.in_flight.calls.values())
        calls = [call for call in in_flight if call.state < FINISHED and call.connection is connection]
        for call in reversed(calls[1:]):
            self._requeue(call)
        if calls:
            running = calls[0]
            if running.retries or running.canceled:
                self._requeue(running, is_tried=True)
            else:
                self._doom(running, failures.worker_crashed(self._label, text))
        connection.in_flight.calls.clear()  # at last, so that no exception from outside loses them
        self._pump()

    @in_turn
    def node_lost(self) -> None:
        """No worker will come any more. The leader's thread."""
        self._asked.clear()
        self._tasks.waiting.discard(self)
        self._pump()
