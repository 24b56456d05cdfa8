"""The records of a history: what a submitter, an actor's process or a test has noted at one moment.

A history is a list of records in the order in which they were written. A call that was invoked and not answered is
open: it may have run or not, as in Jepsen's histories ("info").
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec

VALUE, ERROR, CANCELLED, UNAVAILABLE, DIED, FAILED, NOTHING = (
    "value",
    "error",
    "cancelled",
    "unavailable",
    "died",
    "failed",
    "nothing",
)
"""How a call has ended for its submitter.

VALUE: the run's value. ERROR: the exception that the run raised. CANCELLED: by `cancel` or a time limit. UNAVAILABLE:
the process that had the call has crashed. DIED: the actor is dead. FAILED: any other error, for instance of an
argument. NOTHING: no answer within the test's limit, so the call hangs.
"""

STOPPED = "stopped"
"""How a run has ended into which an exception came that is none of its own: KeyboardInterrupt, CancelledError."""

OUTCOMES = (VALUE, ERROR, CANCELLED, UNAVAILABLE, DIED, FAILED, NOTHING)

State: TypeAlias = int | list[str]
"""What an actor's state contains: the number of calls that have changed it, or the list of their names, `str(call)`."""

_LONGEST = 200


class Call(msgspec.Struct, frozen=True):
    """The name of a call: pass it as an argument, so that the run can be recorded.

    Attributes:
        submitter: The name of the submitter.
        number: The number of the call among the submitter's calls, in the order of submission.
    """

    submitter: str
    number: int

    def __str__(self) -> str:
        return f"{self.submitter}/{self.number}"


class _Record(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What all records have.

    Attributes:
        pid: The process that has written the record.
        at: When, in seconds of the epoch. For the reader: the order of records is that of the list.
    """

    pid: int = 0
    at: float = 0.0

    def __str__(self) -> str:
        return f"{self.at % 1000:10.4f} pid {self.pid}: {self._text()}"

    def _text(self) -> str:
        raise NotImplementedError


class Created(_Record, frozen=True, kw_only=True):
    """An actor is about to be created. `max_restarts` as in the actor's options."""

    actor: str
    max_restarts: int = 0

    def _text(self) -> str:
        return f"actor {self.actor} is created, max_restarts={self.max_restarts}"


class Born(_Record, frozen=True, kw_only=True):
    """A process of an actor has begun its life, which is one incarnation.

    Attributes:
        actor: The actor's name.
        life: The id of the incarnation.
        state: What the state contains at the beginning: 0 or [] from the constructor, more from a checkpoint.
    """

    actor: str
    life: str
    state: State = 0

    def _text(self) -> str:
        return f"actor {self.actor} is born as {self.life} with state {self.state}"


class Saved(_Record, frozen=True, kw_only=True):
    """A checkpoint of an actor's state was saved for good."""

    actor: str
    state: State

    def _text(self) -> str:
        return f"the state of {self.actor} is saved: {self.state}"


class Killed(_Record, frozen=True, kw_only=True):
    """The test has killed a process. `victim` is its pid, `what` its kind or name."""

    victim: int
    what: str = ""

    def _text(self) -> str:
        return f"pid {self.victim} is killed ({self.what})"


class Invoked(_Record, frozen=True, kw_only=True):
    """A submitter is about to make a call.

    Attributes:
        call: The call.
        target: The name of the actor, or of the kind of task.
        method: For the reader.
        retries: How often the call may run again, -1 for any number.
        lane: Calls of one submitter to one actor and lane start in the order of submission; None for no order.
    """

    call: Call
    target: str
    method: str = ""
    retries: int = 0
    lane: str | None = ""

    def _text(self) -> str:
        return f"{self.call} is made: {self.target}.{self.method}, retries={self.retries}"


class Begun(_Record, frozen=True, kw_only=True):
    """A run of a call has begun.

    Attributes:
        call: The call.
        life: The incarnation that runs the call; "" for a task.
        changes: Whether the run changes the state once if it returns.
    """

    call: Call
    life: str = ""
    changes: bool = False

    def _text(self) -> str:
        return f"{self.call} begins in {self.life or 'a task'}"


class Ended(_Record, frozen=True, kw_only=True):
    """A run of a call has ended. A run of a process that was killed does not.

    Attributes:
        call: The call.
        life: The incarnation that has run the call; "" for a task.
        outcome: VALUE, ERROR or STOPPED.
        value: What the run returned or raised, see `describe`.
        state: The state that the run saw before its own change; None if it looked at none.
    """

    call: Call
    life: str = ""
    outcome: str = VALUE
    value: str = "None"
    state: State | None = None

    def _text(self) -> str:
        saw = f", which saw state {self.state}" if self.state is not None else ""
        return f"{self.call} ends in {self.life or 'a task'} with {self.outcome} {self.value}{saw}"


class Answered(_Record, frozen=True, kw_only=True):
    """The submitter has got the answer to a call. `outcome` is one of OUTCOMES, `value` as in `Ended`."""

    call: Call
    outcome: str = VALUE
    value: str = ""

    def _text(self) -> str:
        return f"{self.call} is answered: {self.outcome} {self.value}"


class Left(_Record, frozen=True, kw_only=True):
    """A submitter has got the answers to all its calls. A submitter that was killed does not write this record."""

    submitter: str

    def _text(self) -> str:
        return f"{self.submitter} leaves"


Record: TypeAlias = Created | Born | Saved | Killed | Invoked | Begun | Ended | Answered | Left

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def describe(value: Any) -> str:
    """Return the text by which records name a value: its `repr`, or the beginning of it with a digest."""
    text = repr(value)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}... {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def encode(record: Record) -> bytes:
    """Return a line for a file to which many processes append.

    The line begins with a line break, too, so that the piece of a record that a killed process has left does not spoil
    the next record.
    """
    return b"\n" + _encoder.encode(record) + b"\n"


def decode(lines: Iterable[bytes]) -> list[Record]:
    """Return the records of lines. A piece of a record is left out: its process was killed while it wrote."""
    found: list[Record] = []
    for line in lines:
        if line.strip():
            try:
                found.append(_decoder.decode(line))
            except msgspec.DecodeError:
                pass
    return found
