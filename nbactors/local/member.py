"""`Process`: the parts of a session or worker, put together."""

from __future__ import annotations

import functools
import itertools
import resource
import socket
from collections.abc import Callable
from operator import attrgetter
from selectors import EVENT_READ
from time import monotonic
from typing import TYPE_CHECKING, Any

from nbactors.exceptions import reasons
from nbactors.frontend import calling_cell
from nbactors.local import current
from nbactors.local.access import discovery
from nbactors.local.access.next_node import NextNode
from nbactors.local.connections.door import Door
from nbactors.local.connections.node_link import Declaration, NodeLink
from nbactors.local.connections.peers import Peers
from nbactors.local.environment import Environment
from nbactors.local.membership import Membership
from nbactors.local.objects import object_table
from nbactors.local.objects.claims import Claims
from nbactors.local.objects.lent_room import LentRoom
from nbactors.local.objects.objects import Objects
from nbactors.local.reactor import background
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.store.forks import Forks
from nbactors.local.store.segments import SegmentStore
from nbactors.local.submitting.actors import Actors
from nbactors.local.submitting.call_life import QUEUED, SENT, WAITING
from nbactors.local.submitting.in_flight import InFlight
from nbactors.local.submitting.replies import Replies
from nbactors.local.submitting.submitter import Submitter
from nbactors.local.submitting.tasks import Tasks
from nbactors.local.task_events.pending_events import PendingEvents
from nbactors.local.task_events.recorder import Recorder
from nbactors.local.task_events.waits import Waits
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.connections.peer_connection import PeerConnection
    from nbactors.local.submitting.pending_call import PendingCall

TRIM_S = 10.0
"""Seconds for which free segments are kept for the next large value."""

MAX_DESCRIPTORS = 1 << 16

FLUSH_S = 2.0
"""Seconds for which a leaving process tries to send its buffered messages."""

LOOK_AGAIN_S = 0.005
"""Seconds after which a call is looked for again that another process has asked to cancel."""

_NUMBER = attrgetter("number")


class Process:
    """One member of a node: a session or worker. Only this class knows all parts; each part is given the parts it uses.

    Args:
        membership: The place of this process in the node.
        on_control: Handles control messages that are not for actors, tasks or references. The leader's thread.
        on_node_lost: Called with the reason when the node is gone. The leader's thread.
        room: Bytes that the object store has before it asks the node.

    Attributes:
        current_call: Set in a worker: returns the job that the calling code belongs to, with which the calls that it
            makes are cancelled.
        job_number: In a session, its job id.
        home: Set in a worker: its session.
        describe: Returns what the next node must know of this process itself, `Rejoin` first. The leader's thread.
        on_caller: Set in a worker: gives the connection of a fresh caller the record of its jobs. The leader's thread.
        on_caller_gone: Set in a worker: called when a caller has gone. The leader's thread.
        is_spare: Whether this is a worker that has joined, and has no order yet.
    """

    def __init__(
        self,
        membership: Membership,
        on_control: Callable[[Any], None],
        on_node_lost: Callable[[str], None],
        room: int = 0,
    ) -> None:
        _raise_descriptor_limit()
        self.membership = membership
        self.environment = environment = Environment()
        self.numbers = itertools.count(1)
        self.current_call: Callable[[], Any] | None = None
        self.job_number = 0
        self.home: messages.Home | None = None
        self.groups: dict[bytes, messages.Grouped] = {}
        """The placement groups that this process has created, and the one that it runs in, for the next node."""
        self.seat: messages.Seat | None = None
        """The place of a worker in a placement group."""
        self.describe: Callable[[], list[Declaration]] = lambda: [(messages.Rejoin(None), ())]
        self.on_caller: Callable[[Connection], None] | None = None
        self.on_caller_gone: Callable[[Connection], None] | None = None
        self._on_control = on_control
        self._on_node_lost = on_node_lost
        self._trimming = False
        self.is_spare = False
        self._searches: list[Callable[[], None]] = []
        """Searches for the next node that have to begin."""
        self._next_node = NextNode(membership, lambda: self.home)

        self.reactor = reactor = Reactor("nbactors-io")
        self._forks = Forks(lambda fd, action: reactor.register(fd, EVENT_READ, lambda _: action()), reactor.unregister)
        self.node = node = NodeLink(reactor, self._receive_control, self._lose_node)
        self.room = LentRoom(node, reactor.wait, lambda: not reactor.leads(), room)
        self.store = store = SegmentStore(reactor.discard, self.room, forks=self._forks)
        self.door = door = Door(reactor, membership)
        self.peers = peers = Peers(membership, reactor, node, door, self)
        door.admit = peers.admit
        self.objects = objects = Objects(
            membership,
            reactor,
            peers=peers,
            node=node,
            store=store,
            numbers=self.numbers,
            expect_trim=self._expect_trim,
        )
        objects.references.borrows = current.inherits()
        self.recorder = recorder = Recorder(reactor, node)
        self.waits = objects.waiting.noted = Waits(recorder)
        store.tell_moves(recorder.add_move)
        self._pending_events = pending = PendingEvents(membership, recorder, self.pending_calls)
        recorder.sources.append(pending.live)
        submitter = Submitter(objects, objects.values, reactor, membership, self.numbers, self.caller, pending)
        self.actors = objects.values.handles = Actors(membership, submitter, peers, node)
        self.tasks = Tasks(submitter, peers, node, environment, lambda: self.seat)
        self.replies = Replies(objects.values)
        self.after_batch = self.replies.after_batch

        references, fetching, streams = objects.references, objects.fetching, objects.streams
        peers.handlers.update(
            {
                messages.Reply: self.replies.on_reply,
                messages.Results: self.replies.on_results,
                messages.Yielded: self.replies.on_yielded,
                messages.GivenBack: self.tasks.on_given_back,
                messages.Fetch: lambda c, m: fetching.answer(c, m.object_id),
                messages.Fetched: lambda c, m: fetching.fetched(c, m.object_id, m.value),
                messages.CancelObject: lambda c, m: fetching.cancel(m.object_id, m.force, m.recursive, m.interrupt),
                messages.AddBorrow: lambda c, m: references.add_tokens(m.object_id, m.process_id, m.tokens),
                messages.ReleaseBorrow: lambda c, m: references.add_tokens(m.object_id, c.peer_id, -m.tokens),
                messages.ReleaseSegment: objects.values.released,
                messages.Arena: objects.arenas.announced,
                messages.ForgetArena: objects.arenas.forget,
                messages.AskArena: objects.arenas.asked,
                messages.AskNext: streams.on_ask,
                messages.Next: streams.on_next,
                messages.PutBack: streams.on_put_back,
                messages.AskObjects: object_table.answer,
                messages.CancelCall: self._on_cancel_call,
            }
        )
        self._control: dict[type, Callable[[Any], None]] = {
            messages.ActorUp: self.actors.on_news,
            messages.ActorRestarting: self.actors.on_news,
            messages.ActorDown: self.actors.on_news,
            messages.Grouped: self._note_group,
            messages.LeaseGranted: self.tasks.on_granted,
            messages.LeaseLost: lambda m: self.tasks.lost(m.process_id, m.text, m.kind),
            messages.Refused: self.tasks.on_refused,
            messages.ProcessGone: peers.on_process_gone,
            messages.Room: self.room.on_room,
            messages.AskUse: self._tell_use,
            messages.ListenAgain: lambda m: door.open_again(),
        }

    @property
    def process_id(self) -> bytes:
        """The id of this process, 16 bytes."""
        return self.membership.process_id

    @property
    def directory(self) -> str:
        """The node's private directory."""
        return self.membership.directory

    def _note_group(self, group: messages.Grouped) -> None:
        """Note a placement group for the next node, while it is not removed. The leader's thread."""
        if group.state == "REMOVED":
            self.groups.pop(group.creation.group_id, None)
        else:
            self.groups[group.creation.group_id] = group

    def handle(self, kind: type, handler: Callable[[Any], None]) -> None:
        """Have the leader's thread call `handler` with the node's messages of a type."""
        self._control[kind] = handler

    def begin(self, process_id: bytes, directory: str) -> None:
        """Become the process with this id, in a child for which all this was made before the fork."""
        self.membership.enter(process_id, directory)
        self.reactor.renew()

    def join(self, node: socket.socket, role: str, package_version: str, is_spare: bool = False) -> None:
        """Listen for peers, say Hello to the node and begin to read.

        Args:
            node: The socket to the node.
            role: As in `Hello`.
            package_version: As in `Hello`.
            is_spare: As in `Hello`.
        """
        # First, so that `close` also closes the socket if `door.open` fails.
        self.node.use(node)
        self.is_spare = is_spare
        self.door.open(is_spare)
        self.node.start(self.process_id, role, package_version, is_spare)
        current.enter(self)
        background.start(self.reactor)

    def _receive_control(self, message: Any) -> None:
        self._control.get(type(message), self._on_control)(message)

    # ------------------------------------------------------------------------------------ returning to the next node

    def search(self, last: messages.Welcome | None, found: Callable[[socket.socket | None], None]) -> None:
        """See `Returning`. A spare begins the search when it has its order: without one, it ends with the node."""
        self._searches.append(functools.partial(self._search, last, found))
        if not self.is_spare:
            self._begin_searches()

    def be_ordered(self) -> None:
        """Be no spare any more, and tell the node. The main thread."""
        self.node.say_hello_again()  # first: only this node may get it, not the next one
        # `search` stores, then looks whether this is a spare. This stores that it is none, then looks for searches. So
        # at least one of the two threads sees the other's store, and only one of them gets the search.
        self.is_spare = False
        self._begin_searches()

    def _begin_searches(self) -> None:
        while True:
            try:
                search = self._searches.pop()
            except IndexError:
                return
            search()

    def _search(self, last: messages.Welcome | None, found: Callable[[socket.socket | None], None]) -> None:
        # The next node knows by the sockets which processes live, and a cleaner of files may have removed this one's.
        try:
            discovery.make_folder(self.directory)
            self.door.open_again()
        except OSError:  # the search meets the same error, and tries again
            pass
        self._next_node.begin(last.pid if last is not None else -1, found)

    def declare(self) -> list[Declaration]:
        """See `Returning`."""
        described, *more = self.describe()
        watched = self.peers.watched() | self.objects.references.watched()
        declared: list[Any] = [
            *self.actors.declare(),
            *self.tasks.declare(),
            *self.actors.holds(),
            messages.Restored(),
            *self.tasks.requests(),
            self.room.declare(),
            *map(messages.Watch, watched),
        ]
        # A group comes before what runs in it, also to a node that handles each message as it comes.
        groups = [(group, ()) for group in list(self.groups.values())]
        return [*groups, described, *((message, ()) for message in declared), *more]

    def _lose_node(self, why: str) -> None:
        if self.membership.has_left:
            return
        self.actors.node_lost(why)
        self.tasks.node_lost()
        self.peers.node_lost(why)
        self._on_node_lost(why)

    # -------------------------------------------------------------------------------- what `Peers` tells its owner

    def equip(self, connection: PeerConnection) -> None:
        """See `Owner`."""
        connection.claims = Claims()
        if connection.is_outgoing:
            connection.in_flight = InFlight()
        elif self.on_caller is not None:
            self.on_caller(connection)

    def on_closed(self, connection: PeerConnection, why: str) -> None:
        """See `Owner`."""
        self.objects.values.closed(connection)
        if connection.is_outgoing:
            self._pending_events.worker_lost(connection.peer_id)
            in_flight: InFlight = connection.in_flight
            if in_flight.on_close is not None:
                in_flight.on_close(connection, why)
        elif self.on_caller_gone is not None:
            self.on_caller_gone(connection)

    def on_process_gone(self, process_id: bytes) -> None:
        """See `Owner`."""
        self.objects.process_gone(process_id)

    def on_lost(self, process_id: bytes) -> None:
        """See `Owner`."""
        self.objects.ask_again(process_id)

    # ---------------------------------------------------------------------------------------------------- describing

    def caller(self) -> tuple[Any, int]:
        """Return the calling code's job, None for none, and the origin (`messages.Call`) of its calls. Any thread."""
        if self.current_call is not None:
            job = self.current_call()
            return job, job.message.origin if job is not None else 0
        cell = calling_cell.current()
        return None, self.job_number << 32 | cell if cell else 0

    def origin(self) -> int:
        """Return the origin of calls that the calling code makes. Any thread."""
        return self.caller()[1]

    # ------------------------------------------------------------------------------------------------------ storing

    def _expect_trim(self) -> None:
        """Have free segments given back to the system after `TRIM_S`. Any thread."""
        if not self._trimming:
            self._trimming = True
            self.reactor.call_later(TRIM_S, self._trim)

    def _tell_use(self, message: messages.AskUse) -> None:
        store, room = self.store, self.room
        returned = 0
        if message.wanted:
            if room.lent - store.in_memory < message.wanted:
                store.trim()
            returned = room.give_unused(message.wanted, lambda: store.in_memory)
            if room.owe(message.wanted - returned, message.share):
                store.make_room()
        self.node.send_now(messages.StoreUse(message.number, max(store.in_memory, 0), store.spilled, returned))

    def _trim(self) -> None:
        self._trimming = False
        self.store.trim()
        self.room.give_back(self.store.in_memory)

    # ------------------------------------------------------------------------------------------------------ leaving

    def flush(self, timeout: float = FLUSH_S) -> None:
        """Send all buffered messages, for at most `timeout` seconds. Any thread but the background one."""
        deadline = monotonic() + timeout
        self.reactor.discard(self.recorder.report)
        self.reactor.wait(Waiter(), 0)
        while self.unsent() and monotonic() < deadline:
            self.reactor.wait(Waiter(), 0.005)

    def pending_calls(self) -> list[PendingCall]:
        """Return the calls of this process that have not returned. Any thread."""
        in_flight = [call for connection in self.peers.outgoing() for call in list(connection.in_flight.calls.values())]
        return [*in_flight, *self.actors.queued(), *self.tasks.queued()]

    def latest_calls_first(self) -> list[PendingCall]:
        """Return the pending calls in the order in which to cancel them. Any thread.

        The oldest calls run, and later calls wait behind them. If a running call were cancelled first, the next call
        would begin before its own `Cancel` is sent.
        """
        return sorted(self.pending_calls(), key=_NUMBER, reverse=True)

    def cancel_children(self, parent: Any, mode: CancelMode) -> None:
        """Cancel the calls that a job has made, and their calls in turn; see `messages.Cancel`. Any thread."""
        for call in sorted(parent.children or (), key=_NUMBER, reverse=True):
            call.cancel(mode, True)

    def _on_cancel_call(self, connection: Connection, message: messages.CancelCall, *, is_last: bool = False) -> None:
        """Cancel a call of this process, as any process of the user has asked. The leader's thread."""
        call = next((call for call in self.pending_calls() if call.number == message.number), None)
        if call is None and not is_last:
            # Another thread may be moving the call between its queue and its connection, and it is in neither just now.
            again = functools.partial(self._on_cancel_call, connection, message, is_last=True)
            self.reactor.call_later(LOOK_AGAIN_S, again)
            return
        is_refused = call is not None and message.force and bool(call.facts().actor_id)
        if call is not None and not is_refused:
            call.cancel(CancelMode.of(message.force, message.interrupt), True)
        connection.send_now(messages.Canceled(int(call is not None), is_refused))

    def _abandon_calls(self) -> None:
        """Fail the calls that get no answer any more: futures wait for them without a time-out."""
        error = failures.encode(reasons.session_closed())
        for call in self.pending_calls():
            if call.state in (WAITING, QUEUED, SENT):
                call.fail(error)
        self.objects.fetching.leave()

    def unsent(self) -> bool:
        """Return whether messages still have to be sent."""
        return bool(self.peers.unsent()) or self.node.unsent

    def close(self) -> None:
        """Leave the node: wake waiting threads, fail pending calls, and close all connections."""
        self.membership.has_left = True
        current.leave(self)
        self.reactor.close()
        self._abandon_calls()
        self.node.close()
        self.door.close()
        self.peers.close()
        self.store.close()

    def before_fork(self) -> None:
        """Note that this process is about to be forked. The thread that forks."""
        self._forks.before()

    def after_fork(self) -> None:
        """Note that this process was forked. The thread that has forked."""
        self._forks.in_parent()

    def forget(self) -> None:
        """In a forked child: close the copies of the parent's sockets without sending a message.

        If they stayed open, the node would not see the parent's end while the child lives. Nothing here takes a lock: a
        thread of the parent, which does not exist in the child, may hold it.
        """
        self.membership.has_left = self.membership.forked = True
        discovery.leave_own()
        self.reactor.forget()
        self.node.forget()
        self.peers.forget()
        self.door.forget()
        self._forks.in_child()
        self.store.forget()


def _raise_descriptor_limit() -> None:
    """Raise the limit of descriptors as far as the system allows: each actor and each very large value takes some.

    The usual soft limit of 1,024 protects programs that use `select`. They work on as long as they open fewer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS has a lower limit than it reports
            pass
