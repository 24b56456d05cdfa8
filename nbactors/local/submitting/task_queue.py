"""The tasks of one kind (function, resources, environment), and the leased workers that run them.

- A worker gets one task at a time until its tasks turn out to be short. From then on the queue sends several tasks
  ahead, so that the worker never waits for the next one. When a task takes long, its worker gives the tasks behind it
  back unstarted (`GivenBack`), and the queue sends them to other workers. So a task that was sent ahead never waits for
  a long task, nor for a task that itself waits for it.
- When a worker dies, its answers that were not sent yet are lost, so the queue cannot tell which of several tasks have
  begun: each of them counts a try. So a task without a retry left is the only one that its worker has, until it is
  answered: it never runs twice, and never fails by the crash of another task.
- A lease without work is returned after a moment, an old one at once.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from nbactors.byte_sizes import amounts
from nbactors.exceptions import RuntimeEnvSetupError, reasons
from nbactors.limits import MAX_NAME
from nbactors.local.reactor.turns import Turns
from nbactors.local.submitting.actor_link import VERDICT_S
from nbactors.local.submitting.call_life import FINISHED
from nbactors.local.submitting.call_queue import CallQueue
from nbactors.local.submitting.target import Target, in_turn
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.speedups.caller import send_tasks
from nbactors.views.summaries import CallFacts

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.environment import Environment
    from nbactors.local.submitting.pending_call import PendingCall
    from nbactors.local.submitting.registers import Kinds
    from nbactors.local.submitting.submitter import Submitter
    from nbactors.options import TaskOptions

AHEAD = 256
"""The most tasks that are sent ahead to one worker."""

SHORT_S = 0.002
"""Seconds within which a short task is answered."""

LINGER_S = 0.02
"""Seconds for which a lease without work is kept, if no other kind of task of this process waits for a worker."""

TURN_S = 0.5
"""Seconds for which a lease gets tasks while other kinds of task wait."""

RENEW_S = 1.0
"""Seconds after which a lease is returned as soon as it has no work: the worker then looks whether the code that it has
imported was edited."""

ASKING = 8
"""The most lease requests of one kind of task that are open at the node."""


class Lease:
    """A worker that the node has lent to this process."""

    __slots__ = (
        "connection",
        "depth",
        "idle_since",
        "in_flight",
        "is_alone",
        "is_returned",
        "is_timed",
        "last_event",
        "lease_id",
        "rid",
        "since",
    )

    def __init__(self, grant: messages.LeaseGranted, connection: Connection, depth: int) -> None:
        self.lease_id = grant.lease_id
        self.rid = grant.rid
        self.connection = connection
        self.depth = depth
        self.in_flight = 0
        self.is_alone = False
        """Whether the task that was sent last has no retry left."""
        self.since = self.last_event = monotonic()
        self.idle_since = self.since
        self.is_returned = False
        """Whether the worker gets no more tasks, since the lease is returned, or is about to be."""
        self.is_timed = False
        """Whether a timer is set that looks whether the lease is without work."""


def _has_room(lease: Lease) -> bool:
    return not lease.is_returned and lease.depth > len(lease.connection.in_flight.calls)


class TaskQueue(Target):
    """The tasks of one kind.

    Args:
        tasks: The queues of all kinds, which pass the node's messages to this one.
        submitter: The parts that make calls.
        peers: The connections to workers.
        node: Leases workers.
        environment: Describes the environment of a new worker.
        label: The name of the tasks in views.
        options: The options of all tasks of this kind.
        seat: Their place in a placement group.

    Attributes:
        asked: The numbers of the open requests for a worker.
        failure: The pickled error of the runtime_env, with which all tasks of this queue fail; empty for none.
    """

    __slots__ = (
        "_depth",
        "_doomed",
        "_environment",
        "_events",
        "_is_full",
        "_is_retriable",
        "_label",
        "_leases",
        "_memory_limit",
        "_node",
        "_peers",
        "_queue",
        "_reactor",
        "_resources",
        "_runtime_env",
        "_seat",
        "_selectors",
        "_setup",
        "_tasks",
        "_turns",
        "_unready",
        "_values",
        "asked",
        "failure",
    )

    def __init__(
        self,
        tasks: Kinds,
        submitter: Submitter,
        peers: Peers,
        node: NodeLink,
        environment: Environment,
        label: str,
        options: TaskOptions,
        seat: messages.Seat | None,
    ) -> None:
        self._values = submitter.values
        self._events = submitter.events
        self._peers = peers
        self._node = node
        self._environment = environment
        self._reactor = submitter.reactor
        self._turns = Turns(submitter.reactor)
        self._doomed = deque()
        self._tasks = tasks
        self._label = label
        self._resources = options.held()
        self._memory_limit = options.memory_limit or 0
        self._is_retriable = options.max_retries != 0
        self._seat = seat
        self._selectors = messages.selectors(options.selectors)
        self._setup = options.runtime_env
        """Kept, so that no other hook gets the same representation while this queue is found by it."""
        self._runtime_env: messages.RuntimeEnv | None = None
        self.failure = b""
        try:
            self._runtime_env = environment.runtime_env(options.runtime_env)
        except RuntimeEnvSetupError as error:
            self.failure = failures.encode(error)
        self._queue: CallQueue[PendingCall] = CallQueue()
        self._unready: set[PendingCall] = set()
        self._leases: dict[bytes, Lease] = {}
        self.asked: set[int] = set()
        self._is_full = False
        # The number of tasks to send ahead, as learnt from the latest lease: new leases begin with it.
        self._depth = 1

    def describe(self, call: PendingCall) -> CallFacts:
        """Return a summary of a task of this queue. Any thread."""
        return CallFacts(self._label, b"", call.connection is not None)

    def note_failure(self, call: PendingCall, error: bytes) -> None:
        """See the base class."""
        self._events.failed(call, error)

    def awaited(self, call: PendingCall) -> str:
        """Return the resources that a task waits for. Any thread."""
        return amounts(self._resources)

    # --------------------------------------------------------------------------------------------------- submitting

    def submit(self, call: PendingCall) -> None:
        """Queue a task. Any thread."""
        self._do_now(self._accept, call)

    def _accept(self, call: PendingCall) -> None:
        if self.failure:
            self._doom(call, self.failure)
            return
        if call.arguments is not None:
            call.await_arguments()
            if not call.settled():
                self._unready.add(call)
                self._queue_if_ready(call)  # its last argument may have arrived in a handler before `add`
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
        # If all workers are full, the call has to wait behind others; the step that sends those sends it, too.
        if is_first or not self._is_full:
            self._pump()

    def _queue_if_ready(self, call: PendingCall) -> None:
        if call in self._unready and call.settled():
            if call.queue is None and call.connection is None:  # else an exception came between queueing and `discard`
                self._queue_up(call)
            self._unready.discard(call)

    @in_turn
    def on_argument(self, call: PendingCall) -> None:
        """Go on with a task whose awaited argument is final. The thread that has made it final."""
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

    def _pump(self) -> None:
        queue = self._queue
        waits = queue.head() is not None
        for lease in list(self._leases.values()):
            if lease.is_returned:  # an exception has aborted its return, or a handler interrupts it and waits
                self._return(lease)
            elif waits and _has_room(lease) and not self._turn_is_over(lease):
                self._feed(lease)
                waits = queue.head() is not None
        node_lost = self._node.lost
        if node_lost and (waits or self._unready):
            # Tasks that are to be tried again fail, too: without the node there is no new worker for them.
            self._doom_all(failures.encode(reasons.worker_crashed(self._label, node_lost)))
            return
        wanted = min(max(len(queue), 1), ASKING) if waits else 0
        while len(self.asked) < wanted:
            self._ask()
        if wanted and queue.head() is None:  # a handler that has interrupted this thread has seen the tasks run
            self._withdraw()
        self._is_full = waits and len(self.asked) >= ASKING and not any(map(_has_room, list(self._leases.values())))

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
        while _has_room(lease):
            if send_tasks is not None and send_tasks(queue, lease):
                continue
            call = queue.head()
            if call is None or (calls and (lease.is_alone or not call.retries)):
                break
            lease.is_alone = not call.retries
            if call.connection is None:
                self._send(lease, call)
                if call.connection is None and lease.is_returned:
                    break
            else:  # an asynchronous exception has aborted `_send` after the sending
                call.sent()
            queue.pop_sent(call)  # last, so that no asynchronous exception loses the call
        lease.in_flight = len(calls)
        if was_idle or len(calls) >= lease.depth:
            # One send for all tasks, since each send wakes the worker. For a busy one that has room they are gathered
            # further. A full one begins while this thread submits the others.
            lease.connection.flush()

    def _send(self, lease: Lease, call: PendingCall) -> None:
        connection = lease.connection
        arguments, details = call.arguments, call.details
        if details is None:
            return  # a handler that has interrupted this thread has sent the task, and it has returned
        export, prepared, num_returns, name, retry_exceptions, backpressure = details
        if export.key not in connection.in_flight.functions:
            function = self._values.pack(connection, export.held, False)
            connection.send(messages.Define(export.key, function, export.max_calls))
            connection.in_flight.functions.add(export.key)
        deps: list[tuple[int | str, messages.Value]] | None = None
        rest: messages.Value | None = None
        if arguments is not None:
            prepared = b""
            rest, deps = arguments.pack(self._values, connection)
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
            call.submitted,
            call.parent_id,
        )
        if not lease.is_returned:  # else a handler has interrupted this thread, and has had it returned
            call.go_out(connection, message)

    def _ask(self) -> None:
        node = self._node
        # The first request is sent at once. Further ones are gathered, since each send wakes the node.
        send = node.send if self.asked else node.send_now
        rid = node.number()
        self._tasks.waiting.add(self)
        try:
            self._tasks.expect(rid, self)
            send(self._request(rid))
        except BaseException:
            self._tasks.answered(rid)  # if it was sent, the lease is returned
            raise
        # Noted after the sending: the queue would wait for ever for the answer to a request that was not sent.
        self.asked.add(rid)

    def _request(self, rid: int) -> messages.RequestLease:
        sys_path, cwd = self._environment.changed_paths()
        return messages.RequestLease(
            rid,
            self._resources,
            self._runtime_env,
            self._label[:MAX_NAME],
            sys_path,
            cwd,
            self._memory_limit,
            self._is_retriable,
            self._seat,
            self._selectors,
        )

    def declare(self) -> list[messages.Leased]:
        """Return the leased workers, for the next node. The leader's thread."""
        return [
            messages.Leased(
                self._request(lease.rid), lease.lease_id, lease.connection.peer_id, lease.connection.in_flight.pid
            )
            for lease in list(self._leases.values())
        ]

    def requests(self) -> list[messages.RequestLease]:
        """Return the open requests for workers, for the next node. The leader's thread."""
        return [self._request(rid) for rid in list(self.asked)]

    # ------------------------------------------------------------------------------------------------------- leases

    @in_turn
    def granted(self, grant: messages.LeaseGranted) -> None:
        """Use a worker that the node has leased; return it if there are no tasks any more. The leader's thread."""
        self._answered_request(grant.rid)
        if not self.uses(grant):  # else an exception from outside, or a handler, has this step run a second time
            self._use_or_return(grant)
        self._pump()
        if self._queue.head() is None:
            self._withdraw()
            lease = self._leases.get(grant.process_id)
            if lease is not None and not lease.connection.in_flight.calls:
                self._rest(lease)

    def uses(self, grant: messages.LeaseGranted) -> bool:
        """Return whether the queue has this lease, and has not returned it. The leader's thread."""
        lease = self._leases.get(grant.process_id)
        return lease is not None and lease.lease_id == grant.lease_id

    def _use_or_return(self, grant: messages.LeaseGranted) -> None:
        is_wanted = grant.rid in self._tasks.expected and self._queue.head() is not None
        connection = self._peers.connect(grant.process_id) if is_wanted else None
        if connection is None:
            # First: if this is run a second time, a lease that was returned is not used.
            self._tasks.answered(grant.rid)
            if not self.uses(grant):  # else a handler has interrupted this thread, and has run this step
                self._node.send_now(messages.ReturnLease(grant.lease_id))
            return
        lease = Lease(grant, connection, self._depth)
        expected = self._tasks.expected
        connection.in_flight.on_close = self._on_connection_closed
        connection.in_flight.pid = grant.pid
        self._tasks.leased(grant.process_id, self)
        # This comparison and the stores are one step. A handler that has interrupted this thread has perhaps run this
        # step, and the lease was even returned since then.
        if grant.rid in expected:
            self._leases[grant.process_id] = lease
            del expected[grant.rid]
        elif grant.process_id not in self._leases:
            self._unregister(connection)

    @in_turn
    def refused(self, refused: messages.Refused) -> None:
        """Fail all tasks, since the node can never lease a worker for them. The leader's thread."""
        self._answered_request(refused.rid)
        self._doom_all(failures.encode(reasons.no_worker(refused.kind, refused.text)))

    def _withdraw(self) -> None:
        """Withdraw the open requests. The node answers none, unless it has granted a lease already."""
        expected = self._tasks.expected
        # Only the requests that are open now: a signal handler may submit a task meanwhile and ask for a worker.
        for rid in list(self.asked):
            if self.asked <= {rid}:
                self._tasks.waiting.discard(self)
            # Forgotten in one step, and before the sending: a request that is withdrawn and still noted would keep the
            # next task from asking.
            self.asked -= {rid}
            if rid in expected:
                del expected[rid]
            self._node.send(messages.CancelLease(rid))

    def _answered_request(self, rid: int) -> None:
        if self.asked <= {rid}:  # first: nobody asks again for an answer to the last request
            self._tasks.waiting.discard(self)
        self.asked.discard(rid)

    def answered(self, connection: Connection) -> None:
        """Send more tasks to a worker that has answered some. See the base class."""
        self._do_now(self._go_on, connection)

    def _go_on(self, connection: Connection) -> None:
        lease = self._leases.get(connection.peer_id)
        if lease is None or lease.is_returned:
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
        elif self.asked:
            self._withdraw()
        if not connection.in_flight.calls:
            self._rest(lease)

    def _rest(self, lease: Lease) -> None:
        """Return a lease without work: at once if another kind of task waits for a worker, else after a moment."""
        now = lease.idle_since = monotonic()
        if now - lease.since > RENEW_S or self._turn_is_over(lease) or self._tasks.others_wait(self):
            self._return(lease)
        elif not lease.is_timed:
            self._look_later(lease, LINGER_S)

    def _look_later(self, lease: Lease, seconds: float) -> None:
        self._reactor.call_later(seconds, lambda: self._return_if_idle(lease))
        lease.is_timed = True  # last: two timers do no harm, and without one the lease would never be returned

    @in_turn
    def _return_if_idle(self, lease: Lease) -> None:
        lease.is_timed = False  # first: a handler that sees the lease without work from now on sets a timer
        current = self._leases.get(lease.connection.peer_id)
        if current is not lease or lease.connection.in_flight.calls:
            return
        idle_s = monotonic() - lease.idle_since
        if idle_s >= LINGER_S * 0.9:
            self._return(lease)
        else:  # it has had work since the timer was set
            self._look_later(lease, LINGER_S - idle_s)

    @in_turn
    def return_idle(self) -> None:
        """Return all leases without work, since another kind of task waits for resources."""
        for lease in list(self._leases.values()):
            if not lease.connection.in_flight.calls:
                self._return(lease)

    def _return(self, lease: Lease, *, is_spent: bool = False) -> None:
        """Return a lease without work. Run again if a handler or exception has interrupted it."""
        connection = lease.connection
        process_id = connection.peer_id
        # This comparison and the store are one step: a handler that interrupts the sending must not send a task to a
        # worker that another kind of task gets now.
        if connection.in_flight.calls and not lease.is_returned and not is_spent:
            return
        lease.is_returned = True
        if self._leases.get(process_id) is lease and connection.in_flight.on_close == self._on_connection_closed:
            self._unregister(connection)
        # Sent first: if an exception came between forgetting the lease and returning it, the lease would be lost.
        tag = self._node.send_counted(messages.ReturnLease(lease.lease_id))
        self._forget(lease)
        if tag != self._node.tag:  # the node has crashed in between, and the next one was told of the lease
            self._node.send_now(messages.ReturnLease(lease.lease_id))

    def _forget(self, lease: Lease) -> None:
        leases, process_id = self._leases, lease.connection.peer_id
        # One step, else a handler has waited, and the lease is gone already, or the worker is lent once more.
        if process_id in leases and leases[process_id] is lease:
            del leases[process_id]

    def _unregister(self, connection: Connection) -> None:
        self._tasks.unleased(connection.peer_id)
        connection.in_flight.on_close = None

    # ------------------------------------------------------------------------------------------------------- events

    @in_turn
    def given_back(self, connection: Connection, numbers: list[int], is_spent: bool = False) -> None:
        """Requeue tasks that a worker has given back, see the message. The leader's thread."""
        lease = self._leases.get(connection.peer_id)
        self._depth = 1
        if lease is not None:
            lease.depth = 1
        calls = connection.in_flight.calls
        if is_spent:
            numbers = list(calls)
        while numbers:
            # Taken from the message's own list: a step that is run a second time would take back what was sent anew.
            number = numbers[-1]
            call = calls.get(number)
            if call is not None:
                is_over = not self._requeue(call, connection)
                # If it is on this connection still, a handler has waited here, and it was sent once more.
                if is_over or call.connection is not connection:
                    calls.pop(number, None)
            if numbers and numbers[-1] == number:
                del numbers[-1]
        if is_spent and lease is not None:
            self._return(lease, is_spent=True)
        self._pump()

    def _requeue(self, call: PendingCall, connection: Connection, *, is_tried: bool = False) -> bool:
        """Put a task back into the queue, see `return_to`; if it was cancelled meanwhile, fail it and return False."""
        if self._doom_if_canceled(call):
            return False
        call.return_to(self._queue, connection, is_tried=is_tried)
        return True

    @in_turn
    def _try_again(self, connection: Connection, answer: object, call: PendingCall) -> None:
        # Another thread may have cancelled the task after its error was read. The worker ignores that `Cancel`.
        if not self._doom_if_canceled(call):
            call.return_to(self._queue, connection, answer, is_tried=True, is_last=True)
        self._pump()

    def _on_connection_closed(self, connection: Connection, why: str) -> None:
        """Requeue the tasks of a connection that is closed. Run again if a handler or exception has interrupted it."""
        tasks, process_id = self._tasks, connection.peer_id
        is_final = self._peers.is_final(process_id)
        lease = self._leases.get(process_id)
        if lease is not None and lease.connection is connection:
            tasks.died(process_id, self, connection)  # first, so that no asynchronous exception loses the tasks
            lease.is_returned = True
            if not is_final:
                self._node.send_now(messages.ReturnLease(lease.lease_id))
            self._forget(lease)
        if tasks.awaits_verdict(process_id, connection):
            # The node knows the cause, and tells it by LeaseLost. If it does not in time, `lost` is called without it.
            node_lost = self._node.lost
            text = f"the connection to it was lost ({why})."
            if node_lost:
                tasks.lost(process_id, node_lost)
            elif is_final:
                self._reactor.call_later(VERDICT_S, lambda: tasks.lost(process_id, text))
            else:
                tasks.lost(process_id, text)

    @in_turn
    def lost(self, connection: Connection, text: str, kind: str = "crashed") -> None:
        """Requeue the tasks of a worker that has died. Each counts a try; one without a retry fails. Leader's thread.

        A task without a retry is the only one of its worker, see the top of this module.
        """
        in_flight = list(connection.in_flight.calls.values())
        calls = [call for call in in_flight if call.state < FINISHED and call.connection is connection]
        for call in reversed(calls):
            if call.retries or call.canceled:
                self._requeue(call, connection, is_tried=True)
            else:
                self._doom(call, failures.encode(reasons.worker_lost(self._label, text, kind)))
        connection.in_flight.calls.clear()  # last, so that no asynchronous exception loses them
        self._pump()

    @in_turn
    def node_lost(self) -> None:
        """Fail the tasks without a worker, since the node is gone. The leader's thread."""
        self.asked.clear()
        self._tasks.waiting.discard(self)
        self._pump()
