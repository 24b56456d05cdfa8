"""Sessions and workers as members of one process, tied by socketpairs. The test speaks for the node.

`Session` and `Worker` are real members with all their parts; nothing in them is replaced but the way to a socket.

    session = Session(tmp_path)                 # a member that asks
    worker = Worker(tmp_path)                   # a member that runs calls
    with tied(session, worker):                 # each finds the other
        counter = session.create(worker, Counter, 5)
        result = worker.serve(lambda: session.get(session.call(counter, "add", 1)))

`Worker.serve` runs the worker's loop on the main thread, as in a worker process, and the given function on a thread.

A member that is made with `in_background=False` has no thread. It handles messages only when the test calls `settle`,
so a test can play the steps of a race in any order.
"""

from __future__ import annotations

import asyncio
import math
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn, TypeVar

from nbactors.definitions.metadata import ActorMeta, FunctionMeta, MethodMeta
from nbactors.definitions.signature import ANYTHING
from nbactors.local import current
from nbactors.local.connections.node_link import NodeLink
from nbactors.local.member import Process
from nbactors.local.membership import Membership
from nbactors.local.objects.entry import Entry
from nbactors.local.reactor import background
from nbactors.local.reactor.guard import Guard
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.submitting.actors import ActorHold
from nbactors.local.submitting.arguments import prepare
from nbactors.local.submitting.construction import Concurrency, Construction
from nbactors.local.wire import ids, messages
from nbactors.local.wire.framing import MAX_CONTROL_FRAME, MAX_PEER_FRAME, FrameBuffer, control_codec, peer_codec
from nbactors.local.worker.running.ending import Ending
from nbactors.local.worker.running.executor import Executor
from nbactors.local.worker.running.lanes import Lanes
from nbactors.local.worker.running.thread_lane import ThreadLane
from nbactors.object_ref import ObjectRef
from nbactors.options import CallOptions, TaskOptions
from nbactors.pickling import pickling

T = TypeVar("T")
M = TypeVar("M", bound=messages.Message)

WAIT_S = 10.0
STORE_LIMIT = 1 << 28
ONE_BY_ONE = Concurrency(is_async=False, max_concurrency=1, groups={})


class Node:
    """The node's end of a control connection.

    Args:
        sock: The socket, whose other end the member has.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._codec = control_codec()
        self._frames = FrameBuffer(MAX_CONTROL_FRAME)
        self._arrived: deque[messages.Control] = deque()

    @classmethod
    def of(cls, link: NodeLink) -> Node:
        """Return the other end of a link, which gets its socket by this."""
        ours, theirs = socket.socketpair()
        link.use(theirs)
        return cls(ours)

    def tell(self, *batch: messages.Control) -> None:
        """Send the member what the node tells."""
        self._sock.sendall(self._codec.encode(list(batch)))

    def expect(self, kind: type[M], timeout_s: float = WAIT_S) -> M:
        """Wait for the next message of a kind, and take it; what came before it stays."""
        looked_at = 0
        self._sock.settimeout(timeout_s)
        while True:
            while looked_at < len(self._arrived):
                message = self._arrived[looked_at]
                if isinstance(message, kind):
                    del self._arrived[looked_at]
                    return message
                looked_at += 1
            self._read()

    def arrived(self) -> list[messages.Control]:
        """Return all that has come and was not taken, without waiting."""
        self._sock.settimeout(0)
        try:
            while True:
                self._read()
        except (BlockingIOError, EOFError):
            return list(self._arrived)

    def _read(self) -> None:
        data, _, _, _ = socket.recv_fds(self._sock, 1 << 16, 16)
        if not data:
            raise EOFError("the member has closed its control connection")
        for body in self._frames.feed(data):
            self._arrived.extend(self._codec.decode(body))

    def close(self) -> None:
        """End, as a node that crashes does: the member sees the end of its connection."""
        self._sock.close()


class Member(Process):
    """A member whose ways to others are socketpairs.

    Args:
        directory: The directory of the node.
        role: "session" or "worker".
        in_background: Whether a thread of its own leads its reactor, as in a real process.

    Attributes:
        node_end: The node that it is a member of.
        others: The members that it can reach, by their process ids.
        told: What the node has told that is for no part of it.
        lost: Why its node was lost; empty while it is there.
        sockets: How many connections it has made, each time anew included.
    """

    def __init__(self, directory: Path, role: str, in_background: bool = True) -> None:
        self._in_background = in_background
        self.told: list[Any] = []
        self.lost = ""
        self.sockets = 0
        self.others: dict[bytes, Member] = {}
        self._arriving: deque[socket.socket] = deque()
        membership = Membership(ids.new_process_id(), str(directory))
        super().__init__(membership, self.told.append, self._note_loss, STORE_LIMIT)
        self.door.reach = self._reach  # type: ignore[method-assign]
        self.node_end = Node.of(self.node)
        self.node.start(self.process_id, role, "1")
        if in_background:
            background.start(self.reactor)

    def _note_loss(self, why: str) -> None:
        self.lost = why

    def _reach(self, process_id: bytes, timeout: float) -> socket.socket:
        other = self.others.get(process_id)
        if other is None or other.membership.has_left:
            raise ConnectionRefusedError(process_id.hex())
        self.sockets += 1
        ours, theirs = socket.socketpair()
        other.arrive(theirs)
        return ours

    def arrive(self, sock: socket.socket) -> None:
        """Be connected to. Any thread."""
        self._arriving.append(sock)
        self.reactor.discard(self._admit)
        if self.membership.has_left:  # looked at after it was added: `leave` closes what was added before
            self._close_arriving()

    def _admit(self) -> None:
        if self._arriving:
            self.peers.admit(self._arriving.popleft())

    def _close_arriving(self) -> None:
        try:
            while True:
                self._arriving.popleft().close()
        except IndexError:
            pass

    def asked(self, question: messages.Peer, kind: type[M]) -> M:
        """Return this member's answer to a process that is no member, as `stack_of_actor.ask` asks."""
        ours, theirs = socket.socketpair()
        codec, frames = peer_codec(), FrameBuffer(MAX_PEER_FRAME)
        hello = messages.Hello(messages.PROTOCOL_VERSION, os.urandom(16), os.getpid(), "peer", "1")
        self.arrive(theirs)
        with ours:
            ours.settimeout(WAIT_S if self._in_background else 0.0)
            ours.sendall(codec.encode([hello, question]))
            deadline = monotonic() + WAIT_S
            while monotonic() < deadline:
                if not self._in_background:
                    self.reactor.visit()
                try:
                    data = ours.recv(1 << 16)
                except BlockingIOError:
                    continue
                for body in frames.feed(data):
                    for message in codec.decode(body):
                        if isinstance(message, kind):
                            return message
        raise TimeoutError(f"no answer to {question}")

    def cut(self, other: Member) -> None:
        """Break the socket to another member, as a lost network does. It is made anew, unless `others` forgets it."""
        for connection in self.peers.outgoing():
            if connection.peer_id == other.process_id and connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        """Close everything."""
        if not self.membership.has_left:
            self.close()
        self._close_arriving()
        self.node_end.close()


class Session(Member):
    """A member that makes calls. Arguments as of `Member`."""

    def __init__(self, directory: Path, in_background: bool = True) -> None:
        self._functions: dict[Callable[..., Any], FunctionMeta] = {}
        self.holds: dict[bytes, ActorHold] = {}
        """What keeps the actors, as the user's handles do."""
        super().__init__(directory, "session", in_background)

    def create(self, worker: Worker, cls: type, *args: Any, **kwargs: Any) -> LocalActorLink:
        """Create an actor in a worker, which the node has given."""
        link = self.prepare(cls, args, kwargs, worker.concurrency)
        worker.host(cls, link.actor_id)
        self.node_end.tell(messages.ActorUp(link.actor_id, worker.process_id, os.getpid()))
        return link

    def prepare(
        self, cls: type, args: Any = (), kwargs: Any = None, concurrency: Concurrency = ONE_BY_ONE
    ) -> LocalActorLink:
        """Return the link of an actor for which there is no worker yet."""
        hold = self.actors.create(ids.new_actor_id(b"unit"), is_known=False)
        link = hold.link
        self.holds[link.actor_id] = hold
        link.configure(ActorMeta(cls.__name__, cls.__module__, {}, concurrency.is_async, tuple(concurrency.groups)))
        prepared = prepare(self.objects.values, tuple(args), kwargs or {})
        held = self.objects.values.hold_pickled(pickling.dumps_code(cls))
        link.submit_construction(Construction(link, held, prepared, concurrency, 0))
        return link

    def call(
        self,
        link: LocalActorLink,
        method: str,
        *args: Any,
        num_returns: int = 1,
        group: str = "",
        backpressure: int = -1,
        options: CallOptions | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call a method. Returns what `.remote()` returns."""
        meta = MethodMeta(method, ANYTHING, num_returns, group=group, backpressure=backpressure)
        return link.call(meta, args, kwargs, options)

    def submit(
        self, function: Callable[..., Any], *args: Any, options: TaskOptions | None = None, **kwargs: Any
    ) -> Any:
        """Submit a task. The test answers its `RequestLease`, see `Worker.grant`."""
        meta = self._functions.setdefault(function, FunctionMeta(function, function.__name__, ANYTHING))
        return self.tasks.submit(meta, args, kwargs, options or TaskOptions())

    def put(self, value: Any) -> ObjectRef[Any]:
        """See `nbactors.put`."""
        return ObjectRef(Entry.made(self.objects, next(self.numbers), self.objects.values.hold(value)))

    def get(self, ref: ObjectRef[Any], timeout: float = WAIT_S) -> Any:
        """See `nbactors.get`. References and handles in the value belong to this session."""
        with acting_as(self):
            return self.objects.waiting.get_one(ref._entry, timeout)


class _Left(BaseException):
    """Ends the worker's loop where the process would end."""


class Worker(Member):
    """A member that runs calls.

    Attributes:
        concurrency: How the actors that it is to host run their calls.
        status: The status with which its process would have ended; None before.
        titles: What its process title has shown.
    """

    def __init__(self, directory: Path, concurrency: Concurrency = ONE_BY_ONE) -> None:
        super().__init__(directory, "worker")
        self.concurrency = concurrency
        self.status: int | None = None
        self.titles: list[str] = []
        self.executor = Executor(
            self.membership,
            self.objects,
            self.peers,
            self.node,
            flush=self.flush,
            cancel_children=self.cancel_children,
            set_title=self.titles.append,
            recorder=self.recorder,
            waits=self.waits,
            leave=self._leave,
        )
        self.current_call = self.executor.current_job
        self.on_caller, self.on_caller_gone = self.executor.on_caller, self.executor.on_caller_gone

    def host(self, cls: type, actor_id: bytes) -> None:
        """Be told by the node which actor this is."""
        hosted = self.executor.hosted
        hosted.actor_id, hosted.class_name = actor_id, cls.__name__

    def grant(self, session: Session, lease_id: int = 1) -> messages.RequestLease:
        """Answer a session's next request for a worker with this one, as the node does."""
        request = session.node_end.expect(messages.RequestLease)
        self.executor.assigned(lease_id)
        session.node_end.tell(messages.LeaseGranted(request.rid, lease_id, self.process_id, os.getpid()))
        return request

    def serve(self, body: Callable[[], T]) -> T:
        """Run the worker's loop on this thread until `body`, on another, has returned. The main thread.

        Returns:
            What `body` has returned.

        Raises:
            BaseException: What `body` has raised.
        """
        outcome: list[Any] = []

        def run() -> None:
            try:
                with acting_as(self.caller_of_body):
                    outcome.append((True, body()))
            except BaseException as error:
                outcome.append((False, error))
            finally:
                self.executor.end(Ending("exit", "the test has ended", graceful=False))

        thread = threading.Thread(target=run, name="body of the test")
        thread.start()
        try:
            self.executor.serve()
        except _Left:
            pass
        finally:
            self.executor.give_signals_back()
            thread.join(WAIT_S)
        assert not thread.is_alive(), "the body of the test waits for ever"
        succeeded, value = outcome.pop()
        if succeeded:
            return value  # type: ignore[no-any-return]
        raise value

    def leave(self) -> None:
        """Close everything, also what a worker leaves to the end of its process: the actor, its threads and loops."""
        if self.executor.lanes is not None:
            end_lanes(self.executor.lanes)
        super().leave()
        hosted, guard = self.executor.hosted, self.reactor.guard
        hosted.running = hosted.instance = None
        if isinstance(guard, Guard):  # the background thread may never have come to it, and closes it only then
            guard._selector.close()
            guard._bell.close()

    caller_of_body: Member | None = None
    """The member that references belong to which `body` unpickles; set by `tied`."""

    def _leave(self, status: int) -> NoReturn:
        if self.status is None:
            self.status = status
        raise _Left


def settle(*members: Member) -> None:
    """Let members without a thread handle all messages and timers that are due, on this thread."""
    while there := [member for member in members if not member.reactor.closed]:
        for member in there:
            member.reactor.visit()
        if not any(map(_has_work, there)):
            return


def _has_work(member: Member) -> bool:
    reactor = member.reactor
    if reactor.dirty or reactor.trash or reactor.next_timer_s() == 0:
        return True
    return bool(select.select([reactor.fileno()], [], [], 0)[0])


class _EndOfThread(BaseException):
    """As a job of a lane: ends the pool thread that takes it."""

    read_at = math.inf

    def begin(self) -> NoReturn:
        raise self


def _serve_to_end(lane: ThreadLane, serve: Callable[[ThreadLane], None] = ThreadLane._serve) -> None:
    try:
        serve(lane)
    except _EndOfThread:
        pass


ThreadLane._serve = _serve_to_end  # type: ignore[method-assign]


def end_threads(lane: ThreadLane) -> None:
    """End the threads of a lane in which no call waits."""
    lane._paused, lane._limit = False, lane._count
    for _ in range(lane._count):
        lane._jobs.append(_EndOfThread())  # type: ignore[arg-type]
        lane._wake()


def end_lanes(lanes: Lanes) -> None:
    """End the threads and the loops of lanes in which no call runs. The main thread."""
    for lane in lanes._lanes.values():
        if isinstance(lane, ThreadLane):
            end_threads(lane)
            continue
        if not lane.is_own:
            lane.soon(lane.loop.stop)
            for thread in threading.enumerate():
                if thread.ident == lane._ident:
                    thread.join(WAIT_S)
        tasks = asyncio.all_tasks(lane.loop)
        for task in tasks:
            task.cancel()
        lane.loop.run_until_complete(asyncio.wait(tasks) if tasks else asyncio.sleep(0))
        lane.loop.run_until_complete(lane.loop.shutdown_asyncgens())
        lane.loop.close()
    asyncio.set_event_loop(None)


_acting = threading.local()


@contextmanager
def acting_as(member: Member | None) -> Iterator[None]:
    """Have references and handles that this thread unpickles belong to a member."""
    before = getattr(_acting, "member", None)
    _acting.member = member
    try:
        yield
    finally:
        _acting.member = before


@contextmanager
def tied(*members: Member) -> Iterator[None]:
    """Let members reach each other; all of them leave at the end.

    What this thread unpickles belongs to the first member, but while it serves a worker: then to that worker.
    """
    by_id = {member.process_id: member for member in members}
    default = current.member

    def member() -> Any:
        found = getattr(_acting, "member", None)
        return found if found is not None else members[-1]

    for each in members:
        each.others.update(by_id)
        if isinstance(each, Worker):
            each.caller_of_body = members[0]
    current.member = member
    try:
        yield
    finally:
        current.member = default
        for each in members:
            each.leave()
