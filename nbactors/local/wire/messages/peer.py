"""Messages of sessions and workers with each other."""

# Defaults that can change: msgspec makes them anew for each message.
# ruff: noqa: RUF012

from typing import Union

from nbactors.local.wire.cancel_mode import CancelMode
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
    """The creator to a fresh actor: the class and the constructor's arguments. Calls wait for it.

    Attributes:
        is_async: Its methods run on event loops.
        max_concurrency: Of the default group.
        groups: How many calls each other concurrency group runs at the same time.
        origin: See `Call`.
    """

    actor_id: bytes
    cls: Value
    args: Value
    deps: list[tuple[int | str, Value]]
    is_async: bool = False
    max_concurrency: int = 1
    groups: dict[str, int] = {}
    origin: int = 0


class Call(Message, tag=63, frozen=True):
    """Call an actor's method. `number` is the caller's; the returned objects are its returns 0, 1 and so on.

    Attributes:
        data: Pickled `(args, kwargs)`; empty for no arguments.
        num_returns: How many values the result is split into; or STREAMING or DYNAMIC, see `definitions.metadata`.
        deps: Values of top-level reference arguments, by position or keyword; None, which costs less, for none.
        rest: The `Value` fields of the arguments when there is more than `data`.
        group: The concurrency group; empty for the default one.
        backpressure: How many yielded values may be unread before the generator pauses; -1 for any number.
        origin: What shows the call's output: the session's job id in the upper half, the number of its cell in the
            lower; 0 for the session that the worker belongs to.
    """

    number: int
    method: str
    data: bytes
    num_returns: int = 1
    name: str = ""
    deps: list[tuple[int | str, Value]] | None = None
    rest: Value | None = None
    group: str = ""
    backpressure: int = -1
    origin: int = 0


class Define(Message, tag=64, frozen=True):
    """A function that `Run` messages on this connection will name by `key`."""

    key: bytes
    function: Value


class Undefine(Message, tag=82, frozen=True):
    """The function of this key is needed no more: all calls of it on this connection have returned."""

    key: bytes


class Run(Message, tag=65, frozen=True):
    """Run a task."""

    number: int
    key: bytes
    data: bytes
    num_returns: int = 1
    name: str = ""
    deps: list[tuple[int | str, Value]] | None = None
    rest: Value | None = None
    retry_exceptions: bytes = b""
    lease_id: int = 0
    backpressure: int = -1
    origin: int = 0


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


class Cancel(Message, tag=74, frozen=True):
    """Cancel a call that was sent before on this connection, if it is not finished.

    Attributes:
        mode: What that does to it.
        recursive: Cancel what it has called as well.
        timeout_s: What the call was given, for TIMEOUT.
    """

    number: int
    mode: CancelMode
    recursive: bool
    timeout_s: float = 0.0


class CancelObject(Message, tag=75, frozen=True):
    """A borrower asks the owner to cancel the call that makes an object."""

    object_id: bytes
    force: bool
    recursive: bool
    interrupt: bool


class Yielded(Message, tag=76, frozen=True):
    """The worker to the caller: a generator has yielded. `value` where `data` does not do; `index` counts from 1."""

    number: int
    index: int
    data: bytes
    value: Value | None = None


class Consumed(Message, tag=77, frozen=True):
    """The caller to the worker: so many of the yielded values were read by now. Sent only with backpressure."""

    number: int
    count: int


class StopStream(Message, tag=78, frozen=True):
    """The caller to the worker: nobody reads what the generator yields any more; close it."""

    number: int


class AskNext(Message, tag=79, frozen=True):
    """Whoever was handed a generator asks its owner for the next reference; answered by `Next`.

    Attributes:
        stream_id: The id of the object that stands for the generator.
    """

    stream_id: bytes


class Next(Message, tag=80, frozen=True):
    """The next reference of a generator, with its value; the receiver has one borrow token for it.

    Attributes:
        object_id: Empty at the end of the stream.
    """

    stream_id: bytes
    object_id: bytes
    value: Value | None = None


class PutBack(Message, tag=81, frozen=True):
    """Whoever has asked for a reference of a generator will not read it: it is the next for those who still do.

    Attributes:
        object_id: As `Next` has named it.
    """

    object_id: bytes


class AskStack(Message, tag=110, frozen=True):
    """Anybody asks a worker what its threads and calls do now; answered by `StackText` without stopping them."""


class StackText(Message, tag=111, frozen=True):
    """What a worker does, for people to read."""

    text: str


class Attach(Message, tag=112, frozen=True):
    """With the Hello, in a frame that is not counted: which connection of the sender's this socket is for.

    Attributes:
        link: The sender's number for it.
        resume: It had another socket before, or may have had: answered by an empty frame, which tells what was
            received.
        received: How many frames the sender has received.
    """

    link: int
    resume: bool
    received: int


Peer = Union[  # noqa: UP007 - msgspec reads it at run time
    Hello,
    Construct,
    Call,
    Define,
    Undefine,
    Run,
    Reply,
    Results,
    GivenBack,
    Fetch,
    Fetched,
    AddBorrow,
    ReleaseBorrow,
    ReleaseSegment,
    Cancel,
    CancelObject,
    Yielded,
    Consumed,
    StopStream,
    AskNext,
    Next,
    PutBack,
    AskStack,
    StackText,
    Attach,
]
