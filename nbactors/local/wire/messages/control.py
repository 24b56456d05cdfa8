"""Messages between a client (session, worker, command line) and the node.

A request carries a `rid`, a number that the client chooses, and the answer carries the same `rid`. Messages without a
`rid` are one-way. The node answers every request; with `Refused` if it cannot serve it.

The types of the fields bound what a client may send: a value outside does not decode, and the node then closes the
connection. A session checks its options by the same limits before, so that the user gets a ValueError.
"""

from typing import Annotated, Any

from msgspec import Meta, field

from nbactors.limits import MAX_AMOUNT, MAX_GPUS, MAX_KINDS, MAX_SECONDS, MAX_TEXT
from nbactors.local.wire.messages.groups import CreateGroup, GroupRow, Seat
from nbactors.local.wire.messages.message import Count, Message, Name, Pid, ProcessId, RuntimeEnv
from nbactors.local.wire.messages.room import StoreRow
from nbactors.local.wire.messages.selectors import Labels, Selectors
from nbactors.local.wire.messages.shown import Bar

_MAX_NAMES = 10_000

ActorId = Annotated[bytes, Meta(min_length=16, max_length=16)]
Amount = Annotated[float, Meta(ge=0, le=MAX_AMOUNT)]
Amounts = Annotated[dict[Name, Amount], Meta(max_length=MAX_KINDS + 8)]
Detected = Annotated[float, Meta(ge=-1, le=MAX_AMOUNT)]
"""An amount, or -1 for what the machine has."""
Names = Annotated[list[Name], Meta(max_length=_MAX_NAMES)]


class Welcome(Message, tag=2, frozen=True):
    """The node's answer to `Hello`."""

    version: int
    node_id: bytes
    pid: int
    package_version: str


class Refused(Message, tag=3, frozen=True):
    """A request (or, with rid 0, a connection) that the node refuses.

    Attributes:
        kind: The error that the client raises: "value", "type", "runtime", "version", "taken" for a name, or "internal"
            for a bug in the node. For a `RequestLease` also "crashed" and "runtime_env", as in `ActorDown`: how the
            worker ended before it was ready.
        text: The whole text for the user.
    """

    rid: int
    kind: str
    text: str


class Done(Message, tag=4, frozen=True):
    """The request was carried out, and has no result."""

    rid: int


class Environment(Message, tag=5, frozen=True):
    """The session's environment, which its forkserver has, too. Equal ones share a forkserver. Bytes: see `os_bytes`.

    Attributes:
        executable: Path of the Python interpreter.
        boot: The interpreter's arguments, which start the forkserver; the number of its socket is appended.
        sys_path: The session's `sys.path`, in order.
        cwd: Working directory; empty if it was removed.
        environ: Environment variables.
        preload: The modules that the forkserver imports before it forks.
    """

    executable: bytes
    boot: list[bytes]
    sys_path: list[bytes]
    cwd: bytes
    environ: dict[bytes, bytes]
    preload: Names = []  # noqa: RUF012 - msgspec copies it for each message


class OpenSession(Message, tag=6, frozen=True):
    """A session joins. Answered by `SessionOpened` or `Refused`.

    Attributes:
        namespace: Empty for an anonymous one.
        num_cpus, num_gpus: -1 to detect.
        memory, object_store_memory: Bytes, -1 to detect.
        resources: Custom resources, name to amount.
        log_to_driver: Whether the session wants `Output` messages.
        graceful_shutdown_s: Seconds an actor may take to end gracefully (`__ray_shutdown__`).
        logging: The LoggingConfig of its workers as JSON; empty for none.
        labels: Labels of the node, beside those that it has for all sessions.
        detaches_actors: Whether actors without the option `lifetime` are detached. Their creators look at it.
        owns_node: Whether the node is for this session alone, and ends with it.
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
    logging: Name = ""
    detaches_actors: bool = False
    labels: Labels = field(default_factory=dict)
    owns_node: bool = False


class SessionOpened(Message, tag=7, frozen=True):
    """`namespace` is the requested one, or a new anonymous one (a UUID). `labels` are those of `Home.opened`."""

    rid: int
    job_id: bytes
    namespace: str
    detected_gpus: list[str]
    labels: Labels = field(default_factory=dict)


class Home(Message, tag=135, frozen=True):
    """Node to a new worker: its session. A worker keeps it for the next node, if this one crashes.

    Attributes:
        driver, driver_pid: The process that has opened the session.
        opened: Its request, with the namespace that the session got.
    """

    job_id: Annotated[bytes, Meta(min_length=4, max_length=4)]
    driver: ProcessId
    driver_pid: Pid
    opened: OpenSession


class CloseSession(Message, tag=8, frozen=True):
    """A session leaves. Answered by `Done` after its actors have ended and their output was sent."""

    rid: Count


class CreateActor(Message, tag=10, frozen=True):
    """Place an actor. With a `name`, `rid` is not 0, and the answer is `ActorNamed` or `Refused`; otherwise none.

    The creator gets `ActorUp` when the actor's worker listens, and then sends `Construct` to the worker itself.

    Attributes:
        actor_id: 16 bytes, chosen by the creator.
        class_name: For listings and process titles.
        name, namespace: Empty name: unnamed. Empty namespace: the session's.
        get_if_exists: Answer with the existing actor of that name, if there is one.
        detached: Whether the actor outlives the session.
        placement: Resources that must be free to place the actor ({"CPU": 1.0} by default).
        resources: Resources that the actor holds while it lives; "GPU" may be fractional.
        runtime_env: None for none.
        sys_path, cwd: The session's current ones, if they changed since `OpenSession`; otherwise empty.
        meta: Opaque: what `get_actor` needs to make a handle (pickled by the creator, unpickled by the caller).
        modules: Modules that the worker needs, and that the forkserver may import once for all workers.
        max_restarts: How often it is started again after a crash; -1 for any number.
        memory_limit: Bytes of its own that its process may use while a method runs; 0 for no limit.
        seat: Its place in a placement group; None for none.
        selectors: Demands on the node's labels.
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
    modules: Names = []  # noqa: RUF012 - msgspec copies it for each message
    max_restarts: int = 0
    memory_limit: Count = 0
    seat: Seat | None = None
    selectors: Selectors = field(default_factory=list)


class ActorNamed(Message, tag=11, frozen=True):
    """Answer to `GetActor`, and to `CreateActor` with a name. The client is now a holder or watcher, with one token.

    If `created` is true, this request has created the actor, and the client must send `Construct`.
    """

    rid: int
    actor_id: bytes
    created: bool
    meta: bytes


class GetActor(Message, tag=12, frozen=True):
    """Find a named actor. Answered by `ActorNamed`, or `Refused` ("value": Failed to look up actor …).

    Attributes:
        weak: Whether the handle does not keep the actor alive.
    """

    rid: Count
    name: Name
    namespace: Name
    weak: bool = False


class ActorUp(Message, tag=13, frozen=True):
    """To each holder and watcher, and to each process that becomes one: the worker listens on `p/<process id hex>`.

    After a restart the creator gets it in any case, and sends `Construct` again.

    Attributes:
        restarts: How often the actor was restarted before.
        detached: The name of a detached actor; empty for any other.
    """

    actor_id: bytes
    process_id: bytes
    pid: int
    restarts: int = 0
    detached: Name = ""


class ActorRestarting(Message, tag=39, frozen=True):
    """To each holder and watcher: the worker has ended, and another worker will be the actor. `ActorUp` follows.

    Attributes:
        text: How the worker has ended, for the user.
        has_run: Whether the constructor had returned, so that calls may have run.
    """

    actor_id: bytes
    text: str
    has_run: bool


class ActorDown(Message, tag=14, frozen=True):
    """To each holder and watcher, and to each process that becomes one: the actor is dead for good.

    Attributes:
        kind: "killed", "out_of_scope", "exit" (exit_actor, __ray_terminate__), "creation_failed", "crashed",
            "out_of_memory", "owner_died", "session_ended", "node_stopped", "unknown", "refused" (the node did not
            create it), "runtime_env" (its process could not apply it), "internal" (a bug in the node).
        text: The cause, for the user: what happened, signal, last lines of stderr, constructor's traceback.
        class_name, name, pid: For the error's text.
    """

    actor_id: bytes
    kind: str
    text: str
    class_name: str
    name: str
    pid: int


class AddHold(Message, tag=15, frozen=True):
    """The sender hands a handle of `actor_id` to process `process_id`: count `tokens` more for that process.

    It is sent on the sender's control connection before the handle is sent, and thus before the sender's own release. A
    process that names itself gets `ActorUp` or `ActorDown` each time. With 0 tokens it only asks for that, and gets
    nothing if the node does not know the actor: the creator's message may still be on its way.

    A process counts itself with `weak` when it gets a weak handle: it is a *watcher* of the actor, which is told the
    same as a holder and does not keep the actor alive.
    """

    actor_id: ActorId
    process_id: ProcessId
    tokens: Count
    weak: bool = False


class ReleaseHold(Message, tag=16, frozen=True):
    """The sender has no handle, or no weak handle, of the actor any more; it gives back all tokens that it knows of."""

    actor_id: ActorId
    tokens: Count
    weak: bool = False


class KillActor(Message, tag=17, frozen=True):
    """`ray.kill`. Answered by `Done` after the name is free and calls fail, or by `Refused`."""

    rid: Count
    actor_id: ActorId
    no_restart: bool


class ActorConstructed(Message, tag=18, frozen=True):
    """Worker to node: the constructor has returned."""

    actor_id: ActorId


class Ending(Message, tag=19, frozen=True):
    """Worker to node: it will exit on purpose, after its running calls and clean-up, or when their time is over.

    Attributes:
        kind: "exit", "out_of_scope", "creation_failed", "crashed" (`sys.exit(1)` in a method) or "out_of_memory".
        text: The cause, for the user.
    """

    kind: Name
    text: Annotated[str, Meta(max_length=MAX_TEXT)]


class Terminate(Message, tag=20, frozen=True):
    """Node to worker: end gracefully (finish queued calls, `__ray_shutdown__`, atexit handlers).

    Attributes:
        kind: The kind for `ActorDown`. Two kinds are conditional: "idle" is for an idle task worker, which ends when no
            process needs the values that it owns; "creator_gone" is for an actor that got no `Construct`: it
            constructs itself from its file, see `restart_files`, or ends if there is none.
    """

    kind: str


class RequestLease(Message, tag=21, frozen=True):
    """A process wants one more worker for its tasks. Answered by `LeaseGranted` when a worker is free, however late.

    Attributes:
        resources: What a task of this kind holds while it runs.
        label: Name of the function, for warnings.
        memory_limit: Bytes of its own that the worker may use while a task runs; 0 for no limit.
        is_retriable: Whether tasks of this kind run again after a crash of the worker.
        seat: Their place in a placement group; None for none.
        selectors: Demands on the node's labels.
    """

    rid: Count
    resources: Amounts
    runtime_env: RuntimeEnv | None
    label: Name
    sys_path: list[bytes]
    cwd: bytes
    memory_limit: Count = 0
    is_retriable: bool = False
    seat: Seat | None = None
    selectors: Selectors = field(default_factory=list)


class LeaseGranted(Message, tag=22, frozen=True):
    """A worker is the client's until `ReturnLease` with this `lease_id`. It listens on `p/<process id hex>`."""

    rid: int
    lease_id: int
    process_id: bytes
    pid: int


class CancelLease(Message, tag=23, frozen=True):
    """Withdraw a `RequestLease` that was not granted. A grant that was sent meanwhile must be returned."""

    rid: Count


class ReturnLease(Message, tag=24, frozen=True):
    """Give a leased worker back."""

    lease_id: Count


class Spent(Message, tag=41, frozen=True):
    """A task worker runs no more tasks, since it has run a function `max_calls` times. The node lends it no more.

    It is sent before the lease's holder learns of it. When the lease is over, the worker ends as an idle one does.
    """


class LeaseLost(Message, tag=25, frozen=True):
    """To the holder of the lease: the worker died, for the reason in `text`; its running calls fail or are retried.

    Attributes:
        kind: "crashed", or "out_of_memory" if it was ended for the memory that it has used.
    """

    lease_id: int
    process_id: bytes
    text: str
    kind: str = "crashed"


class Grouped(Message, tag=175, frozen=True):
    """A placement group, as its creator and the workers in it keep it for the next node, if this one crashes.

    Node to creator, whenever the state changes; and process to the next node, before its `Rejoin`.

    Attributes:
        home: The session that has created the group.
        owner: The process that has created the group.
        state: As in `GroupRow`.
        gpu_ids: The GPUs of each bundle, if the group has its resources.
    """

    creation: CreateGroup
    home: Home
    owner: ProcessId
    state: Name
    gpu_ids: Annotated[list[Names], Meta(max_length=1000)]


class Assign(Message, tag=26, frozen=True):
    """Node to worker, before its first call and with each lease: its actor or lease, and its resources.

    Attributes:
        lease_id: The lease of a task worker, 0 for an actor. A task names its lease and waits in the worker for this
            message, which comes on another connection and may come later than the task.
        actor_id: Empty for a task worker.
        gpu_ids: As strings, as in CUDA_VISIBLE_DEVICES.
        resources: The resources that the worker holds.
        restarts: How often the actor was restarted before.
        may_restart: Whether the actor is restarted when its process crashes.
        owner, owner_pid: The process that has created the actor, or has leased the worker.
        asked: Its request. A worker keeps the whole message for the next node, if this one crashes.
        group: The placement group that it runs in; None for none.
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
    restarts: int = 0
    may_restart: bool = False
    owner: bytes = b""
    owner_pid: int = 0
    asked: CreateActor | RequestLease | None = None
    group: Grouped | None = None


class Blocked(Message, tag=27, frozen=True):
    """Worker to node: it waits in `get` or `wait`, so its CPUs may be lent."""


class Unblocked(Message, tag=28, frozen=True):
    """Worker to node: it runs again. It takes its CPUs back, even if they are lent: they are then overbooked."""


class Watch(Message, tag=29, frozen=True):
    """Ask for `ProcessGone` when that process dies; at once if it has died, or is unknown."""

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
        origin: The origin of the call that printed them, see `Call`.
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
    """A text that the session shows as a warning (for example about a request that can never be met)."""

    text: str


class CatchUp(Message, tag=54, frozen=True):
    """Session to node: send all output that the workers of the session have written so far. Answered by `Done`."""

    rid: Count


class Query(Message, tag=33, frozen=True):
    """Ask for a listing; answered by `Listing`.

    Attributes:
        what: "actors", "named_actors", "available_resources", "cluster_resources", "nodes", "processes", "metrics",
            "object_store", "placement_groups", "status", or "load": as "status", without the actors.
        all_namespaces: For "named_actors".
    """

    rid: Count
    what: Name
    all_namespaces: bool = False


class ActorRow(Message, tag=34, frozen=True):
    """One actor in a `Listing`.

    Attributes:
        log_path: The log of its process; empty while it has none.
        last_log_path: The log of its last process but one, whose crash it was restarted after; empty for none.
        restarts: How often it was restarted.
        has_session: Whether the session that has created it is still open.
    """

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
    last_log_path: str = ""
    restarts: int = 0
    has_session: bool = True

    def shown(self) -> dict[str, Any]:
        """Return the facts for the user, with the keys of Ray's `list_actors`."""
        return {
            "actor_id": self.actor_id.hex(),
            "class_name": self.class_name,
            "state": self.state,
            "job_id": self.job_id.hex(),
            "name": self.name,
            "ray_namespace": self.namespace,
            "pid": self.pid,
            "is_detached": self.detached,
            "required_resources": self.resources,
            "death_cause": self.death_cause,
            "num_restarts": self.restarts,
        }


class ProcessRow(Message, tag=147, frozen=True):
    """One session or worker in a `Listing`.

    Attributes:
        role: "session" or "worker".
        label: What a worker runs, as in `SetTitle`; the namespace of a session.
        actor_id: The actor of a worker, empty for none.
        is_ready: Whether it is connected.
    """

    process_id: bytes
    pid: int
    role: str
    job_id: bytes
    label: str
    actor_id: bytes
    is_ready: bool


class Listing(Message, tag=35, frozen=True):
    """Answer to `Query`.

    Attributes:
        actors: For "actors", "named_actors" and "status".
        bars: For "status" and "load": the open progress bars.
        amounts: For the resource queries.
        facts: For "nodes", "status" and "load": text by name.
        processes: For "processes".
        stores: For "object_store", "status" and "load": the node, then the sessions whose limit the user has named.
            For a session only itself.
        groups: For "placement_groups".
    """

    rid: int
    actors: list[ActorRow]
    amounts: dict[str, float]
    facts: dict[str, str]
    processes: list[ProcessRow] = []  # noqa: RUF012 - msgspec copies it for each message
    stores: list[StoreRow] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    groups: list[GroupRow] = field(default_factory=list)


class Stop(Message, tag=36, frozen=True):
    """`nbactors stop`: end everything, then the node. Answered by `Done` when all workers are gone."""

    rid: Count
    force: bool = False


class FetchLog(Message, tag=37, frozen=True):
    """`nbactors logs ACTOR`: find an actor's log. Answered by `Listing` with the matching actors."""

    rid: Count
    name: Name


class SetTitle(Message, tag=38, frozen=True):
    """Worker to node: what stands before its output: a task's name, or the text of an actor.

    Attributes:
        rid: 0 for no answer; else it is answered by `Done`, and what the worker prints then has the label for certain.
    """

    label: Name
    rid: Count = 0


class ReplaceMeta(Message, tag=104, frozen=True):
    """An actor's class was changed: `get_actor` gets this from now on, see `CreateActor.meta`."""

    actor_id: ActorId
    meta: bytes


class OutputPipes(Message, tag=101, frozen=True):
    """Worker to node: the output of calls of this origin comes through two more pipes.

    The read ends, of stdout and stderr, are sent with this message.
    """

    origin: Count


class PipesLost(Message, tag=136, frozen=True):
    """Node to worker: the pipes of `OutputPipes` did not arrive, since the node had no descriptors left."""

    origin: int
