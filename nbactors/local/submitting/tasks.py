"""Submitting tasks: workers are leased from the node, and tasks go to them directly, by one queue per kind of task."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.local.submitting.arguments import prepare
from nbactors.local.submitting.pending_call import PendingCall, make_results, open_stream
from nbactors.local.submitting.task_queue import TaskQueue
from nbactors.local.wire import messages, pickling

if TYPE_CHECKING:
    from nbactors.definitions.metadata import FunctionMeta
    from nbactors.local.connections.connection import Connection
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.environment import Environment
    from nbactors.local.objects.held import Held
    from nbactors.local.submitting.submitter import Submitter
    from nbactors.options import TaskOptions

REMEMBERED = 8
"""Most option objects of a function whose queues are remembered; the rest are looked up by what they say."""


class Export:
    """A function as workers get it: pickled once per process.

    Its calls keep it. When it goes the function was defined anew, and whoever knows it by its key forgets it.

    Attributes:
        by_options: The queues of its tasks by the `id` of their options, which are kept beside it so that it cannot
            become another's.
    """

    __slots__ = ("by_options", "held", "key", "tasks")

    def __init__(self, tasks: Tasks, held: Held) -> None:
        self.tasks = tasks
        self.key = os.urandom(16)
        self.by_options: dict[int, tuple[TaskOptions, TaskQueue]] = {}
        self.held = held

    def __del__(self) -> None:
        try:
            tasks, key = self.tasks, self.key
        except AttributeError:  # an exception from outside came before it had any
            return
        tasks.forget_soon(key)


class Tasks:
    """The task queues of one process, and which of them a lease or a request belongs to.

    Args:
        submitter: What calls are made with.
        peers: The connections to workers.
        node: Gives workers.
        environment: Says what a new worker is given.
    """

    def __init__(self, submitter: Submitter, peers: Peers, node: NodeLink, environment: Environment) -> None:
        self._submitter = submitter
        self._peers = peers
        self._node = node
        self._environment = environment
        self._queues: dict[bytes, dict[Any, TaskQueue]] = {}
        """By the function's key, and by what else tells kinds of tasks apart."""
        self._expected: dict[int, TaskQueue] = {}
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
        home, values, reactor, _, numbers, caller = self._submitter
        export = function.export
        if export is None or export.tasks is not self:
            held = values.hold_pickled(pickling.dumps_code(function.function))
            export = function.export = Export(self, held)
        known = export.by_options.get(id(options))
        queue = known[1] if known is not None else self._find_queue(export, function, options)
        prepared = prepare(values, args, kwargs) if args or kwargs else b""
        number = next(numbers)
        num_returns = options.num_returns
        entries, result = make_results(home, number, num_returns)
        call = PendingCall(number, entries, queue, None, None if type(prepared) is bytes else prepared)  # type: ignore[arg-type]
        name = options.name or function.name
        call.details = (export, prepared, num_returns, name, _retry_exceptions(options), options.backpressure)
        call.retries = options.max_retries
        parent, call.origin = caller()
        if parent is not None:
            call.belong_to(parent)
        if num_returns < 0:
            result = open_stream(home, call, num_returns, options.backpressure, result)
        if options.timeout_s is not None:
            call.limit(reactor, options.timeout_s)
        queue.submit(call)
        if (len(self._queues) > 1 or len(self._queues.get(export.key, ())) > 1) and queue.waiting:
            self._return_idle(queue)
        return result

    def _find_queue(self, export: Export, function: FunctionMeta, options: TaskOptions) -> TaskQueue:
        """Return the queue of a kind of task, and remember it for these very options."""
        label = options.name or function.name
        key = (label, tuple(sorted(options.held().items())), repr(options.runtime_env))
        queues = self._queues.setdefault(export.key, {})
        queue = queues.get(key)
        if queue is None:
            queue = queues.setdefault(
                key, TaskQueue(self, self._submitter, self._peers, self._node, self._environment, label, options)
            )
        if len(export.by_options) > REMEMBERED:
            export.by_options.clear()
        export.by_options[id(options)] = (options, queue)
        return queue

    def forget_soon(self, key: bytes) -> None:
        """A function is no more. Called by a finalizer, therefore only posts."""
        if not self._submitter.membership.has_left:
            self._submitter.reactor.discard(lambda: self._forget(key))

    def _forget(self, key: bytes) -> None:
        """All tasks of a function have returned, and its key is not used again. The leader's thread."""
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
        """A request for a lease is on its way."""
        self._expected[rid] = queue

    def withdraw(self, rid: int) -> None:
        """A request for a lease is wanted no more. The node does not answer it, unless its grant is on its way."""
        self._expected.pop(rid, None)
        self._node.send(messages.CancelLease(rid))

    def leased(self, process_id: bytes, queue: TaskQueue) -> None:
        """A worker is a queue's."""
        self._leased[process_id] = queue

    def unleased(self, process_id: bytes) -> None:
        """It is no more."""
        self._leased.pop(process_id, None)

    def others_wait(self, queue: TaskQueue) -> bool:
        """Return whether another kind of task has asked for a worker and has none yet."""
        return bool(self.waiting - {queue})

    def _return_idle(self, queue: TaskQueue) -> None:
        for other in list(self._leased.values()):
            if other is not queue:
                other.return_idle()

    def on_granted(self, grant: messages.LeaseGranted) -> None:
        """The node gives a worker. The leader's thread."""
        queue = self._expected.get(grant.rid)
        if queue is None:  # it has crossed the request's withdrawal
            self._node.send_now(messages.ReturnLease(grant.lease_id))
        else:
            queue.granted(grant)
            self._expected.pop(grant.rid, None)

    def on_refused(self, refused: messages.Refused) -> None:
        """The node refuses a worker. The leader's thread."""
        queue = self._expected.get(refused.rid)
        if queue is not None:
            queue.refused(refused)
            self._expected.pop(refused.rid, None)

    def on_given_back(self, connection: Connection, message: messages.GivenBack) -> None:
        """A worker gives tasks back. The leader's thread."""
        queue = self._leased.get(connection.peer_id)
        if queue is not None:
            queue.given_back(connection, message.numbers)

    def died(self, process_id: bytes, queue: TaskQueue, connection: Connection) -> None:
        """A leased worker's connection has ended; the cause is to come. The leader's thread."""
        self._leased.pop(process_id, None)
        self._dead[process_id] = (queue, connection)

    def lost(self, process_id: bytes, text: str) -> None:
        """The cause is known, or will not be. The leader's thread."""
        dead = self._dead.get(process_id)
        if dead is not None:
            queue, connection = dead
            queue.lost(connection, text)
            self._dead.pop(process_id, None)
            return
        leased = self._leased.get(process_id)
        if leased is not None:
            # The node was faster than the socket: come back when that has been read to its end.
            self._submitter.reactor.call_later(0.05, lambda: self.lost(process_id, text))

    def node_lost(self) -> None:
        """The node is gone. The leader's thread."""
        self._expected.clear()
        for process_id in list(self._dead):
            self.lost(process_id, self._node.lost)
        for queue in self._all_queues():
            queue.node_lost()


def _retry_exceptions(options: TaskOptions) -> bytes:
    given = options.retry_exceptions
    return pickling.dumps_code(given).data if isinstance(given, tuple) else b"*" if given else b""
