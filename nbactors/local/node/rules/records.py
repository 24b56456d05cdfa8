"""The node's records of processes, sessions, actors and leases. Data without rules."""

from __future__ import annotations

from typing import Protocol

import msgspec

from nbactors.local.node.rules.alarms import Alarm
from nbactors.local.node.rules.grouping.bundles import AnyBundle, BundlePool
from nbactors.local.node.rules.lifecycle import State
from nbactors.local.node.rules.queue import PlacementQueue, Request
from nbactors.local.node.rules.resources import Allocation, Pool, Units
from nbactors.local.wire import messages

NO_CONNECTION = -1


class Answerable(Protocol):
    """A request that is kept until it can be answered: an `Ask`, whose module imports this one."""

    @property
    def is_open(self) -> bool: ...
    @property
    def rid(self) -> int: ...
    def answer(self, message: messages.Message) -> None: ...
    def done(self) -> None: ...
    def refuse(self, kind: str, text: str) -> None: ...
    def fail(self, why: str) -> None: ...
    def withdraw(self) -> None: ...


class Process(msgspec.Struct, eq=False, kw_only=True):
    """A client of the node: a session, a worker, or a command line.

    Attributes:
        holds: Actors of which it has handles, also weak ones.
        children: Actors that it has created and that have not ended.
        leases: Its leases and requests for leases, by the `rid` of the request.
        watchers: Processes that are told when it ends.
        lost: Whether it has ended or lost its connection, which is the same for all other processes.
    """

    process_id: bytes
    conn: int
    pid: int
    role: str
    session: Session | None = None
    holds: set[bytes] = msgspec.field(default_factory=set)
    children: set[bytes] = msgspec.field(default_factory=set)
    leases: dict[int, Lease] = msgspec.field(default_factory=dict)
    watchers: set[bytes] = msgspec.field(default_factory=set)
    lost: bool = False


class Worker(Process, eq=False, kw_only=True):
    """A process that a forkserver has forked for the node.

    Attributes:
        actor: Its actor, None for a task worker.
        lease: Its current lease, if it is a task worker.
        group: The placement group whose tasks it runs, if it is a task worker; also while it is idle.
        kind: Task workers of one kind can replace each other.
        label: The prefix of its output.
        ready: Whether it has registered.
        looked_at: When it last checked whether the source files that it has imported have changed.
        looks: Whether it was asked to check that and has not answered.
        spent: Whether it runs no more tasks.
        doomed: Whether it will be killed as soon as it exists.
        orphaned: Whether its forkserver is gone, so that its exit will not be reported.
        ending: Its message before it exits on purpose.
        error: Why it could not be started.
        exit_known: Whether its exit was reported, or will never be.
        reported: Whether the processes that depend on it were told how it ended.
        removed: Whether the node has forgotten it.
        has_oom_killer_struck: Whether the kernel's OOM killer had struck just before it exited.
        alarm: Ends the wait for its registration.
    """

    home: Session
    actor: Actor | None = None
    lease: Lease | None = None
    group: Group | None = None
    kind: bytes = b""
    label: str = ""
    ready: bool = False
    looked_at: float = 0.0
    looks: bool = False
    spent: bool = False
    doomed: bool = False
    retired: bool = False
    orphaned: bool = False
    ending: messages.Ending | None = None
    error: str = ""
    exit_known: bool = False
    status: int | None = None
    output_ended: bool = False
    tail: str = ""
    reported: bool = False
    removed: bool = False
    has_oom_killer_struck: bool = False
    alarm: Alarm | None = None


class Session(msgspec.Struct, eq=False, kw_only=True):
    """A session: its driver process, namespace, resources and workers. Its detached actors outlive it.

    Attributes:
        idle: Task workers without a lease; the one that is idle for longest is first.
        environment, plain: The numbers of its environment, and of the same one without preloaded modules.
        opened: The driver's request.
        is_open: Whether the driver is connected and has not closed the session.
        closing: The driver's `CloseSession` requests, unanswered.
        alarm: Answers them at the latest.
        wake_at: When its queue must be looked at again.
    """

    job_id: bytes
    driver: Process
    namespace: str
    environment: int
    plain: int
    pool: Pool
    queue: PlacementQueue
    log_to_driver: bool
    graceful_shutdown_s: float
    opened: messages.OpenSession
    workers: dict[bytes, Worker] = msgspec.field(default_factory=dict)
    idle: list[Worker] = msgspec.field(default_factory=list)
    detached: set[bytes] = msgspec.field(default_factory=set)
    warned: set[bytes] = msgspec.field(default_factory=set)
    is_open: bool = True
    closing: list[Answerable] = msgspec.field(default_factory=list)
    alarm: Alarm | None = None
    wake_at: float | None = None

    @property
    def described(self) -> messages.Home:
        """The session for its workers, which may have to tell the next node."""
        return messages.Home(self.job_id, self.driver.process_id, self.driver.pid, self.opened)


class Group(msgspec.Struct, eq=False, kw_only=True):
    """A placement group.

    Attributes:
        creation: Its creator's request.
        home: The session that has created it, whose resources it reserves.
        owner: The process that has created it.
        pools: What each bundle has.
        any_bundle: All of them together.
        queue: The requests for parts of the bundles.
        state: "PENDING", "CREATED" or "REMOVED".
        waits_for: What it waits for; empty if it does not wait.
        reserved: What it has of the session's resources, by bundle.
        wake_at: When its queue must be looked at again.
    """

    creation: messages.CreateGroup
    home: Session
    owner: bytes
    namespace: str
    pools: list[BundlePool]
    any_bundle: AnyBundle
    queue: PlacementQueue = msgspec.field(default_factory=PlacementQueue)
    state: str = "PENDING"
    waits_for: str = ""
    request: Request | None = None
    reserved: list[Allocation] = msgspec.field(default_factory=list)
    waiters: list[Answerable] = msgspec.field(default_factory=list)
    wake_at: float | None = None

    def at(self, seat: messages.Seat) -> Pool:
        """Return the pool of a place in the group; a bundle that does not exist counts as any."""
        return self.pools[seat.bundle] if 0 <= seat.bundle < len(self.pools) else self.any_bundle

    @property
    def described(self) -> messages.Grouped:
        """The group for the processes in it, which may have to tell the next node."""
        return messages.Grouped(
            self.creation, self.home.described, self.owner, self.state, [taken.gpu_ids for taken in self.reserved]
        )


def source(home: Session, group: Group | None, seat: messages.Seat | None) -> tuple[PlacementQueue, Pool]:
    """Return where an actor or a lease gets its resources, and the queue for them."""
    if group is None or seat is None:
        return home.queue, home.pool
    return group.queue, group.at(seat)


class Actor(msgspec.Struct, eq=False, kw_only=True):
    """An actor, living or dead.

    Attributes:
        creation: Its creator's request.
        owner: The process that created it.
        holders: The number of tokens of each process that has handles.
        watchers: The number of tokens of each process that has weak handles.
        down: Why it is dead, once that is known.
        announced: Whether its holders were told.
        attempts: How many processes for it have ended before they were ready, since its last restart.
        restarts: How often it was restarted.
        restarting: What its holders were told of its last restart.
        crashed: The process before its last restart, empty for none.
        group: The placement group that it runs in; None for none.
    """

    creation: messages.CreateActor
    namespace: str
    home: Session
    owner: bytes
    owner_pid: int
    resources: Units
    state: State = State.WAITING
    request: Request | None = None
    allocation: Allocation | None = None
    worker: Worker | None = None
    holders: dict[bytes, int] = msgspec.field(default_factory=dict)
    watchers: dict[bytes, int] = msgspec.field(default_factory=dict)
    down: messages.ActorDown | None = None
    announced: bool = False
    attempts: int = 0
    restarts: int = 0
    restarting: messages.ActorRestarting | None = None
    crashed: bytes = b""
    pid: int = 0
    process_id: bytes = b""
    group: Group | None = None

    @property
    def shown(self) -> str:
        """The name of the state in listings: a restarted actor is pending no more."""
        shown = self.state.shown
        return State.RESTARTING.shown if self.restarts and shown == State.WAITING.shown else shown

    @property
    def actor_id(self) -> bytes:
        """The actor's id, chosen by the creator."""
        return self.creation.actor_id


class Lease(msgspec.Struct, eq=False, kw_only=True):
    """A worker that a process has leased for its tasks, or the request for one.

    Attributes:
        worker: Set when resources were found; it may still be starting.
        ask: The request, answered when it is granted or refused.
        granted: Whether the holder was told.
        attempts: How many processes for it have ended before they were ready.
        group: The placement group that it is in; None for none.
        key: Its key among the leases of its holder: the `rid` of the request, or for a second one of that the negative
            `lease_id`.
    """

    lease_id: int
    key: int
    holder: Process
    home: Session
    asked: messages.RequestLease
    ask: Answerable
    kind: bytes
    resources: Units
    request: Request | None = None
    allocation: Allocation | None = None
    worker: Worker | None = None
    granted: bool = False
    attempts: int = 0
    group: Group | None = None
