"""What the node remembers of processes, sessions, actors and leases. Data without rules."""

from __future__ import annotations

from typing import Protocol

import msgspec

from nbactors.local.node.rules.alarms import Alarm
from nbactors.local.node.rules.lifecycle import State
from nbactors.local.node.rules.queue import PlacementQueue, Request
from nbactors.local.node.rules.resources import Allocation, Pool, Units
from nbactors.local.wire import messages

NO_CONNECTION = -1


class Answerable(Protocol):
    """A request that is kept until it can be answered: an `Ask`."""

    @property
    def is_open(self) -> bool:
        """Whether it has no answer yet."""

    def answer(self, message: messages.Message) -> None:
        """Answer, if that has not been done."""

    def done(self) -> None:
        """Answer that it was carried out."""

    def refuse(self, kind: str, text: str) -> None:
        """Answer that it cannot be met, and why."""

    def fail(self, why: str) -> None:
        """Answer that the node itself has failed."""

    def withdraw(self) -> None:
        """Nobody waits for an answer any more."""


class Process(msgspec.Struct, eq=False, kw_only=True):
    """A session, a worker, or a command line that talks to the node.

    Attributes:
        holds: Actors that it has handles of.
        children: Actors that it has created and that have not ended.
        leases: Leases that it holds or has asked for, by its request's number.
        watchers: Processes that want to know when it ends.
        lost: It has ended, or has lost its connection, which is the same to everybody else.
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
    """A process that the node had forked.

    Attributes:
        actor: The actor that it is, None for a task worker.
        lease: Who runs tasks in it now.
        kind: What tells task workers that can stand for one another.
        label: The name in the prefix of its output.
        ready: It has registered.
        looked_at: When it has looked last whether the code that it has imported is still what the files say.
        looks: It was asked to look, and has not answered.
        doomed: It is to be killed, as soon as that is possible.
        orphaned: Its forkserver is gone, so that nobody will tell how it ends.
        ending: What it said before it ended on purpose.
        error: Why it could not be made.
        exit_known: `status` is what there is to know.
        reported: Everybody has been told how it ended.
        removed: Nothing is left of it.
        alarm: Gives it up if it does not register.
    """

    home: Session
    actor: Actor | None = None
    lease: Lease | None = None
    kind: bytes = b""
    label: str = ""
    ready: bool = False
    looked_at: float = 0.0
    looks: bool = False
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
    alarm: Alarm | None = None


class Session(msgspec.Struct, eq=False, kw_only=True):
    """A driver's stay: its namespace, its resources, its workers. Outlived by its detached actors.

    Attributes:
        idle: Task workers that nobody leases, longest idle first.
        is_open: The driver is there.
        closing: The driver's `CloseSession`, unanswered.
        alarm: Answers it at the latest.
        wake_at: When its queue is to be looked at again.
    """

    job_id: bytes
    driver: Process
    namespace: str
    environment: int
    pool: Pool
    queue: PlacementQueue
    log_to_driver: bool
    graceful_shutdown_s: float
    workers: dict[bytes, Worker] = msgspec.field(default_factory=dict)
    idle: list[Worker] = msgspec.field(default_factory=list)
    detached: set[bytes] = msgspec.field(default_factory=set)
    warned: set[bytes] = msgspec.field(default_factory=set)
    is_open: bool = True
    closing: list[Answerable] = msgspec.field(default_factory=list)
    alarm: Alarm | None = None
    wake_at: float | None = None


class Actor(msgspec.Struct, eq=False, kw_only=True):
    """An actor, living or dead.

    Attributes:
        creation: What its creator asked for.
        owner: The process that created it.
        holders: Who has handles, each with its number of tokens.
        down: Why it is dead, once that is known.
        announced: Its holders were told.
        attempts: How many processes that were made for it have ended before they were ready.
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
    down: messages.ActorDown | None = None
    announced: bool = False
    attempts: int = 0
    pid: int = 0
    process_id: bytes = b""

    @property
    def actor_id(self) -> bytes:
        """Its id, chosen by the creator."""
        return self.creation.actor_id


class Lease(msgspec.Struct, eq=False, kw_only=True):
    """A worker for somebody's tasks, or the request for one.

    Attributes:
        worker: Set when resources were found; it may still be starting.
        ask: The request, answered when it was granted or cannot be.
        granted: The holder was told.
        attempts: As of an actor.
    """

    lease_id: int
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
