"""Facts about actors, calls and objects, for views and listings. This process knows most of them without asking."""

from __future__ import annotations

from typing import NamedTuple


class ActorFacts(NamedTuple):
    """The facts about an actor that a process with a handle to it knows.

    Attributes:
        state: "starting", "alive", "dead", or "" if unknown.
        pid: The process id, 0 if there is no process or its id is unknown.
        cause: The cause of death in one line.
        calls: Number of this process's pending calls to the actor.
        unread: Number of this process's failed calls to the actor whose errors no code has read.
    """

    state: str = ""
    pid: int = 0
    cause: str = ""
    calls: int = 0
    unread: int = 0


class CallFacts(NamedTuple):
    """The facts about a pending call that its submitter knows.

    Attributes:
        label: The name of the called method or function, such as `Counter.increment`.
        actor_id: The actor's id; empty for a task.
        sent: Whether the call was sent to its worker. Otherwise it waits in this process.
        plain: Whether it is a call of a synchronous method, which `cancel` does not stop once it runs.
    """

    label: str
    actor_id: bytes
    sent: bool
    plain: bool = False


class ObjectFacts(NamedTuple):
    """The facts about an object that a process with a reference to it knows.

    Attributes:
        state: "pending", "ready", "failed", "not fetched" if another process owns the object and was not asked for
            it yet, or "" if unknown.
        call: The label of the call that creates the object; empty if unknown, or if the call has succeeded.
        size: Size of the value in bytes, 0 if this process does not have the value.
        error: The type and the first line of the error that `get` raises.
    """

    state: str = ""
    call: str = ""
    size: int = 0
    error: str = ""


class StoreFacts(NamedTuple):
    """The object stores of all processes of a node, or of a session. The node asks the processes for these facts.

    Attributes:
        held: Bytes of memory that they take.
        spilled: Bytes of values that they have written to disk.
        limit: Bytes of memory that they may take.
        silent: Number of processes that have not answered in time, so that their last figures count.
    """

    held: int = 0
    spilled: int = 0
    limit: int = 0
    silent: int = 0


class StreamFacts(NamedTuple):
    """The facts about a generator that its reader knows.

    Attributes:
        state: "running", "ended", or "" if unknown.
        call: The label of the generator's call, while it is pending.
        unread: Number of values that have arrived and were not read.
        error: The type and the first line of the error that has ended the generator, until its reference is read.
    """

    state: str = ""
    call: str = ""
    unread: int = 0
    error: str = ""
