"""Messages of sessions and workers with each other."""

# Defaults that can change: msgspec makes them anew for each message.
# ruff: noqa: RUF012

from typing import Union

from nbactors.local.wire.messages.message import Hello, Message


class Segment(Message, tag=60, frozen=True):
    """A value that lies in shared memory; its descriptor travels beside the frame.

    Attributes:
        segment_id: Names it to its grantor: whoever sent this gets `ReleaseSegment` when the receiver is done.
        size: Bytes of the segment that are used.
        spans: `(offset, length)` of the pickle stream, then of each out-of-band buffer.
    """

    segment_id: int
    size: int
    spans: list[tuple[int, int]]


class Value(Message, tag=61, frozen=True):
    """A pickled value.

    Attributes:
        data: The pickle stream; empty when `segment` holds it.
        buffers: Its out-of-band buffers, when all is small enough to travel here: so arrays are read-only whatever
            their size, as those that are mapped.
        refs: Object ids of the references inside; the receiver has one borrow token for each.
        actors: Actor ids of the handles inside; the receiver has one hold token for each.
        error: The value is an exception that `get` raises.
    """

    data: bytes
    refs: list[bytes] = []
    actors: list[bytes] = []
    segment: Segment | None = None
    error: bool = False
    buffers: list[bytes] = []


class Construct(Message, tag=62, frozen=True):
    """The creator to a fresh actor: the class and the constructor's arguments. Calls wait for it."""

    actor_id: bytes
    cls: Value
    args: Value
    deps: list[tuple[int | str, Value]]


class Call(Message, tag=63, frozen=True):
    """Call an actor's method. `number` is the caller's; the returned objects are its returns 0, 1 and so on.

    Attributes:
        data: Pickled `(args, kwargs)`; empty for no arguments.
        num_returns: How many values the result is split into.
        deps: Values of top-level reference arguments, by position or keyword.
        rest: The `Value` fields of the arguments when there is more than `data`.
    """

    number: int
    method: str
    data: bytes
    num_returns: int = 1
    name: str = ""
    deps: list[tuple[int | str, Value]] = []
    rest: Value | None = None


class Define(Message, tag=64, frozen=True):
    """A function that `Run` messages on this connection will name by `key`."""

    key: bytes
    function: Value


class Run(Message, tag=65, frozen=True):
    """Run a task."""

    number: int
    key: bytes
    data: bytes
    num_returns: int = 1
    name: str = ""
    deps: list[tuple[int | str, Value]] = []
    rest: Value | None = None
    retry_exceptions: bytes = b""
    lease_id: int = 0


class Reply(Message, tag=66, frozen=True):
    """The one small value that a call returned."""

    number: int
    data: bytes


class Results(Message, tag=67, frozen=True):
    """What a call returned when `Reply` does not do: several values, errors, segments, references inside."""

    number: int
    values: list[Value]
    retriable: bool = False


class GivenBack(Message, tag=68, frozen=True):
    """A leased worker gives back calls that it has not started, since the running one takes long."""

    numbers: list[int]


class Fetch(Message, tag=69, frozen=True):
    """A borrower asks the owner for a value; answered by `Fetched` when it is ready."""

    object_id: bytes


class Fetched(Message, tag=70, frozen=True):
    """`value` is None when the owner does not know the object (any more)."""

    object_id: bytes
    value: Value | None


class AddBorrow(Message, tag=71, frozen=True):
    """To the owner: the sender hands the reference to another process."""

    object_id: bytes
    process_id: bytes
    tokens: int


class ReleaseBorrow(Message, tag=72, frozen=True):
    """To the owner: the sender has no reference any more and gives back its tokens."""

    object_id: bytes
    tokens: int


class ReleaseSegment(Message, tag=73, frozen=True):
    """To the grantor: the receiver has unmapped the segment, which may be reused."""

    segment_id: int


Peer = Union[  # noqa: UP007 - msgspec reads it at run time
    Hello,
    Construct,
    Call,
    Define,
    Run,
    Reply,
    Results,
    GivenBack,
    Fetch,
    Fetched,
    AddBorrow,
    ReleaseBorrow,
    ReleaseSegment,
]
