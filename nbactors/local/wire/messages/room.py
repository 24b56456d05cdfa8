"""Messages about the memory of object stores."""

from nbactors.local.wire.messages.message import Count, Message, Pid

DEFAULT_SHARE = 0.3
"""The share of the memory for object stores, as in Ray, unless the user has named a limit."""

KEEP_ALL = 1 << 62
"""A share that leaves a process all that it uses."""


class AskRoom(Message, tag=122, frozen=True):
    """Session or worker to node: it wants to have this much memory for its object store. Answered by `Room`.

    Attributes:
        held: Bytes that it has. A node that has begun anew learns of them by this.
        wanted: Bytes that it wants to have in all; fewer than before give room back.
    """

    held: Count
    wanted: Count


class Room(Message, tag=123, frozen=True):
    """Node to session or worker: the memory that its object store may take.

    Attributes:
        lent: Bytes.
        most: The most bytes that it could ever get.
        is_named: Whether the user has named this limit in `init(object_store_memory=)`.
    """

    lent: int
    most: int
    is_named: bool = False


class AskUse(Message, tag=124, frozen=True):
    """Node to session or worker: tell what the object store takes. Answered by `StoreUse`.

    Attributes:
        number: The number of the question, which the answer repeats.
        wanted: Bytes of room to give back, as far as the store does not use them: another process lacks them.
        share: Bytes that the process keeps in any case. If it uses more, it spills and gives the rest back later.
    """

    number: Count
    wanted: Count = 0
    share: Count = KEEP_ALL


class StoreUse(Message, tag=125, frozen=True):
    """Session or worker to node: what its object store takes.

    Attributes:
        number: The number of the question.
        held: Bytes of memory.
        spilled: Bytes on disk.
        returned: Bytes of room that it has given back with this message.
    """

    number: Count
    held: Count
    spilled: Count
    returned: Count = 0


class StoreRow(Message, tag=126, frozen=True):
    """The object stores of a node or of a session in a `Listing`.

    Attributes:
        job_id: The session's; empty for the node.
        pid: The session's driver; 0 for the node.
        namespace: The session's; empty for the node.
        held: Bytes of memory that the object stores take.
        spilled: Bytes that they take on disk.
        limit: Bytes of memory that they may take.
        silent: Number of processes that have not told in time. Their last figures count, or none.
    """

    job_id: bytes
    pid: Pid
    namespace: str
    held: int
    spilled: int
    limit: int
    silent: int
