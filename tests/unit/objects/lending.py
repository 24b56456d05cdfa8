"""How the unit tests of objects make objects, lend them, and see what has followed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from members import Member, Session

from nbactors.local.connections.connection import Connection
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.held import Held
from nbactors.local.objects.streams import RemoteReader
from nbactors.local.submitting.pending_call import make_call, open_stream
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.options.num_returns import STREAMING

ROUNDS = 4
"""A message, its answer, and what follows from that answer: no test has a longer chain."""


class Call:
    """The call that makes an object, which keeps how it was cancelled."""

    target = None

    def __init__(self, entry: Any) -> None:
        self.number = entry.number
        self.cancels: list[CancelMode] = []
        entry.call = self

    def cancel(self, mode: CancelMode, recursive: bool, timeout_s: float = 0.0) -> None:
        assert recursive
        self.cancels.append(mode)


class Listener:
    """A listener that keeps which entries it was told of.

    Args:
        action: What it does when it is told.
    """

    def __init__(self, action: Callable[[], None] = lambda: None) -> None:
        self.told: list[Any] = []
        self._action = action

    def ready(self, entry: Any) -> None:
        self.told.append(entry)
        self._action()


class Torn:
    """Raises KeyboardInterrupt when it is called first, as a signal's handler does at any bytecode."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise KeyboardInterrupt


class TornDict(dict[Any, Any]):
    """A table that another thread changes between two steps: `meanwhile` runs after the first `setdefault`."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = [meanwhile]

    def setdefault(self, key: Any, default: Any = None) -> Any:
        found = super().setdefault(key, default)
        while self._meanwhile:
            self._meanwhile.pop()()
        return found


def pending(member: Session) -> ObjectRef[Any]:
    """Return a reference to an object of a member's that is not there yet."""
    return ObjectRef(Entry(member.objects, next(member.numbers)))


def failure(error: BaseException, name: str = "work") -> bytes:
    """Return what an entry holds whose task has raised."""
    return failures.encode_task_error(name, f"{type(error).__name__}: {error}", error, 1)


def bring(ref: ObjectRef[Any], value: Any) -> None:
    """Give an object its value, on this thread."""
    entry = ref._entry
    entry.home.values.hold(value).settle(entry)


def bring_error(ref: ObjectRef[Any], error: BaseException) -> None:
    """Have the task that makes an object fail, on this thread."""
    Held(failure(error), error=True).settle(ref._entry)


def settle(*members: Member) -> None:
    """Have members handle all that is under way between them, and what follows from that."""
    for _ in range(ROUNDS):
        for member in members:
            member.reactor.catch_up()


def act(member: Member, action: Callable[[], Any]) -> None:
    """Run an action on the thread that leads a member's reactor, and wait until it has run."""
    member.reactor.discard(action)
    member.reactor.catch_up()


def when_blocked(member: Member, action: Callable[[], Any]) -> None:
    """Run an action on the thread that leads a member's reactor, once a thread is about to wait there."""
    waiting = member.objects.waiting

    def blocks() -> None:
        waiting.before_block = None
        member.reactor.discard(action)

    waiting.before_block = blocks


def boxed(member: Session, value: Any) -> bytes:
    """Put a value, keep it for good, and return its id, by which others may ask for it."""
    ref = member.put(value)
    member.objects.references.export(ref._entry, ref)
    member.objects.references.pin(ref)
    return ref.binary()


def lend(sender: Session, receiver: Session, value: Any) -> Any:
    """Send a value from one member to another, with the messages that a value goes by; return what is unpickled."""
    members = sender, receiver
    ref = sender.put(value)
    sender.objects.references.export(ref._entry, ref)
    received = receiver.get(receiver.objects.references.obtain(ref.binary()))
    settle(*members)  # the value's own reference is given back
    return received


def end(process: Member, *others: Member) -> None:
    """End a process: its sockets close, and the node tells the others."""
    process.leave()
    for other in others:
        other.node_end.tell(messages.ProcessGone(process.process_id, "it was killed"))
    settle(*others)


def connection_from(member: Member, other: Member) -> Connection:
    """Return the connection to a member that another has made: what the other borrows is sent on it."""
    [connection] = [each for each in member.peers.incoming() if each.peer_id == other.process_id]
    return connection


def give_up(member: Member, other: Member) -> None:
    """Have a member close the connection that another has made, as where it would have to keep too many answers."""
    connection = connection_from(member, other)
    act(member, lambda: connection.close("it was out of reach for too long"))
    settle(member, other)


@contextmanager
def connection_given_up(member: Member, other: Member) -> Iterator[None]:
    """Have a member's connection to another closed for good just after it was looked up for the first time."""
    connect = member.peers.connect

    def connect_and_lose(process_id: bytes) -> Connection | None:
        member.peers.connect = connect  # type: ignore[method-assign]
        found = connect(process_id)
        give_up(other, member)
        assert found is not None
        assert found.closed
        return found

    member.peers.connect = connect_and_lose  # type: ignore[method-assign]
    yield
    assert member.peers.connect == connect, "nobody has looked it up"


@contextmanager
def handled(member: Member, kind: type) -> Iterator[list[Any]]:
    """Collect the messages of a kind that a member handles."""
    seen: list[Any] = []
    handler = member.peers.handlers[kind]

    def handle(connection: Any, message: Any) -> None:
        seen.append(message)
        handler(connection, message)

    member.peers.handlers[kind] = handle
    try:
        yield seen
    finally:
        member.peers.handlers[kind] = handler


def count(member: Session, *borrowers: Session) -> int:
    """Return how many of a member's objects others hold, once borrowers have given back what they have dropped."""
    settle(*borrowers, member)
    return member.objects.references.lent


class InThread:
    """Runs a function on another thread.

    Args:
        body: The function.
        member: What the thread waits with; the thread is about to wait there when this has been made.
    """

    def __init__(self, body: Callable[[], Any], member: Member) -> None:
        self._outcome: list[Any] = []
        self._body = body
        blocks = threading.Event()
        member.objects.waiting.before_block = blocks.set
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert blocks.wait(10)
        member.objects.waiting.before_block = None

    def _run(self) -> None:
        try:
            self._outcome.append(self._body())
        except BaseException as error:
            self._outcome.append(error)

    @property
    def ident(self) -> int:
        """The thread's identifier."""
        assert self._thread.ident is not None
        return self._thread.ident

    def result(self) -> Any:
        """Wait for its end; return what it has returned or raised."""
        self._thread.join(10)
        return self._outcome.pop()


class Stream:
    """A generator's call. The test speaks for its worker.

    Attributes:
        generator: What `.remote()` has returned.
        call: The call.
        inbox: Where its values arrive.
        told: What the worker was told.
    """

    def __init__(self, member: Session, num_returns: int = STREAMING, backpressure: int = -1) -> None:
        self._member = member
        number = next(member.numbers)
        self.call, result = make_call(member.objects, number, num_returns, None, None, None)
        self.call.connection = self  # type: ignore[assignment] # takes what the worker is told
        self.generator: ObjectRefGenerator[Any] = open_stream(
            member.objects, self.call, num_returns, backpressure, result
        )
        assert self.call.stream is not None
        self.inbox = self.call.stream
        self.told: list[Any] = []

    def send(self, message: Any) -> None:
        self.told.append(message)

    def yields(self, *values: Any) -> None:
        """The worker has yielded."""
        for value in values:
            act(self._member, lambda value=value: self._arrive(value))

    def _arrive(self, value: Any) -> None:
        self.inbox.arrive(self.inbox.received + 1, self._member.objects.values.hold(value))

    def raises(self, error: BaseException) -> None:
        """The generator has raised."""
        act(self._member, lambda: self.inbox.fail(Held(failure(error), error=True)))

    def ends(self) -> None:
        """The generator has returned."""
        act(self._member, self.inbox.end)

    def read(self, number: int) -> list[Any]:
        """Read so many values from the generator."""
        return read(self._member, self.generator, number)

    def drop(self) -> None:
        """Drop the generator, and wait for what follows."""
        del self.generator
        settle(self._member)


def read(member: Session, generator: ObjectRefGenerator[Any], number: int) -> list[Any]:
    """Read so many values from a generator that a member has."""
    return [member.get(generator._next_sync(10)) for _ in range(number)]


def remote_reader(generator: ObjectRefGenerator[Any]) -> RemoteReader:
    """Return a borrowed generator's hold on its stream."""
    reader = generator._entry
    assert isinstance(reader, RemoteReader)
    return reader
