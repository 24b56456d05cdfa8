"""Submitting tasks. Each kind of task has a queue, which leases workers from the node and sends tasks to them."""

from __future__ import annotations

import os
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.local.submitting.arguments import prepare
from nbactors.local.submitting.pending_call import make_call, open_stream
from nbactors.local.submitting.retriable import pickled_types
from nbactors.local.submitting.task_queue import Lease, TaskQueue
from nbactors.local.wire import messages
from nbactors.pickling import pickling
from nbactors.speedups.caller import know_tasks, submit_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbactors.definitions.metadata import FunctionMeta
    from nbactors.local.connections.connection import Connection
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.environment import Environment
    from nbactors.local.objects.held import Held
    from nbactors.local.submitting.arguments import Arguments
    from nbactors.local.submitting.pending_call import PendingCall
    from nbactors.local.submitting.submitter import Submitter
    from nbactors.options import TaskOptions

REMEMBERED = 8
"""The most option objects of a function whose queues are found by the objects' `id`; others are found by content."""


class Kind(NamedTuple):
    """A function's tasks with the same options: what their options say, so that it is looked up once.

    Attributes:
        options: The options. They are kept, so that no other object can get the same `id`.
        queue: The queue of these tasks.
    """

    options: TaskOptions
    queue: TaskQueue
    name: str
    num_returns: int
    backpressure: int
    max_retries: int
    retry_exceptions: bool | tuple[type[BaseException], ...]
    timeout_s: float | None
    has_events: bool


class Export:
    """A function as workers get it, pickled once per process.

    The function and its pending tasks keep it alive. When it is freed, the workers forget the function.

    Attributes:
        max_calls: How often a worker may run the function before it exits; 0 for no limit.
        by_options: The kinds of its tasks, by the `id` of the options.
    """

    __slots__ = ("by_options", "held", "key", "max_calls", "tasks")

    def __init__(self, tasks: Tasks, held: Held, max_calls: int) -> None:
        self.tasks = tasks
        self.key = os.urandom(16)
        self.by_options: dict[int, Kind] = {}
        self.held = held
        self.max_calls = max_calls

    def __del__(self) -> None:
        try:
            tasks, key = self.tasks, self.key
        except AttributeError:  # an asynchronous exception has aborted `__init__`
            return
        tasks.forget_soon(key)


class Tasks:
    """The task queues of one process, by the workers and lease requests of each.

    Args:
        submitter: The parts that make calls.
        peers: The connections to workers.
        node: Leases workers.
        environment: Describes the environment of a new worker.
        own_seat: Returns the place of this process in a placement group.
    """

    def __init__(
        self,
        submitter: Submitter,
        peers: Peers,
        node: NodeLink,
        environment: Environment,
        own_seat: Callable[[], messages.Seat | None],
    ) -> None:
        self._submitter = submitter
        self._peers = peers
        self._node = node
        self._environment = environment
        self._own_seat = own_seat
        self._queues: dict[bytes, dict[Any, TaskQueue]] = {}
        """The queues by the function's key, and then by what `_find_queue` tells kinds by."""
        self.expected: dict[int, TaskQueue] = {}
        """The queues whose requests for a lease are open, by the request's number."""
        self.waiting: set[TaskQueue] = set()
        """The queues with open requests for a worker."""
        self._leased: dict[bytes, TaskQueue] = {}
        self._dead: dict[bytes, tuple[TaskQueue, Connection]] = {}

    def submit(
        self, function: FunctionMeta, args: tuple[Any, ...], kwargs: dict[str, Any], options: TaskOptions
    ) -> Any:
        """Submit a task. Any thread."""
        if INTERRUPTS.due:
            INTERRUPTS.raise_due()
        if self._node.lost:
            self._node.check()
        home, values, reactor, _, numbers, caller, events = self._submitter
        export = function.export
        if export is None or export.tasks is not self:
            held = values.hold_pickled(pickling.dumps_code(function.function))
            export = function.export = Export(self, held, options.max_calls)
        kind = export.by_options.get(id(options)) or self._find_kind(export, function, options)
        prepared = prepare(values, args, kwargs) if args or kwargs else b""
        parent, origin = caller()
        now = monotonic()
        result: Any = None
        if submit_task is not None:
            result = submit_task(kind, export, home, numbers, prepared, origin, now, parent)
        if result is None:
            call, result = self._make(kind, export, prepared, parent, origin, now)
            if kind.num_returns < 0:
                result = open_stream(home, call, kind.num_returns, kind.backpressure, result)
            if kind.timeout_s is not None:
                call.limit(reactor, kind.timeout_s)
            kind.queue.submit(call)
        if not events.recorder.is_armed and kind.has_events:
            events.recorder.arm()
        if self.waiting and kind.queue.asked and (len(self._queues) > 1 or len(self._queues.get(export.key, ())) > 1):
            self._return_idle(kind.queue)
        return result

    def _make(
        self, kind: Kind, export: Export, prepared: bytes | Arguments, parent: Any, origin: int, now: float
    ) -> tuple[PendingCall, Any]:
        """Make a task. Return it, and the value of `.remote()` unless the task is a generator."""
        _, queue, name, num_returns, backpressure, max_retries, retry_exceptions, _, has_events = kind
        home, _, _, _, numbers, _, _ = self._submitter
        arguments = None if type(prepared) is bytes else prepared
        call, result = make_call(home, next(numbers), num_returns, queue, None, arguments)  # type: ignore[arg-type]
        retried = pickled_types(retry_exceptions) if retry_exceptions else b""
        call.details = (export, prepared, num_returns, name, retried, backpressure)
        call.retries = max_retries
        call.origin = origin
        if parent is not None:
            call.belong_to(parent)
        if has_events:
            call.submitted = now
        return call, result

    def _find_kind(self, export: Export, function: FunctionMeta, options: TaskOptions) -> Kind:
        """Return the kind of task with its queue, and remember it for this options object."""
        label = options.name or function.name
        held = tuple(sorted(options.held().items()))
        # The node chooses by `max_retries` what it ends when memory gets scarce, so a lease is for one of both.
        seat = messages.Seat.of(options.scheduling_strategy, self._own_seat())
        is_retried = options.max_retries != 0
        key = (label, held, repr(options.runtime_env), options.memory_limit, is_retried, seat, options.selectors)
        queues = self._queues.setdefault(export.key, {})
        queue = queues.get(key)
        if queue is None:
            queue = TaskQueue(self, self._submitter, self._peers, self._node, self._environment, label, options, seat)
            if not queue.failure:
                queue = queues.setdefault(key, queue)
        kind = Kind(
            options,
            queue,
            label,
            options.num_returns,
            options.backpressure,
            options.max_retries,
            options.retry_exceptions,
            options.timeout_s,
            options.enable_task_events,
        )
        if not queue.failure:  # else the next task tries again
            if len(export.by_options) > REMEMBERED:
                export.by_options.clear()
            export.by_options[id(options)] = kind
        return kind

    def forget_soon(self, key: bytes) -> None:
        """Have the workers forget a function. A finalizer calls this, so it only posts an action."""
        if not self._submitter.membership.has_left:
            self._submitter.reactor.discard(lambda: self._forget(key))

    def _forget(self, key: bytes) -> None:
        """Forget a function, whose tasks have all returned and whose key is not used again. The leader's thread."""
        self._queues.pop(key, None)
        for connection in self._peers.outgoing():
            functions = connection.in_flight.functions
            if key in functions:
                connection.send(messages.Undefine(key))
                functions.discard(key)

    def _all_queues(self) -> list[TaskQueue]:
        return [queue for queues in list(self._queues.values()) for queue in list(queues.values())]

    def queued(self) -> list[PendingCall]:
        """Return the tasks of all queues that were not sent yet. Any thread."""
        return [call for queue in self._all_queues() for call in queue.queued()]

    def expect(self, rid: int, queue: TaskQueue) -> None:
        """Register a queue's request for a lease."""
        self.expected[rid] = queue

    def answered(self, rid: int) -> None:
        """Note that a request for a lease was answered, and what the answer brings is done."""
        self.expected.pop(rid, None)

    def leased(self, process_id: bytes, queue: TaskQueue) -> None:
        """Register a queue's worker."""
        self._leased[process_id] = queue

    def unleased(self, process_id: bytes) -> None:
        """Unregister a worker, whose lease was returned."""
        self._leased.pop(process_id, None)

    def others_wait(self, queue: TaskQueue) -> bool:
        """Return whether another kind of task has asked for a worker and has none yet."""
        return bool(self.waiting - {queue})

    def _return_idle(self, queue: TaskQueue) -> None:
        for other in list(self._leased.values()):
            if other is not queue:
                other.return_idle()

    def on_granted(self, grant: messages.LeaseGranted) -> None:
        """Pass a leased worker to the queue that has asked for it. The leader's thread."""
        queue = self.expected.get(grant.rid)
        if queue is not None:
            queue.granted(grant)
            return
        user = self._leased.get(grant.process_id)
        if user is None or not user.uses(grant):
            # The node has granted the lease before it read the withdrawal of the request.
            self._node.send_now(messages.ReturnLease(grant.lease_id))

    def on_refused(self, refused: messages.Refused) -> None:
        """Tell a queue that the node refuses its request for a worker. The leader's thread."""
        queue = self.expected.get(refused.rid)
        if queue is not None:
            queue.refused(refused)
            self.expected.pop(refused.rid, None)

    def on_given_back(self, connection: Connection, message: messages.GivenBack) -> None:
        """Pass tasks that a worker gives back to its queue. The leader's thread."""
        queue = self._leased.get(connection.peer_id)
        if queue is not None:
            queue.given_back(connection, message.numbers, message.is_spent)

    def died(self, process_id: bytes, queue: TaskQueue, connection: Connection) -> None:
        """Register a worker whose connection is closed, until `lost` is called with the cause. The leader's thread."""
        self._leased.pop(process_id, None)
        self._dead[process_id] = (queue, connection)

    def awaits_verdict(self, process_id: bytes, connection: Connection) -> bool:
        """Return whether a worker is registered by `died`, for this connection, and `lost` was not called yet."""
        dead = self._dead.get(process_id)
        return dead is not None and dead[1] is connection

    def lost(self, process_id: bytes, text: str, kind: str = "crashed") -> None:
        """Fail or requeue the tasks of a worker that has died, see `LeaseLost`. The leader's thread."""
        dead = self._dead.get(process_id)
        if dead is not None:
            queue, connection = dead
            queue.lost(connection, text, kind)
            self._dead.pop(process_id, None)
            return
        leased = self._leased.get(process_id)
        if leased is not None:
            # The node's word has come before the socket was read to its end: try again after that.
            self._submitter.reactor.call_later(0.05, lambda: self.lost(process_id, text, kind))

    def declare(self) -> list[messages.Leased]:
        """Return the leased workers of all queues, for the next node. The leader's thread.

        The next node does not know how workers have died before it. So those that wait for that wait no longer.
        """
        for process_id in list(self._dead):
            self._submitter.reactor.discard(partial(self.lost, process_id, "its worker process has ended."))
        return [leased for queue in set(self._leased.copy().values()) for leased in queue.declare()]

    def requests(self) -> list[messages.RequestLease]:
        """Return the open requests for workers, for the next node. The leader's thread."""
        return [request for queue in list(self.waiting) for request in queue.requests()]

    def node_lost(self) -> None:
        """Fail the tasks that have no worker, since the node is gone. The leader's thread."""
        self.expected.clear()
        for process_id in list(self._dead):
            self.lost(process_id, self._node.lost)
        for queue in self._all_queues():
            queue.node_lost()


if know_tasks is not None:
    know_tasks(TaskQueue, Lease, Kind)
