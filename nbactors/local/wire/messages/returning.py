"""Messages by which sessions and workers return to the next node after theirs has crashed.

The next node knows nothing. Each process declares what its last node knew of it: `Rejoin` first, then a `Created` for
each actor that it has created, a `Leased` for each worker that it has leased, an `AddHold` for each actor of which it
has handles, and `Restored` at the end. Then it sends the requests that are open, a `Watch` for each process that it
watches, and of itself what the last node was told once: `Ending` and `Spent`.
"""

from nbactors.local.wire.messages.control import Assign, CreateActor, Home, RequestLease
from nbactors.local.wire.messages.message import Count, Message, Name, Pid, ProcessId


class Rejoin(Message, tag=130, frozen=True):
    """Process to node: which process returns.

    Attributes:
        home: Its session, None if it had not opened one.
        assign: The last assignment of a worker, None for a session or for a worker that had none.
        constructed: Whether the constructor of the worker's actor has returned.
        label: The name of the task that the worker runs or has run last, as in `SetTitle`.
        blocked: Whether the worker waits in a task, so that its CPUs may be lent.
    """

    home: Home | None
    assign: Assign | None = None
    constructed: bool = False
    label: Name = ""
    blocked: bool = False


class Created(Message, tag=131, frozen=True):
    """Process to node: an actor that it has created, and that is not dead as far as it knows.

    Attributes:
        creation: The request that has created the actor.
        restarts: How often the actor was restarted, as far as the creator knows.
        process_id, pid: The worker that is the actor; empty and 0 if it was not up.
    """

    creation: CreateActor
    restarts: Count
    process_id: ProcessId
    pid: Pid


class Leased(Message, tag=132, frozen=True):
    """Process to node: a worker that it has leased and not returned."""

    asked: RequestLease
    lease_id: Count
    process_id: ProcessId
    pid: Pid


class Restored(Message, tag=133, frozen=True):
    """Process to node: it has declared everything."""


class NodeStopped(Message, tag=134, frozen=True):
    """Node to session or worker: the node was told to stop. It has not crashed, so no process starts the next node."""

    text: str
