"""Every message of the local engine, typed. No I/O here.

Two conversations share one framing (`framing.py`):

- *control*: a client (session, worker, command line) with the node daemon. Small, bounded, no user value in it:
  what is opaque to the node (`meta`, `text`) it only stores and passes on.
- *peer*: two sessions or workers with each other. Carries pickled user values, so it is read only from processes
  of the same user.

A frame holds a msgpack array of messages, so that a burst is encoded and decoded by one call. The structs are tagged
arrays: a message costs its fields and a few bytes. Change `PROTOCOL_VERSION` whenever a field changes.
"""

from typing import Union

import msgspec

PROTOCOL_VERSION = 2


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Base of all messages."""


# --------------------------------------------------------------------------------------------------------- control
# Requests carry `rid`, a number that the client chooses; the answer carries it back. Messages without `rid` are
# one-way. The node answers every request, with `Refused` when it cannot be met.


class Hello(Message, tag=1):
    """First message of every connection, in both conversations.

    Attributes:
        version: The sender's `PROTOCOL_VERSION`.
        process_id: 16 bytes; a worker's are chosen by the node, a session's by itself; empty for the command line.
        pid: The operating system's process id.
        role: "session", "worker", "cli" or "peer".
        package_version: nbactors' own version, for the message that tells of a mismatch.
    """

    version: int
    process_id: bytes
    pid: int
    role: str
    package_version: str


class Welcome(Message, tag=2):
    """The node's answer to `Hello`."""

    version: int
    node_id: bytes
    pid: int
    package_version: str


class Refused(Message, tag=3):
    """A request, or with rid 0 a connection, that cannot be served.

    Attributes:
        kind: What kind of error the client raises: "value", "type", "runtime", "version", or "taken" for a name.
        text: The whole message for the user.
    """

    rid: int
    kind: str
    text: str


class Done(Message, tag=4):
    """A request was carried out and has nothing to return."""

    rid: int


class Environment(Message, tag=5):
    """What a forkserver must share with the session: equal values share one forkserver.

    Attributes:
        executable: Path of the Python interpreter.
        sys_path: The session's `sys.path`, in order.
        cwd: Working directory.
        environ: Environment variables.
    """

    executable: str
    sys_path: list[str]
    cwd: str
    environ: dict[str, str]


class OpenSession(Message, tag=6):
    """A driver joins. Answered by `SessionOpened` or `Refused`.

    Attributes:
        namespace: Empty for an anonymous one.
        num_cpus, num_gpus: -1 to detect.
        memory, object_store_memory: Bytes, -1 to detect.
        resources: Custom resources, name to amount.
        log_to_driver: Whether `Output` messages are wanted.
        graceful_shutdown_s: Seconds an actor may take to end gracefully (`__ray_shutdown__`).
    """

    rid: int
    namespace: str
    environment: Environment
    num_cpus: float
    num_gpus: float
    memory: float
    object_store_memory: float
    resources: dict[str, float]
    log_to_driver: bool
    graceful_shutdown_s: float


class SessionOpened(Message, tag=7):
    """`namespace` is the one asked for, or the anonymous one (a fresh UUID) that was made."""

    rid: int
    job_id: bytes
    namespace: str
    detected_gpus: list[str]


class CloseSession(Message, tag=8):
    """A driver leaves; answered by `Done` when its actors have ended and their output was sent."""

    rid: int


class RuntimeEnv(Message, tag=9):
    """The part of Ray's runtime_env that is served; applied in the worker after the fork."""

    env_vars: dict[str, str]
    working_dir: str
    py_modules: list[str]


class CreateActor(Message, tag=10):
    """Place an actor. With `name`, `rid` is not 0 and is answered by `ActorNamed` or `Refused`; else no answer.

    The creator gets `ActorUp` when the actor's worker listens, and then sends it `Construct` itself.

    Attributes:
        actor_id: 16 bytes, chosen by the creator.
        class_name: For listings and process titles.
        name, namespace: Empty name: unnamed. Empty namespace: the session's.
        get_if_exists: Answer with the existing actor of that name, if there is one.
        detached: Outlives the session.
        placement: Resources that must be free for it to be placed ({"CPU": 1.0} by default).
        resources: Resources it holds for life; "GPU" may be fractional.
        runtime_env: None for none.
        sys_path, cwd: As the session's are now, if they changed since `OpenSession`; empty if not.
        meta: Opaque: what `get_actor` needs to make a handle (pickled by the creator, unpickled by the finder).
    """

    rid: int
    actor_id: bytes
    class_name: str
    name: str
    namespace: str
    get_if_exists: bool
    detached: bool
    placement: dict[str, float]
    resources: dict[str, float]
    runtime_env: RuntimeEnv | None
    sys_path: list[str]
    cwd: str
    meta: bytes


class ActorNamed(Message, tag=11):
    """Answer to `CreateActor` with a name and to `GetActor`; the asker has become a holder, with one token.

    Attributes:
        created: True when this request created it, so the asker must send `Construct`.
    """

    rid: int
    actor_id: bytes
    created: bool
    meta: bytes


class GetActor(Message, tag=12):
    """Find a named actor. Answered by `ActorNamed`, or `Refused` ("value": Failed to look up actor …)."""

    rid: int
    name: str
    namespace: str


class ActorUp(Message, tag=13):
    """To every holder, and to whoever becomes one: the actor's worker listens on socket `p/<process id hex>`."""

    actor_id: bytes
    process_id: bytes
    pid: int


class ActorDown(Message, tag=14):
    """To every holder, and to whoever becomes one: the actor is dead for good.

    Attributes:
        kind: "killed", "out_of_scope", "exit" (exit_actor, __ray_terminate__), "creation_failed", "crashed",
            "owner_died", "session_ended", "node_stopped", "unknown".
        text: The cause, for the user: what happened, signal, last lines of stderr, constructor's traceback.
        class_name, name, pid: For the message.
    """

    actor_id: bytes
    kind: str
    text: str
    class_name: str
    name: str
    pid: int


class AddHold(Message, tag=15):
    """The sender hands a handle of `actor_id` to process `process_id`: count `tokens` more for that process.

    Sent on the sender's own control connection before the handle travels, thus before the sender's own release.
    """

    actor_id: bytes
    process_id: bytes
    tokens: int


class ReleaseHold(Message, tag=16):
    """The sender has no handle of the actor any more; it gives back all the tokens that it knows of."""

    actor_id: bytes
    tokens: int


class KillActor(Message, tag=17):
    """`ray.kill`. Answered by `Done` once the name is free and calls fail, or `Refused`."""

    rid: int
    actor_id: bytes
    no_restart: bool


class ActorConstructed(Message, tag=18):
    """Worker to node: the constructor has returned."""

    actor_id: bytes


class Ending(Message, tag=19):
    """Worker to node, last message before it exits on purpose.

    Attributes:
        kind: "exit", "out_of_scope", "creation_failed" or "crashed" (`sys.exit(1)` in a method).
        text: The cause, for the user.
    """

    kind: str
    text: str


class Terminate(Message, tag=20):
    """Node to worker: end gracefully (finish queued calls, `__ray_shutdown__`, atexit handlers).

    Attributes:
        kind: The `ActorDown` kind this will become. Two are conditional: "idle" is for a spare task worker, which ends
            when nobody needs the values that it owns; "creator_gone" for an actor, which ends if it got no `Construct`.
    """

    kind: str


class RequestLease(Message, tag=21):
    """A process wants one more worker for its tasks; answered by `LeaseGranted` when one is free, however late.

    Attributes:
        resources: What a task of this kind holds while it runs.
        label: Function name, for warnings.
    """

    rid: int
    resources: dict[str, float]
    runtime_env: RuntimeEnv | None
    label: str
    sys_path: list[str]
    cwd: str


class LeaseGranted(Message, tag=22):
    """A worker is the asker's until `ReturnLease`; it listens on socket `p/<process id hex>`.

    Attributes:
        lease_id: Names it in `Assign`, `Run` and `ReturnLease`.
    """

    rid: int
    lease_id: int
    process_id: bytes
    pid: int


class CancelLease(Message, tag=23):
    """Withdraw a `RequestLease` that was not granted yet. A grant that crosses it must be returned."""

    rid: int


class ReturnLease(Message, tag=24):
    """Give a leased worker back."""

    lease_id: int


class LeaseLost(Message, tag=25):
    """To the lease's holder: the worker died; its calls in flight fail or are retried.

    Attributes:
        text: The cause, for the user.
    """

    lease_id: int
    process_id: bytes
    text: str


class Assign(Message, tag=26):
    """Node to worker, before its first call and with each lease: what it is and what it holds.

    Attributes:
        lease_id: The lease of a task worker, 0 for an actor. Tasks name theirs, and wait for this message: it takes
            another way than they do, and may come later.
        actor_id: Empty for a task worker.
        gpu_ids: As strings, as they stand in CUDA_VISIBLE_DEVICES.
        resources: What it holds.
    """

    actor_id: bytes
    class_name: str
    name: str
    namespace: str
    job_id: bytes
    gpu_ids: list[str]
    resources: dict[str, float]
    runtime_env: RuntimeEnv | None
    graceful_shutdown_s: float
    lease_id: int = 0


class Blocked(Message, tag=27):
    """Worker to node: it waits in `get` or `wait`; its CPUs may be lent."""


class Unblocked(Message, tag=28):
    """Worker to node: it runs again (its CPUs are taken back, overbooking them if they are lent)."""


class Watch(Message, tag=29):
    """Ask for `ProcessGone` when that process dies (at once if it has, or if it is unknown)."""

    process_id: bytes


class ProcessGone(Message, tag=30):
    """The process's control connection has closed."""

    process_id: bytes
    text: str


class Output(Message, tag=31):
    """Lines that a worker printed, to the session that it belongs to.

    Attributes:
        label: The actor's class name, or name, or the task's function name.
        stream: 1 for stdout, 2 for stderr.
        text: One or more whole lines, or the unfinished last line of a worker that has ended.
    """

    pid: int
    label: str
    stream: int
    text: str
    process_id: bytes


class Warn(Message, tag=32):
    """Text that the session shows to the user as a warning (for instance a request that can never be met)."""

    text: str


class Query(Message, tag=33):
    """Ask for a listing; answered by `Listing`.

    Attributes:
        what: "actors", "named_actors", "available_resources", "cluster_resources", "nodes", "status".
        all_namespaces: For "named_actors".
    """

    rid: int
    what: str
    all_namespaces: bool = False


class ActorRow(Message, tag=34):
    """One actor in a `Listing`."""

    actor_id: bytes
    class_name: str
    name: str
    namespace: str
    state: str
    pid: int
    detached: bool
    job_id: bytes
    resources: dict[str, float]
    death_cause: str
    log_path: str


class Listing(Message, tag=35):
    """Answer to `Query`.

    Attributes:
        actors: For "actors", "named_actors" and "status".
        amounts: For the resource queries.
        facts: For "nodes" and "status": text by name.
    """

    rid: int
    actors: list[ActorRow]
    amounts: dict[str, float]
    facts: dict[str, str]


class Stop(Message, tag=36):
    """`nbactors stop`: end everything, then the node. Answered by `Done` when all workers are gone."""

    rid: int
    force: bool = False


class FetchLog(Message, tag=37):
    """`nbactors logs NAME`: where an actor's log lies. Answered by `Listing` with matching actors."""

    rid: int
    name: str


class SetTitle(Message, tag=38):
    """Worker to node: the label of what it runs (a task's name), for the prefix of its output."""

    label: str


# ------------------------------------------------------------------------------------------------ node ↔ forkserver


class Fork(Message, tag=50):
    """Fork a worker. Two descriptors travel with it: the write ends of its stdout and stderr.

    Attributes:
        process_id: The worker's.
        directory: The node's private directory: the worker connects to `node.sock` there and listens in `p/`.
        sys_path, cwd: Empty when they are the forkserver's own.
    """

    process_id: bytes
    directory: str
    title: str
    sys_path: list[str]
    cwd: str
    runtime_env: RuntimeEnv | None


class Forked(Message, tag=51):
    """The worker's process id (`pid` 0: the fork failed, `text` says why)."""

    process_id: bytes
    pid: int
    text: str


class Exited(Message, tag=52):
    """A worker has ended.

    Attributes:
        status: As `os.waitstatus_to_exitcode` gives it: negative for a signal.
    """

    process_id: bytes
    pid: int
    status: int


# ------------------------------------------------------------------------------------------------------------- peer


class Segment(Message, tag=60):
    """A value that lies in shared memory; its descriptor travels beside the frame.

    Attributes:
        segment_id: Names it to its grantor: whoever sent this gets `ReleaseSegment` when the receiver is done.
        size: Bytes of the segment that are used.
        spans: `(offset, length)` of the pickle stream, then of each out-of-band buffer.
    """

    segment_id: int
    size: int
    spans: list[tuple[int, int]]


class Value(Message, tag=61):
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


class Construct(Message, tag=62):
    """The creator to a fresh actor: the class and the constructor's arguments. Calls wait for it.

    Attributes:
        is_async: Its methods run on event loops.
        max_concurrency: Of the default group.
        groups: How many calls each other concurrency group runs at the same time.
    """

    actor_id: bytes
    cls: Value
    args: Value
    deps: list[tuple[int | str, Value]]
    is_async: bool = False
    max_concurrency: int = 1
    groups: dict[str, int] = {}


class Call(Message, tag=63):
    """Call an actor's method. `number` is the caller's; the returned objects are its returns 0, 1 and so on.

    Attributes:
        data: Pickled `(args, kwargs)`; empty for no arguments.
        num_returns: How many values the result is split into; or STREAMING or DYNAMIC, see nbactors.meta.
        deps: Values of top-level reference arguments, by position or keyword.
        rest: The `Value` fields of the arguments when there is more than `data`.
        group: The concurrency group; empty for the default one.
        backpressure: How many yielded values may be unread before the generator pauses; -1 for any number.
    """

    number: int
    method: str
    data: bytes
    num_returns: int = 1
    name: str = ""
    deps: list[tuple[int | str, Value]] = []
    rest: Value | None = None
    group: str = ""
    backpressure: int = -1


class Define(Message, tag=64):
    """A function that `Run` messages on this connection will name by `key`."""

    key: bytes
    function: Value


class Run(Message, tag=65):
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
    backpressure: int = -1


class Reply(Message, tag=66):
    """The one small value that a call returned."""

    number: int
    data: bytes


class Results(Message, tag=67):
    """What a call returned when `Reply` does not do: several values, errors, segments, references inside."""

    number: int
    values: list[Value]
    retriable: bool = False


class GivenBack(Message, tag=68):
    """A leased worker gives back calls that it has not started, since the running one takes long."""

    numbers: list[int]


class Fetch(Message, tag=69):
    """A borrower asks the owner for a value; answered by `Fetched` when it is ready."""

    object_id: bytes


class Fetched(Message, tag=70):
    """`value` is None when the owner does not know the object (any more)."""

    object_id: bytes
    value: Value | None


class AddBorrow(Message, tag=71):
    """To the owner: the sender hands the reference to another process."""

    object_id: bytes
    process_id: bytes
    tokens: int


class ReleaseBorrow(Message, tag=72):
    """To the owner: the sender has no reference any more and gives back its tokens."""

    object_id: bytes
    tokens: int


class ReleaseSegment(Message, tag=73):
    """To the grantor: the receiver has unmapped the segment, which may be reused."""

    segment_id: int


class Cancel(Message, tag=74):
    """Cancel a call that was sent before on this connection, if it is not finished.

    Attributes:
        mode: "cancel"; "force": end the process if the task runs; "interrupt": raise in a synchronous method;
            "timeout": like "interrupt", and the error tells that the time was up.
        recursive: Cancel what it has called as well.
        timeout_s: What the call was given, for "timeout".
    """

    number: int
    mode: str
    recursive: bool
    timeout_s: float = 0.0


class CancelObject(Message, tag=75):
    """A borrower asks the owner to cancel the call that makes an object."""

    object_id: bytes
    force: bool
    recursive: bool
    interrupt: bool


class Yielded(Message, tag=76):
    """The worker to the caller: a generator has yielded. `value` where `data` does not do; `index` counts from 1."""

    number: int
    index: int
    data: bytes
    value: Value | None = None


class Consumed(Message, tag=77):
    """The caller to the worker: so many of the yielded values were read by now. Sent only with backpressure."""

    number: int
    count: int


class StopStream(Message, tag=78):
    """The caller to the worker: nobody reads what the generator yields any more; close it."""

    number: int


class AskNext(Message, tag=79):
    """Whoever was handed a generator asks its owner for the next reference; answered by `Next`.

    Attributes:
        stream_id: The id of the object that stands for the generator.
    """

    stream_id: bytes


class Next(Message, tag=80):
    """The next reference of a generator, with its value; the receiver has one borrow token for it.

    Attributes:
        object_id: Empty at the end of the stream.
    """

    stream_id: bytes
    object_id: bytes
    value: Value | None = None


Control = Union[  # noqa: UP007 - msgspec reads it at run time
    Hello,
    Welcome,
    Refused,
    Done,
    OpenSession,
    SessionOpened,
    CloseSession,
    CreateActor,
    ActorNamed,
    GetActor,
    ActorUp,
    ActorDown,
    AddHold,
    ReleaseHold,
    KillActor,
    ActorConstructed,
    Ending,
    Terminate,
    RequestLease,
    LeaseGranted,
    CancelLease,
    ReturnLease,
    LeaseLost,
    Assign,
    Blocked,
    Unblocked,
    Watch,
    ProcessGone,
    Output,
    Warn,
    Query,
    Listing,
    Stop,
    FetchLog,
    SetTitle,
]

ForkMessage = Union[Fork, Forked, Exited]  # noqa: UP007

Peer = Union[  # noqa: UP007
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
    Cancel,
    CancelObject,
    Yielded,
    Consumed,
    StopStream,
    AskNext,
    Next,
]
