"""`LocalActorLink`: calls to one actor, in the order of their submission."""

from __future__ import annotations

import weakref
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors import exceptions
from nbactors.definitions.metadata import UNLIMITED, MethodMeta
from nbactors.engine.base import ActorLink
from nbactors.exceptions import reasons
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.waiting import Waiting
from nbactors.local.reactor.turns import Turns
from nbactors.local.submitting.arguments import prepare
from nbactors.local.submitting.call_life import FINISHED, WAITING
from nbactors.local.submitting.call_queue import CallQueue
from nbactors.local.submitting.handles import rebuild_handle, rebuild_weak_handle
from nbactors.local.submitting.in_flight import InFlight
from nbactors.local.submitting.pending_call import PendingCall, make_call, open_stream
from nbactors.local.submitting.retriable import pickled_types
from nbactors.local.submitting.target import Target, in_turn
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef
from nbactors.pickling import pickling
from nbactors.speedups.caller import know, submit
from nbactors.views.summaries import ActorFacts, CallFacts

if TYPE_CHECKING:
    from nbactors.definitions.metadata import ActorMeta
    from nbactors.local.connections.connection import Connection
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.submitting.construction import Construction
    from nbactors.local.submitting.registers import Links
    from nbactors.local.submitting.submitter import Submitter
    from nbactors.options import CallOptions

ActorNews = messages.ActorUp | messages.ActorRestarting | messages.ActorDown

READ_OUT_S = 2.0
"""Seconds for which the socket of a dead actor is read on: a child of the actor may keep it open for longer."""

VERDICT_S = 10.0
"""Seconds to wait for the node to tell why a worker has ended. It mostly does within half a second, when busy later."""


class LocalActorLink(Target, ActorLink):
    """The tie of this process to one actor, shared by all handles to the actor. It does not keep the actor alive.

    Calls go out in the order of submission. A call that cannot be sent yet, because the worker is not up or an argument
    is not final, waits in the queue of its concurrency group, and all later calls of that group wait behind it. If the
    actor keeps no order, a call with missing arguments waits in `_unready` and holds up no other call.

    Args:
        actor_id: The actor's id, 16 bytes.
        submitter: The parts that make calls.
        peers: The connections to workers.
        node: Tells whether the node is gone.
        links: Keeps this link alive while it has calls to send.
    """

    __slots__ = (
        "_connection",
        "_cut_off",
        "_doomed",
        "_down",
        "_heard",
        "_hold",
        "_in_order",
        "_links",
        "_max_pending",
        "_max_retries",
        "_next",
        "_node",
        "_peers",
        "_queues",
        "_reactor",
        "_restarting",
        "_submitter",
        "_turns",
        "_unready",
        "_updated",
        "_verdict",
        "construct",
        "detached",
        "meta",
        "watches",
    )

    def __init__(self, actor_id: bytes, submitter: Submitter, peers: Peers, node: NodeLink, links: Links) -> None:
        self._submitter = submitter
        self._peers = peers
        self._node = node
        self._links = links
        self._reactor = submitter.reactor
        self._turns = Turns(submitter.reactor)
        self._doomed = deque()
        self.actor_id = actor_id
        self.watches = 0
        """The tokens that the node has counted for the weak handles of this process, or will have."""
        self.detached = ""
        """The name of a detached actor, once it was up; empty for any other."""
        self.meta: ActorMeta | None = None
        self.construct: Construction | None = None
        self._hold: object = None
        """Keeps the actor until its constructor's call is sent."""
        self._queues: dict[str, CallQueue[PendingCall]] = {"": CallQueue()}
        self._unready: set[PendingCall] = set()
        self._updated: ActorMeta | None = None
        self._in_order = True
        self._max_pending = UNLIMITED
        self._max_retries = 0
        self._restarting: messages.ActorRestarting | None = None
        self._next: messages.ActorUp | None = None
        """The next worker, of which the node has told before the connection to the last one was read to its end."""
        self._verdict: object = None
        """The cause of death that this link waits for, each time another object."""
        self._cut_off: set[PendingCall] = set()
        """The calls that a worker which has ended had got and not answered."""
        self._heard = 0
        """The number of the latest news of the node."""
        self._connection: Connection | None = None
        self._down: messages.ActorDown | None = None

    def configure(self, meta: ActorMeta) -> None:
        """Take over the actor's options for calls. Called before the first call."""
        self.meta = meta
        self._in_order = meta.in_order
        self._max_pending = meta.max_pending_calls
        self._max_retries = meta.max_task_retries

    @property
    def is_down(self) -> bool:
        """Whether the node has told that the actor is dead."""
        return self._down is not None

    # --------------------------------------------------------------------------------------------------- submitting

    def call(
        self,
        method: MethodMeta,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions | None,
        hold: object = None,
    ) -> Any:
        """Submit a method call. See the base class."""
        home, values, reactor, membership, numbers, caller, events = self._submitter
        if INTERRUPTS.due:
            INTERRUPTS.raise_due()
        if membership.has_left:
            raise membership.dead_handle_error(self.actor_id)
        if self._max_pending > 0:
            self._check_room(method.name)
        if hold is None:
            hold = self._links.hold_on(self.actor_id)
        parent, cell = caller()
        now = monotonic()
        prepared = prepare(values, args, kwargs) if args or kwargs else b""
        if options is None and submit is not None:
            result: Any = submit(self, home, numbers, method, prepared, cell, now, hold, parent)
            if result is not None:
                if not events.recorder.is_armed and method.has_events is not False:
                    events.recorder.arm()
                return result
        num_returns, group, backpressure = method.num_returns, method.group, method.backpressure
        name, timeout_s = "", method.timeout_s
        retries, retry_exceptions = method.max_task_retries, method.retry_exceptions
        has_events = method.has_events
        if options is not None:
            if options.num_returns is not None:
                num_returns = options.num_returns
            if options.concurrency_group is not None:
                group = options.concurrency_group
            if options.backpressure is not None:
                backpressure = options.backpressure
            name = options.name or ""
            if options.timeout_s is not None:
                timeout_s = options.timeout_s
            if options.max_task_retries is not None:
                retries = options.max_task_retries
            if options.retry_exceptions is not None:
                retry_exceptions = options.retry_exceptions
            if options.enable_task_events is not None:
                has_events = options.enable_task_events
        retried = pickled_types(retry_exceptions) if retry_exceptions else b""
        submitted = 0.0 if has_events is False else now
        parent_id = b"" if parent is None else parent.task_id
        number = next(numbers)
        if type(prepared) is bytes:
            message = messages.Call(
                number,
                method.name,
                prepared,
                num_returns,
                name,
                None,
                None,
                group,
                backpressure,
                cell,
                retried,
                submitted,
                parent_id,
            )
            call, result = make_call(home, number, num_returns, self, message, None)
        else:
            call, result = make_call(home, number, num_returns, self, None, prepared)  # type: ignore[arg-type]
            call.details = (method.name, num_returns, name, group, backpressure, retried)
        call.hold = hold
        call.group = group
        call.retries = self._max_retries if retries is None else retries
        if parent is not None:
            call.belong_to(parent)
        call.origin = cell
        call.submitted = submitted
        if num_returns < 0:
            result = open_stream(home, call, num_returns, backpressure, result)
        if timeout_s is not None:
            call.limit(reactor, timeout_s)
        self._do_now(self._accept, call)
        if submitted and not events.recorder.is_armed:
            events.recorder.arm()
        return result

    def _accept(self, call: PendingCall) -> None:
        connection, restarting = self._connection, self._restarting
        queue = self._queues.get(call.group)
        is_first = queue is None or not queue.calls
        has_worker = connection is not None and self._down is None and restarting is None
        if call.arguments is None and has_worker and is_first:
            self._send(connection, call)  # type: ignore[arg-type]
            return
        call.await_arguments()
        if restarting is not None and restarting.has_run and not call.retries and call.settled():
            self._doom(call, failures.encode(reasons.actor_restarting(self.actor_id, restarting.text, False)))
            return
        self._links.keep(self)
        if self._in_order or call.settled():
            self._queue_of(call).append(call)
        else:
            self._unready.add(call)
            self._queue_if_ready(call)  # its last argument may have arrived in a handler before `add`
        self._pump()

    def _queue_if_ready(self, call: PendingCall) -> None:
        if call in self._unready and call.settled():
            if call.queue is None and call.connection is None:  # else an exception came between `append` and `discard`
                self._queue_of(call).append(call)
            self._unready.discard(call)

    def _queue_of(self, call: PendingCall) -> CallQueue[PendingCall]:
        queue = self._queues.get(call.group)
        if queue is None:
            queue = self._queues.setdefault(call.group, CallQueue())
        return queue

    def _check_room(self, method: str) -> None:
        connection = self._connection
        pending = sum(map(len, self._queues.values())) + len(self._unready)
        pending += len(connection.in_flight.calls) if connection is not None else 0
        if pending >= self._max_pending:
            raise exceptions.PendingCallsLimitExceeded(
                f"The task {method} could not be submitted to {self.actor_id.hex()} because more than "
                f"{self._max_pending} tasks are queued on the actor. This limit can be adjusted with the "
                "`max_pending_calls` actor option; or wait for some results before calling on."
            )

    def submit_construction(self, construct: Construction) -> None:
        """Keep the construction, which is sent before all calls. The creator calls this before any call."""
        self.begin_construction(construct)
        for entry in construct.arguments.missing():
            entry.request()
            entry.add_waiter(construct)

    def begin_construction(self, construct: Construction) -> None:
        """Keep a construction until it is sent, and this process's hold on the actor with it."""
        self._hold = self._links.hold_on(self.actor_id)
        self.construct = construct
        self._links.keep(self)

    def _end_construction(self) -> Construction | None:
        """Drop the construction, which is sent or void, and return it."""
        construct, self.construct = self.construct, None
        self._hold = None
        if construct is not None and construct.waiter is not None:
            construct.waiter.finish()
        return construct

    def _send(self, connection: Connection, call: PendingCall) -> None:
        message = call.message
        if message is None:
            arguments, details = call.arguments, call.details
            if arguments is None or details is None:
                return  # a handler that has interrupted this thread has sent the call, and it has returned
            method, num_returns, name, group, backpressure, retried = details
            rest, deps = arguments.pack(self._submitter.values, connection)
            message = messages.Call(
                call.number,
                method,
                b"",
                num_returns,
                name,
                deps,
                rest,
                group,
                backpressure,
                call.origin,
                retried,
                call.submitted,
                call.parent_id,
            )
        # With no other call in flight the worker is idle: the call is sent at once, and not with the next flush.
        call.go_out(connection, message, at_once=not connection.in_flight.calls)

    def _pump(self) -> None:
        if self.construct is not None and self._down is None:
            self._down = self._links.write_construction(self, self.construct)
        if self._down is not None and self._connection is None:
            self._fail_queue()
        connection = self._connection
        if connection is None or self._restarting is not None:
            return
        if self.construct is not None and not self._send_construct(connection):
            return
        is_empty = not self._unready
        for queue in list(self._queues.values()):
            is_empty &= self._pump_queue(connection, queue)
        if is_empty:
            self._links.let_go(self)

    def _pump_queue(self, connection: Connection, queue: CallQueue[PendingCall]) -> bool:
        """Send the calls of one concurrency group that can be sent; return whether none is left."""
        while True:
            call = queue.head()
            if call is None:
                return True
            if call.state == WAITING and not call.settled():
                return False
            arguments = call.arguments
            failed = arguments.failure() if arguments is not None else None
            if failed is not None:
                self._doom(call, failed.data)
                queue.pop(call)  # last, so that no asynchronous exception loses the call
                continue
            if call.connection is None:
                self._send(connection, call)
            else:  # an asynchronous exception has aborted `_send` after the sending
                call.sent()
            queue.pop_sent(call)  # last, as above

    @in_turn
    def on_argument(self, call: PendingCall) -> None:
        """Go on with a call whose awaited argument is final. The thread that has made it final."""
        self._queue_if_ready(call)
        self._pump()

    def _insists_on(self, mode: CancelMode) -> bool:
        return mode.interrupts_methods

    def _take_out(self, call: PendingCall) -> bool:
        if call in self._unready:
            self._unready.discard(call)
            return True
        return self._queue_of(call).take_out(call)

    def queued(self) -> list[PendingCall]:
        """Return the calls that were not sent yet. Any thread."""
        return [*list(self._unready), *(call for queue in list(self._queues.values()) for call in queue)]

    def _send_construct(self, connection: Connection) -> bool:
        construct = self.construct
        assert construct is not None
        if construct.arguments.pending() is not None:
            return False
        failed = construct.arguments.failure()
        if failed is not None:
            error = failures.decode(failed.data)
            text = f"one of its constructor's arguments failed: {type(error).__name__}: {error}"
            self._down = self._links.abandon(self, text)
            self._fail_queue()
            return False
        if construct.connection is None:
            connection.send_now(construct.pack(self._submitter.values, connection), sent=construct)
        self._end_construction()
        return True

    # ------------------------------------------------------------------------------------------------------- events

    @in_turn
    def on_news(self, number: int, news: ActorNews) -> None:
        """Take notice of the node's news. Any thread.

        Args:
            number: The number of the news in the order of their arrival. A thread that has made this link may tell it
                remembered news when the leader has told it later news already: the remembered ones are void then. Else
                the link would wait for a restart that is over.
            news: The news.
        """
        if number < self._heard:
            return
        self._heard = number
        if type(news) is messages.ActorUp:
            self.on_up(news)
        elif type(news) is messages.ActorRestarting:
            self.on_restarting(news)
        else:
            self.on_down(news)  # type: ignore[arg-type]

    @in_turn
    def on_up(self, up: messages.ActorUp) -> None:
        """Connect to the actor, which is up as the node has told. The leader's thread."""
        if self._down is not None:
            return
        self.detached = up.detached
        # The node tells the holders that it knows of a restart. It may not have known this process then, since the
        # count of a handle takes another way than the handle, or it has crashed. Calls to the last worker may have run
        # all the same.
        if self._connection is not None:
            if up.process_id != self._connection.peer_id:
                if self._restarting is None:
                    self.on_restarting(self._missed())
                self._next = up
            return
        if self._cut_off and self._restarting is None and not self._peers.is_final(up.process_id):
            self._suspend(self._missed())
        self._restarting = self._verdict = None
        self._links.reconstruct(self, up.restarts)
        self._connect(up.process_id, up.pid)
        self._pump()

    def _connect(self, process_id: bytes, pid: int) -> None:
        connection = self._peers.connect(process_id)
        if connection is None:
            self._await_verdict("its worker has gone before it could be reached")
            return
        # The connection refers to the link weakly: the link is freed with the last handle.
        link = weakref.ref(self)

        def closed(connection: Connection, why: str) -> None:
            target = link()
            if target is not None:
                target.on_connection_closed(connection, why)

        connection.in_flight.on_close = closed
        connection.in_flight.pid = pid
        self._connection = connection

    @in_turn
    def on_down(self, down: messages.ActorDown) -> None:
        """Fail the calls to an actor that is dead, as the node has told. The leader's thread.

        Calls in flight fail only when the socket was read to its end, since it may still hold answers to them.
        """
        if self._down is None or self._down.kind == "unknown":
            self._down = down
            if self._connection is None:
                self._fail_queue()
            else:
                self._read_out(self._connection, "the actor is dead")
        self._links.forget_construction(self.actor_id)

    @in_turn
    def on_restarting(self, restarting: messages.ActorRestarting) -> None:
        """Keep calls for the actor's next worker, which the node makes. The leader's thread."""
        if self._down is not None:
            return
        self._verdict = self._next = None
        connection = self._connection
        if connection is None:
            self._restarting = restarting
            self._suspend(restarting)
        elif self._restarting is None:  # else a later worker has ended, too: it has got no call of this process
            self._restarting = restarting
            self._read_out(connection, "the actor restarts")

    def _missed(self) -> messages.ActorRestarting:
        """Return the news of a restart that the node has not told."""
        return messages.ActorRestarting(self.actor_id, "its worker process has ended", True)

    def _read_out(self, connection: Connection, why: str) -> None:
        """Close the connection to a worker that has ended, unless its socket is read to its end before."""
        self._reactor.call_later(READ_OUT_S, lambda: connection.close(why))

    def _suspend(self, restarting: messages.ActorRestarting) -> None:
        """Keep the calls that the next worker is to run, and fail the others. A step.

        The last worker may have run the calls that it had got: these need a retry. It has run none if its constructor
        had not returned. Calls that were not sent yet wait.
        """
        for call in self._queued_cut_off():
            if self._doom_if_canceled(call):
                self._take_out(call)  # last, so that no asynchronous exception loses the call
            elif restarting.has_run:
                if not call.retries:
                    self._doom(call, failures.encode(reasons.actor_restarting(self.actor_id, restarting.text, True)))
                    self._take_out(call)
                elif call.retries > 0:
                    call.retries -= 1
            self._cut_off.discard(call)
        self._cut_off.clear()  # of calls that were cancelled meanwhile
        if not self.queued() and self.construct is None:
            self._links.let_go(self)
        up, self._next = self._next, None
        if up is not None:
            self.on_up(up)

    def _queued_cut_off(self) -> list[PendingCall]:
        return [call for call in self.queued() if call in self._cut_off]

    @in_turn
    def on_connection_closed(self, connection: Connection, why: str) -> None:
        """Deal with the calls in flight on a connection that is closed for good. The leader's thread."""
        calls = connection.in_flight.calls
        in_flight = [call for call in list(calls.values()) if call.state < FINISHED and call.connection is connection]
        if self._connection is connection:
            self._connection = None
        elif self._connection is not None:  # this is run a second time, and the link has gone on in between
            return
        if self._down is None and self._restarting is None and not self._peers.is_final(connection.peer_id):
            # The worker lives: only the answers to the calls in flight are lost.
            for call in reversed(in_flight):
                if call.retries and not call.canceled:
                    call.return_to(self._queue_of(call), connection, is_tried=True)
                    self._links.keep(self)
                else:
                    self._doom(call, failures.encode(reasons.connection_lost(why)))
            self._connect(connection.peer_id, connection.in_flight.pid)
            in_flight = []
        self._cut_off.update(in_flight)
        for call in reversed(in_flight):
            call.return_to(self._queue_of(call), connection)
        if in_flight:
            self._links.keep(self)
        calls.clear()  # last, so that no asynchronous exception loses them
        if self._down is not None:
            self._fail_queue()
        elif self._connection is not None:
            self._pump()
        elif self._restarting is not None:
            self._suspend(self._restarting)
        else:
            self._await_verdict(why)

    def _await_verdict(self, why: str) -> None:
        """Fail the calls after `VERDICT_S`, if the node has not told the cause of death before."""
        node_lost = self._node.lost
        if node_lost:
            self._down = messages.ActorDown(self.actor_id, "unknown", node_lost, "", "", 0)
            self._fail_queue()
            return

        verdict = self._verdict = object()
        link = weakref.ref(self)  # the actor may restart, and its last handle go, in this time

        def give_up() -> None:
            target = link()
            if target is not None and target._verdict is verdict:
                text = f"the connection to it was lost ({why})."
                target.on_down(messages.ActorDown(target.actor_id, "unknown", text, "", "", 0))

        self._reactor.call_later(VERDICT_S, give_up)

    def _fail_queue(self) -> None:
        assert self._down is not None
        error = failures.actor_died(self._down, self.meta.class_name if self.meta is not None else "")
        for call in self.queued():
            self._doom(call, error)
            self._take_out(call)
        self._cut_off.clear()
        construct = self._end_construction()
        if construct is not None:
            construct.let_go()
        self._links.let_go(self)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to the actor's worker. Any thread."""
        return self._connection is not None

    def facts(self) -> ActorFacts:
        """Return a summary of the actor, as this process knows it. See the base class. Any thread; takes no turn."""
        down, connection = self._down, self._connection
        waiting = sum(map(len, self._queues.copy().values())) + len(self._unready)
        if self._submitter.membership.has_left:
            return ActorFacts("dead" if down is not None else "", 0, "its session has been shut down")
        unread = self._submitter.home.unread.of_actor(self.actor_id)
        if down is not None:
            return ActorFacts("dead", down.pid, failures.brief_cause(down), unread=unread)
        if connection is None:
            return ActorFacts("starting" if self._restarting is None else "restarting", calls=waiting, unread=unread)
        in_flight: InFlight = connection.in_flight
        return ActorFacts("alive", in_flight.pid, calls=waiting + len(in_flight.calls), unread=unread)

    def describe(self, call: PendingCall) -> CallFacts:
        """Return a summary of a call to this actor. Any thread."""
        message, details, meta = call.message, call.details, self.meta
        method = message.method if message is not None else details[0] if details is not None else ""
        label = f"{meta.class_name if meta is not None else 'actor'}.{method}"
        return CallFacts(label, self.actor_id, call.connection is not None, meta is not None and not meta.is_async)

    def note_failure(self, call: PendingCall, error: bytes) -> None:
        """See the base class."""
        self._submitter.events.failed(call, error)

    def awaited(self, call: PendingCall) -> str:
        """Return the state of an actor that is not there yet. Any thread."""
        return "" if self._connection is not None else "actor"

    @in_turn
    def _try_again(self, connection: Connection, answer: object, call: PendingCall) -> None:
        # Another thread may have cancelled the call after its error was read. The worker ignores that `Cancel`.
        if not self._doom_if_canceled(call):
            # Before the calls that wait: one of them may wait for the result of this call, and holds up all behind it.
            call.return_to(self._queue_of(call), connection, answer, is_tried=True)
            self._links.keep(self)
        self._pump()

    def answered(self, connection: Connection) -> None:
        """Do nothing: the next call does not wait for an answer."""

    def update(self, meta: ActorMeta) -> None:
        """Take over the description of the actor's class, which was changed."""
        self._updated = self.meta = meta

    def latest_meta(self, meta: ActorMeta) -> ActorMeta:
        """See the base class."""
        return self._updated or meta

    def reduce(self, meta: ActorMeta, hold: object = None) -> tuple[Any, ...]:
        """Return what pickles a handle. See the base class."""
        parts = (self.actor_id, self.latest_meta(meta))
        if hold is None:
            return (rebuild_weak_handle, parts)
        if not pickling.note_contained(hold):
            self._links.pin(hold)
        return (rebuild_handle, parts)

    def __del__(self) -> None:
        try:
            self._links.release(self.actor_id, self.watches, weak=True)
        except AttributeError:  # an asynchronous exception has aborted `__init__`
            pass


if know is not None:
    know(
        Entry,
        Waiting,
        InFlight,
        PendingCall,
        CallQueue,
        Turns,
        LocalActorLink,
        ObjectRef,
        messages.Call,
        messages.Run,
        messages.Reply,
        MethodMeta,
    )
