"""Messages between two sessions or workers."""

# Mutable defaults: msgspec copies them for each message.
# ruff: noqa: RUF012

from typing import Union

from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.local.wire.messages.inspection import AskInspection, Inspection
from nbactors.local.wire.messages.message import Count, Hello, Message


class Segment(Message, tag=60, frozen=True):
    """A value in shared memory.

    Attributes:
        segment_id: The sender's number for the receiver's hold. The receiver sends it back in `ReleaseSegment`.
        arena: The sender's number for the arena, which an `Arena` has announced before.
        offset: The first byte in the arena.
        size: Bytes of the value.
        spans: `(offset, length)` of the pickle stream, then of each out-of-band buffer.
    """

    segment_id: int
    arena: int
    offset: int
    size: int
    spans: list[tuple[int, int]]


class Value(Message, tag=61, frozen=True):
    """A pickled value.

    Attributes:
        data: The pickle stream; empty when `segment` holds it.
        buffers: Its out-of-band buffers, if all are small enough for a message. So small arrays are read-only, too,
            like large ones, which are mapped.
        refs: Object ids of the references inside; the receiver has one borrow token for each.
        actors: Actor ids of the handles inside. Behind each is the tag of the node that has counted one hold token for
            the receiver.
        error: Whether the value is an exception that `get` raises.
    """

    data: bytes
    refs: list[bytes] = []
    actors: list[bytes] = []
    segment: Segment | None = None
    error: bool = False
    buffers: list[bytes] = []


class Construct(Message, tag=62, frozen=True):
    """Creator to a new actor: the class and the constructor's arguments. Calls wait until it has arrived.

    Attributes:
        is_async: Whether its methods run on event loops.
        max_concurrency: Of the default group.
        groups: How many calls each other concurrency group runs at the same time.
        origin, submitted, parent: See `Call`.
    """

    actor_id: bytes
    cls: Value
    args: Value
    deps: list[tuple[int | str, Value]]
    is_async: bool = False
    max_concurrency: int = 1
    groups: dict[str, int] = {}
    origin: int = 0
    submitted: float = 0.0
    parent: bytes = b""


class Call(Message, tag=63, frozen=True):
    """Call an actor's method. The returned objects are the returns 0, 1 and so on of the caller's call `number`.

    Attributes:
        data: Pickled `(args, kwargs)`; empty for no arguments.
        num_returns: How many values the result is split into; or STREAMING or DYNAMIC, see `definitions.metadata`.
        deps: Values of top-level reference arguments, by position or keyword; None, which is cheaper, for none.
        rest: The `Value` fields of the arguments, if there is more than `data`.
        group: The concurrency group; empty for the default one.
        backpressure: How many yielded values may be unread before the generator pauses; -1 for any number.
        origin: Where the call's output is shown: the session's job id in the upper half, the number of its cell in the
            lower half; 0 for the worker's own session.
        retry_exceptions: As in `Run`.
        submitted: When the caller has made the call, on the monotonic clock. 0 if the call has no task events.
        parent: The id of the call that has made this call; empty for none.
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
    retry_exceptions: bytes = b""
    submitted: float = 0.0
    parent: bytes = b""


class Define(Message, tag=64, frozen=True):
    """A function that later `Run` messages on this connection name by its `key`.

    Attributes:
        max_calls: How often a worker may run it before the worker exits; 0 for no limit.
    """

    key: bytes
    function: Value
    max_calls: int = 0


class Undefine(Message, tag=82, frozen=True):
    """The function with this key is no longer needed: all its calls on this connection have returned."""

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
    submitted: float = 0.0
    parent: bytes = b""


class Reply(Message, tag=66, frozen=True):
    """The result of a call that returned one small value."""

    number: int
    data: bytes


class Results(Message, tag=67, frozen=True):
    """The result of a call for which `Reply` does not suffice: several values, errors, segments, references inside."""

    number: int
    values: list[Value]
    retriable: bool = False


class GivenBack(Message, tag=68, frozen=True):
    """A leased worker gives back calls that it has not started.

    Attributes:
        numbers: The calls that wait behind a long one.
        is_spent: Whether the worker runs no more calls. Then all calls without an answer are given back.
    """

    numbers: list[int]
    is_spent: bool = False


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
    """To the owner: the sender has no reference any more, and gives back its tokens."""

    object_id: bytes
    tokens: int


class ReleaseSegment(Message, tag=73, frozen=True):
    """Receiver to sender of a segment: it reads the value no more, so the block may be reused."""

    segment_id: int


class Arena(Message, tag=83, frozen=True):
    """An arena of shared memory; its descriptor is sent beside the frame. Comes before the first value in it.

    Attributes:
        arena: The sender's number for it.
        size: Its bytes.
        has_fd: Whether there is a descriptor. A sender that has lost it on the way from the owner has none.
    """

    arena: int
    size: int
    has_fd: bool = True


class ForgetArena(Message, tag=84, frozen=True):
    """The sender has closed an arena: no further value lies in it."""

    arena: int


class AskArena(Message, tag=85, frozen=True):
    """The descriptor of an arena did not arrive: send the `Arena` again."""

    arena: int


class Cancel(Message, tag=74, frozen=True):
    """Cancel an unfinished call that was sent on this connection.

    Attributes:
        mode: The effect on the call.
        recursive: Whether to cancel the calls that it has made, too.
        timeout_s: The time limit of the call, for the mode TIMEOUT.
        text: The cause, for the mode MEMORY.
    """

    number: int
    mode: CancelMode
    recursive: bool
    timeout_s: float = 0.0
    text: str = ""


class CancelObject(Message, tag=75, frozen=True):
    """A borrower asks the owner to cancel the call that makes an object."""

    object_id: bytes
    force: bool
    recursive: bool
    interrupt: bool


class Yielded(Message, tag=76, frozen=True):
    """Worker to caller: a generator has yielded. `value` is set if `data` does not suffice; `index` counts from 1."""

    number: int
    index: int
    data: bytes
    value: Value | None = None


class Consumed(Message, tag=77, frozen=True):
    """Caller to worker: how many yielded values were read by now. Sent only with backpressure."""

    number: int
    count: int


class StopStream(Message, tag=78, frozen=True):
    """Caller to worker: the generator's values are not read any more; close it."""

    number: int


class AskNext(Message, tag=79, frozen=True):
    """A process that was handed a generator (object `stream_id`) asks its owner for the next reference, a `Next`."""

    stream_id: bytes


class Next(Message, tag=80, frozen=True):
    """The next reference of a generator, with its value. The receiver has one borrow token for it.

    At the end of the stream `object_id` is empty.
    """

    stream_id: bytes
    object_id: bytes
    value: Value | None = None


class PutBack(Message, tag=81, frozen=True):
    """The sender will not read the reference that it has got by `Next`. The owner hands it to the next reader."""

    object_id: bytes


class AskStack(Message, tag=110, frozen=True):
    """Any process asks a worker for the stacks of its threads and calls, which go on. Answered by `StackText`."""


class StackText(Message, tag=111, frozen=True):
    """The stacks of a worker, as a text for people."""

    text: str


class AskProfile(Message, tag=150, frozen=True):
    """Any process asks a worker for samples of its stacks. Answered by `Profile` after `seconds`.

    Attributes:
        interval: Seconds between two samples.
    """

    seconds: float
    interval: float


class Profile(Message, tag=151, frozen=True):
    """The sampled stacks of a worker.

    Attributes:
        samples: How often the stacks were read.
        stacks: Each stack, from the call or thread to the innermost frame, and in how many samples it was seen.
    """

    samples: int
    stacks: list[tuple[list[str], int]]


class AskObjects(Message, tag=154, frozen=True):
    """Any process asks a session or worker for its objects. Answered by `Objects`.

    Attributes:
        limit: The most rows to send.
    """

    limit: Count


class ObjectRow(Message, tag=155, frozen=True):
    """An object as one process knows it.

    Attributes:
        size: Bytes; -1 if the process does not have the value.
        status: The state of the call that makes the object, as in Ray's `TaskStatus`; "FINISHED" also for a `put`.
        reference: Why the process keeps it, as in Ray's `ReferenceType`.
    """

    object_id: bytes
    size: int
    status: str
    reference: str


class Objects(Message, tag=156, frozen=True):
    """The objects that a process owns or borrows.

    Attributes:
        total: How many there are.
        rows: The first of these.
    """

    total: Count
    rows: list[ObjectRow]


class CancelCall(Message, tag=160, frozen=True):
    """Any process asks a caller to cancel a call, with the calls that it has made. Answered by `Canceled`.

    Attributes:
        number: The call's number.
        force, interrupt: As of `nbactors.cancel`.
    """

    number: Count
    force: bool
    interrupt: bool


class CancelJobs(Message, tag=161, frozen=True):
    """Any process asks a worker to cancel jobs, whoever has made the calls. Answered by `Canceled`.

    Attributes:
        task_id: The job, which may also wait; empty for all jobs that run.
        mode: The effect on the jobs, and the calls that they have made.
    """

    task_id: bytes
    mode: CancelMode


class Canceled(Message, tag=162, frozen=True):
    """The answer to `CancelCall` and `CancelJobs`.

    Attributes:
        count: How many calls were found that had not ended.
        is_refused: Whether nothing was done, since `force` is not for an actor's calls.
    """

    count: Count
    is_refused: bool = False


class Attach(Message, tag=112, frozen=True):
    """Sent with the Hello, in a frame that is not counted: the connection of the sender that this socket is for.

    Attributes:
        link: The sender's number of the connection.
        resume: Whether it has had, or may have had, another socket before. If so, the receiver answers with an empty
            frame, which says how many frames it has received.
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
    Arena,
    ForgetArena,
    AskArena,
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
    AskProfile,
    Profile,
    AskObjects,
    Objects,
    CancelCall,
    CancelJobs,
    Canceled,
    AskInspection,
    Inspection,
    Attach,
]
