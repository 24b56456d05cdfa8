"""Messages of a client (session, worker, command line) with the node daemon.

Requests carry `rid`, a number that the client chooses; the answer carries it back. Messages without `rid` are
one-way. The node answers every request, with `Refused` when it cannot be met.

What clients send is bounded by the types of the fields: a value beyond them does not decode, and the node ends that
connection. A session checks its options by the same limits before, so that the user sees a ValueError.
"""

from typing import Annotated, Union

from msgspec import Meta

from nbactors.limits import MAX_AMOUNT, MAX_GPUS, MAX_KINDS, MAX_SECONDS, MAX_TEXT
from nbactors.local.wire.messages.looking import Look, Looked
from nbactors.local.wire.messages.message import Count, Hello, ListenAgain, Message, Name, ProcessId, RuntimeEnv
from nbactors.local.wire.messages.shown import Bar, Display, Paused

_MOST_NAMES = 10_000

ActorId = Annotated[bytes, Meta(min_length=16, max_length=16)]
Amount = Annotated[float, Meta(ge=0, le=MAX_AMOUNT)]
Amounts = Annotated[dict[Name, Amount], Meta(max_length=MAX_KINDS + 8)]
Detected = Annotated[float, Meta(ge=-1, le=MAX_AMOUNT)]
"""An amount, or -1 to take what the machine has."""
Names = Annotated[list[Name], Meta(max_length=_MOST_NAMES)]


class Welcome(Message, tag=2, frozen=True):
    """The node's answer to `Hello`."""

    version: int
    node_id: bytes
    pid: int
    package_version: str


class Refused(Message, tag=3, frozen=True):
    """A request, or with rid 0 a connection, that cannot be served.

    Attributes:
        kind: What kind of error the client raises: "value", "type", "runtime", "version", "taken" for a name, or
            "internal" for a mistake of the node's own. Of a `RequestLease` also, as of `ActorDown`, "crashed" and
            "runtime_env": of how the worker ended before it was ready.
        text: The whole message for the user.
    """

    rid: int
    kind: str
    text: str


class Done(Message, tag=4, frozen=True):
    """A request was carried out and has nothing to return."""

    rid: int


class Environment(Message, tag=5, frozen=True):
    """What a forkserver must share with the session: equal values share one forkserver. All in bytes, see `os_bytes`.

    Attributes:
        executable: Path of the Python interpreter.
        boot: Its arguments, which make it the forkserver; the number of its socket's descriptor follows them.
        sys_path: The session's `sys.path`, in order.
        cwd: Working directory; empty if it was removed.
        environ: Environment variables.
    """

    executable: bytes
    boot: list[bytes]
    sys_path: list[bytes]
    cwd: bytes
    environ: dict[bytes, bytes]


class OpenSession(Message, tag=6, frozen=True):
    """A driver joins. Answered by `SessionOpened` or `Refused`.

    Attributes:
        namespace: Empty for an anonymous one.
        num_cpus, num_gpus: -1 to detect.
        memory, object_store_memory: Bytes, -1 to detect.
        resources: Custom resources, name to amount.
        log_to_driver: Whether `Output` messages are wanted.
        graceful_shutdown_s: Seconds an actor may take to end gracefully (`__ray_shutdown__`).
    """

    rid: Count
    namespace: Name
    environment: Environment
    num_cpus: Detected
    num_gpus: Annotated[float, Meta(ge=-1, le=MAX_GPUS)]
    memory: Detected
    object_store_memory: Detected
    resources: Amounts
    log_to_driver: bool
    graceful_shutdown_s: Annotated[float, Meta(ge=0, le=MAX_SECONDS)]


class SessionOpened(Message, tag=7, frozen=True):
    """`namespace` is the one asked for, or the anonymous one (a fresh UUID) that was made."""

    rid: int
    job_id: bytes
    namespace: str
    detected_gpus: list[str]


class CloseSession(Message, tag=8, frozen=True):
    """A driver leaves; answered by `Done` when its actors have ended and their output was sent."""

    rid: Count


class CreateActor(Message, tag=10, frozen=True):
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
        modules: What its process needs and the forkserver may import once for all that need it.
    """

    rid: Count
    actor_id: ActorId
    class_name: Name
    name: Name
    namespace: Name
    get_if_exists: bool
    detached: bool
    placement: Amounts
    resources: Amounts
    runtime_env: RuntimeEnv | None
    sys_path: list[bytes]
    cwd: bytes
    meta: bytes
    modules: Names = []  # noqa: RUF012 - msgspec makes it anew for each message


class ActorNamed(Message, tag=11, frozen=True):
    """Answer to `CreateActor` with a name and to `GetActor`; the asker has become a holder, with one token.

    Attributes:
        created: True when this request created it, so the asker must send `Construct`.
    """

    rid: int
    actor_id: bytes
    created: bool
    meta: bytes


class GetActor(Message, tag=12, frozen=True):
    """Find a named actor. Answered by `ActorNamed`, or `Refused` ("value": Failed to look up actor …)."""

    rid: Count
    name: Name
    namespace: Name


class ActorUp(Message, tag=13, frozen=True):
    """To every holder, and to whoever becomes one: the actor's worker listens on socket `p/<process id hex>`."""

    actor_id: bytes
    process_id: bytes
    pid: int


class ActorDown(Message, tag=14, frozen=True):
    """To every holder, and to whoever becomes one: the actor is dead for good.

    Attributes:
        kind: "killed", "out_of_scope", "exit" (exit_actor, __ray_terminate__), "creation_failed", "crashed",
            "owner_died", "session_ended", "node_stopped", "unknown", "refused" (the node has not created it),
            "runtime_env" (its process could not apply that), "internal" (a mistake of the node's own).
        text: The cause, for the user: what happened, signal, last lines of stderr, constructor's traceback.
        class_name, name, pid: For the message.
    """

    actor_id: bytes
    kind: str
    text: str
    class_name: str
    name: str
    pid: int


class AddHold(Message, tag=15, frozen=True):
    """The sender hands a handle of `actor_id` to process `process_id`: count `tokens` more for that process.

    Sent on the sender's own control connection before the handle travels, thus before the sender's own release. A
    process that counts itself is told where the actor is, or that it is dead, each time. With no tokens it only asks
    for that, and is told nothing of an actor that the node does not know: its creator's message may be on its way.
    """

    actor_id: ActorId
    process_id: ProcessId
    tokens: Count


class ReleaseHold(Message, tag=16, frozen=True):
    """The sender has no handle of the actor any more; it gives back all the tokens that it knows of."""

    actor_id: ActorId
    tokens: Count


class KillActor(Message, tag=17, frozen=True):
    """`ray.kill`. Answered by `Done` once the name is free and calls fail, or `Refused`."""

    rid: Count
    actor_id: ActorId
    no_restart: bool


class ActorConstructed(Message, tag=18, frozen=True):
    """Worker to node: the constructor has returned."""

    actor_id: ActorId


class Ending(Message, tag=19, frozen=True):
    """Worker to node: it exits on purpose, when the calls that run and its clean-up have ended, or the time is up.

    Attributes:
        kind: "exit", "out_of_scope", "creation_failed" or "crashed" (`sys.exit(1)` in a method).
        text: The cause, for the user.
    """

    kind: Name
    text: Annotated[str, Meta(max_length=MAX_TEXT)]


class Terminate(Message, tag=20, frozen=True):
    """Node to worker: end gracefully (finish queued calls, `__ray_shutdown__`, atexit handlers).

    Attributes:
        kind: The `ActorDown` kind this will become. Two are conditional: "idle" is for a spare task worker, which ends
            when nobody needs the values that it owns; "creator_gone" for an actor, which ends if it got no `Construct`.
    """

    kind: str


class RequestLease(Message, tag=21, frozen=True):
    """A process wants one more worker for its tasks; answered by `LeaseGranted` when one is free, however late.

    Attributes:
        resources: What a task of this kind holds while it runs.
        label: Function name, for warnings.
    """

    rid: Count
    resources: Amounts
    runtime_env: RuntimeEnv | None
    label: Name
    sys_path: list[bytes]
    cwd: bytes


class LeaseGranted(Message, tag=22, frozen=True):
    """A worker is the asker's until `ReturnLease`, which names it by `lease_id`; it listens on `p/<process id hex>`."""

    rid: int
    lease_id: int
    process_id: bytes
    pid: int


class CancelLease(Message, tag=23, frozen=True):
    """Withdraw a `RequestLease` that was not granted yet. A grant that crosses it must be returned."""

    rid: Count


class ReturnLease(Message, tag=24, frozen=True):
    """Give a leased worker back."""

    lease_id: Count


class LeaseLost(Message, tag=25, frozen=True):
    """To the lease's holder: the worker died; its calls in flight fail or are retried.

    Attributes:
        text: The cause, for the user.
    """

    lease_id: int
    process_id: bytes
    text: str


class Assign(Message, tag=26, frozen=True):
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


class Blocked(Message, tag=27, frozen=True):
    """Worker to node: it waits in `get` or `wait`; its CPUs may be lent."""


class Unblocked(Message, tag=28, frozen=True):
    """Worker to node: it runs again (its CPUs are taken back, overbooking them if they are lent)."""


class Watch(Message, tag=29, frozen=True):
    """Ask for `ProcessGone` when that process dies (at once if it has, or if it is unknown)."""

    process_id: ProcessId


class ProcessGone(Message, tag=30, frozen=True):
    """The process's control connection has closed."""

    process_id: bytes
    text: str


class Output(Message, tag=31, frozen=True):
    """Output of a worker, to the session that shows it. See `nbactors.frontend.sink.Output`.

    Attributes:
        label: The actor's class name, or name, or the task's function name.
        stream: 1 for stdout, 2 for stderr.
        text: One or more whole lines, or the unfinished last line of a worker that has ended.
        origin: Of the call that wrote it, see `Call`.
        actor_id: Empty for a task.
    """

    pid: int
    label: str
    stream: int
    text: str
    process_id: bytes
    origin: int = 0
    actor_id: bytes = b""


class Warn(Message, tag=32, frozen=True):
    """Text that the session shows to the user as a warning (for instance a request that can never be met)."""

    text: str


class Query(Message, tag=33, frozen=True):
    """Ask for a listing; answered by `Listing`.

    Attributes:
        what: "actors", "named_actors", "available_resources", "cluster_resources", "nodes", "status".
        all_namespaces: For "named_actors".
    """

    rid: Count
    what: Name
    all_namespaces: bool = False


class ActorRow(Message, tag=34, frozen=True):
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
    process_id: bytes = b""


class Listing(Message, tag=35, frozen=True):
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


class Stop(Message, tag=36, frozen=True):
    """`nbactors stop`: end everything, then the node. Answered by `Done` when all workers are gone."""

    rid: Count
    force: bool = False


class FetchLog(Message, tag=37, frozen=True):
    """`nbactors logs NAME`: where an actor's log lies. Answered by `Listing` with matching actors."""

    rid: Count
    name: Name


class SetTitle(Message, tag=38, frozen=True):
    """Worker to node: the label of what it runs (a task's name), for the prefix of its output."""

    label: Name


class ReplaceMeta(Message, tag=104, frozen=True):
    """An actor's class was changed: what `get_actor` gives from now on, see `CreateActor.meta`."""

    actor_id: ActorId
    meta: bytes


class OutputPipes(Message, tag=101, frozen=True):
    """Worker to node: the output of calls of this origin comes through two more pipes.

    Their read ends, of stdout and stderr, travel with it.
    """

    origin: Count


Control = Union[  # noqa: UP007 - msgspec reads it at run time
    Hello,
    Welcome,
    Refused,
    ListenAgain,
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
    OutputPipes,
    Display,
    Bar,
    ReplaceMeta,
    Paused,
    Look,
    Looked,
]
