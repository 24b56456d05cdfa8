"""What a process knows of actors, calls and objects without asking anyone: what their views and listings show."""

from __future__ import annotations

from typing import NamedTuple


class ActorFacts(NamedTuple):
    """An actor, in the eyes of a process that has a handle to it.

    Attributes:
        state: "starting", "alive", "dead", or "" where that is not known.
        pid: Its process's number, 0 where there is none, or it is not known.
        cause: Why it is dead, in one line.
        calls: How many calls this process has under way there.
    """

    state: str = ""
    pid: int = 0
    cause: str = ""
    calls: int = 0


class CallFacts(NamedTuple):
    """A call that has not returned, in the eyes of who made it.

    Attributes:
        label: What is called, such as `Counter.increment`.
        actor_id: Empty for a task.
        sent: Whether it is on its way to its worker, or there; else it waits here.
        plain: Whether it is a method that runs on a thread, so that cancelling does not end it once it runs.
    """

    label: str
    actor_id: bytes
    sent: bool
    plain: bool = False


class ObjectFacts(NamedTuple):
    """An object, in the eyes of a process that has a reference to it.

    Attributes:
        state: "pending", "ready", "failed", or "" where that is not known.
        call: The call that makes it, where that is known: as long as it is under way, or if it has failed.
        size: Bytes of its value, 0 where that is elsewhere.
        error: The type and the first line of what `get` raises.
    """

    state: str = ""
    call: str = ""
    size: int = 0
    error: str = ""


class StreamFacts(NamedTuple):
    """What a generator yields, in the eyes of its reader.

    Attributes:
        state: "running", "ended", or "" where that is not known.
        call: The generator's call, while it is under way.
        unread: How many values have arrived and were not read.
    """

    state: str = ""
    call: str = ""
    unread: int = 0
