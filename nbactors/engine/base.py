"""The interface of an engine, on which the verbs, actors and remote functions are built.

Only `nbactors.engine`, which imports an engine's module at its first use, knows which engine runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from nbactors import exceptions
from nbactors.engine.unready_set import WaitedSet
from nbactors.views.summaries import ActorFacts, CallFacts, StoreFacts

if TYPE_CHECKING:
    from nbactors.definitions.metadata import ActorMeta, FunctionMeta, MethodMeta
    from nbactors.engine.unready_set import UnreadySet
    from nbactors.frontend.bar import BarState
    from nbactors.frontend.sink import Sink
    from nbactors.object_ref import ObjectRef
    from nbactors.options import ActorOptions, CallOptions, TaskOptions

Returned = Any
"""The result of `.remote()`: an ObjectRef, a list of ObjectRefs (num_returns > 1), None (num_returns=0), or an
ObjectRefGenerator (num_returns=STREAMING)."""


class ActorLink(ABC):
    """This process's connection to one actor. All handles to the actor in the process share one link.

    A link does not keep the actor alive: a *hold* does. It is an object of the engine, to which all handles refer that
    are not weak. When it is garbage collected, this process keeps the actor no more, and the engine reports this.
    """

    __slots__ = ("__weakref__", "actor_id")

    actor_id: bytes

    @abstractmethod
    def call(
        self,
        method: MethodMeta,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions | None,
        hold: object = None,
    ) -> Returned:
        """Submit a method call whose arguments were checked. Never waits for the actor. Any thread.

        The engine keeps the link and the hold until the call has ended. `hold` is None in a call through a weak handle:
        then it keeps the hold of this process, if there is one.
        """

    def facts(self) -> ActorFacts:
        """Return the facts about the actor that this process knows. Never blocks. Any thread."""
        return ActorFacts()

    def latest_meta(self, meta: ActorMeta) -> ActorMeta:
        """Return the latest metadata of the actor's class; `meta` is that of the handle's creation."""
        return meta

    @abstractmethod
    def reduce(self, meta: ActorMeta, hold: object = None) -> tuple[Any, ...]:
        """Return the result of `ActorHandle.__reduce__`, and note that the object being pickled contains a handle.

        A copy of a weak handle, whose `hold` is None, is weak.
        """


FoundActor = tuple[ActorLink, "ActorMeta", object]
"""What a handle is made of: the link, the metadata, and the hold, which is None for a weak handle."""


_NOTHING: Mapping[str, float] = {}


class RuntimeFacts(NamedTuple):
    """The facts about the calling thread's driver, task or actor that `get_runtime_context()` shows.

    Ids are bytes, empty outside an actor (`actor_id`) or a call (`task_id`).
    """

    node_id: bytes
    job_id: bytes
    worker_id: bytes
    namespace: str
    is_driver: bool
    actor_id: bytes = b""
    actor_name: str = ""
    task_id: bytes = b""
    task_name: str = ""
    function_name: str = ""
    assigned_resources: Mapping[str, float] = _NOTHING
    gpu_ids: Sequence[str] = ()
    is_canceled: bool = False
    was_restarted: bool = False


class GroupFacts(NamedTuple):
    """The facts about a placement group. Ids are bytes.

    Attributes:
        bundles: The amounts of each bundle, by resource.
        state: "PENDING", "CREATED" or "REMOVED"; on a cluster also "RESCHEDULING", after the death of a node.
        waits_for: What a pending group waits for.
        nodes: The node of each bundle, in hexadecimal digits; empty where it has none yet.
    """

    group_id: bytes
    bundles: list[dict[str, float]]
    strategy: str
    name: str
    namespace: str
    is_detached: bool
    job_id: bytes
    state: str
    waits_for: str
    nodes: list[str]


class Engine(ABC):
    """A running engine. Its module's `start(options: InitOptions) -> Engine` creates it. Methods: any thread."""

    name = "local"
    """The engine's name: "local" or "ray"."""

    sink: Sink | None = None
    """The front end's receiver of the workers' output; None if the engine shows the output itself."""

    @cached_property
    def checkpoints(self) -> dict[bytes, list[Any]]:
        """The checkpoints that this session keeps in memory, by actor id, the latest last."""
        return {}

    def set_sink(self, sink: Sink | None) -> None:
        """Set the receiver of the workers' output; None ends it."""
        self.sink = sink

    def catch_up(self, timeout: float) -> None:  # noqa: B027 - an engine may hand output over before results
        """Wait until the output of calls that have ended was handed to the sink.

        Any thread but the background one.

        Args:
            timeout: Seconds to wait at most.
        """

    def calling_cell(self) -> int:
        """Return the number of the notebook cell that the calling code works for, 0 for none."""
        return 0

    def call_in_wait(self, callback: Callable[[], None]) -> bool:
        """Have the main thread call `callback` inside its present wait of the runtime, and then go on waiting.

        Returns:
            False if the main thread is not in a wait of the runtime. Then nothing is called.
        """
        return False

    def report_bar(self, state: BarState) -> bool:
        """Show the state of a progress bar under the notebook cell that the calling code works for.

        Args:
            state: If its `cell` is 0 or its `source` is empty, the engine fills it in.

        Returns:
            False if no notebook shows the bar.
        """
        return False

    @property
    @abstractmethod
    def namespace(self) -> str:
        """The session's namespace."""

    @abstractmethod
    def put(self, value: Any) -> ObjectRef[Any]:
        """Store a value. The calling process owns the object."""

    def find_object(self, object_id: bytes) -> ObjectRef[Any]:
        """Return this process's reference to the object with an id of 28 bytes; see `ObjectRef.from_binary`.

        Raises:
            RaySystemError: This engine does not support it.
        """
        raise exceptions.RaySystemError("this engine does not find objects by their ids")

    @abstractmethod
    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """Return the values in the order of `refs`, or raise the first error. `timeout` in seconds, None: no limit.

        Raises:
            GetTimeoutError: A value was not ready in time.
        """

    @abstractmethod
    def get_one(self, ref: ObjectRef[Any], timeout: float | None) -> Any:
        """Do what `get` does, for one reference: the most frequent case."""

    @abstractmethod
    def wait(
        self, refs: list[ObjectRef[Any]], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """Split `refs` into at most `num_returns` ready references and the others.

        The caller has checked that `refs` contains different references and generators only.
        """

    def unready_set(self) -> UnreadySet:
        """Return an empty set of references, to take those that are ready from."""
        return WaitedSet(self.wait)

    @abstractmethod
    def create_actor(
        self, meta: ActorMeta, cls: type, options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> FoundActor:
        """Create an actor, or with get_if_exists return the living actor of that name, with its metadata.

        Raises:
            ValueError: The name is taken.
        """

    @abstractmethod
    def submit_task(
        self, function: FunctionMeta, args: tuple[Any, ...], kwargs: dict[str, Any], options: TaskOptions
    ) -> Returned:
        """Submit a task whose arguments were checked."""

    @abstractmethod
    def cancel(self, ref: ObjectRef[Any], force: bool, recursive: bool, interrupt: bool) -> None:
        """Cancel the call that creates the object of `ref`, without waiting for the call's end; see `nbactors.cancel`.

        Nothing happens if the call has ended, or if `ref` was `put`.

        Args:
            ref: One of the call's results, or `completed()` of its generator; owned or borrowed.
            force: End the process of a running task.
            recursive: Cancel the calls that this call has made, too.
            interrupt: Raise KeyboardInterrupt in an actor's running synchronous method.

        Raises:
            ValueError: `force` is given for a call of an actor.
        """

    def cancel_interrupted(self, ref: ObjectRef[Any]) -> None:
        """Cancel a call like `cancel` with `interrupt`, since the user has interrupted the cell that waits for it.

        A front end also interrupts before a restart. So a call of a detached actor, which survives that, is cancelled
        only if no restart follows.
        """
        self.cancel(ref, False, True, True)

    @abstractmethod
    def pending_calls(self) -> list[CallFacts]:
        """Return the calls that this process has submitted and that have not ended. Never blocks."""

    @abstractmethod
    def cancel_all(self, force: bool, interrupt: bool) -> int:
        """Cancel every call of `pending_calls`, and the calls that these have made; return the number of the first.

        Args:
            force: End the processes of tasks. Calls of actors are cancelled without force.
            interrupt: See `cancel`.
        """

    def link_of(self, actor_id: bytes) -> ActorLink:
        """Return this process's link to a living actor. The process need not have a handle to the actor.

        Raises:
            RaySystemError: This engine does not support it.
        """
        raise exceptions.RaySystemError("this engine finds actors by their names only")

    def call_alone(self, link: ActorLink, method: str, args: tuple[Any, ...]) -> ObjectRef[Any]:
        """Have an actor run one of `nbactors.definitions.hooks.METHODS` while none of its other calls runs.

        Raises:
            RaySystemError: This engine does not support it.
        """
        raise exceptions.RaySystemError("this engine does not update, save or restore actors")

    def note_checkpoint(self, link: ActorLink, checkpoint: Any) -> None:
        """Have an actor go on from a checkpoint when it restarts after a crash. Blocks.

        Args:
            link: The actor that has saved the state.
            checkpoint: An `upkeep.Checkpoint`.

        Raises:
            OSError: The file with the description of the checkpoint cannot be written.
            RaySystemError: This engine does not support it.
        """
        raise exceptions.RaySystemError("this engine does not update, save or restore actors")

    def update_class(self, link: ActorLink, cls: type, meta: ActorMeta, swap: Callable[[str], bool]) -> None:
        """Change the class of a living actor, of its restarts, and of handles created from now on. Blocks.

        Args:
            link: The actor.
            cls: The changed class.
            meta: The class's metadata.
            swap: Called with the path of a file with the class; changes the living actor and returns whether the actor
                has kept the file.

        Raises:
            OSError: The file cannot be written. Nothing was changed.
            RaySystemError: This engine does not support it.
        """
        raise exceptions.RaySystemError("this engine does not update actors")

    @abstractmethod
    def kill(self, link: ActorLink, no_restart: bool) -> None:
        """Kill an actor at once. Blocks until its name is free."""

    def stack(self, link: ActorLink, timeout: float) -> str:
        """Return as text what an actor's process runs now, without stopping it. `timeout` in seconds.

        Raises:
            TimeoutError: The process did not answer in time.
            RayActorError: The actor is dead.
            ValueError: The actor has no process yet, or this engine does not support it.
        """
        raise ValueError("this engine cannot tell what an actor does")

    @abstractmethod
    def get_actor(self, name: str, namespace: str | None, *, weak: bool = True) -> FoundActor:
        """Return a named actor, with a hold unless it is for a weak handle; `namespace` None means the session's.

        Raises:
            ValueError: There is no such actor.
        """

    @abstractmethod
    def current_actor(self) -> FoundActor:
        """Return the actor that runs the calling code, for a weak handle.

        Raises:
            RuntimeError: The calling code does not run in an actor.
        """

    @abstractmethod
    def exit_actor(self) -> None:
        """End the actor that runs the calling code, by an exception that leaves the method.

        Raises:
            TypeError: The calling code does not run in an actor.
        """

    def hosted_class(self) -> type | None:
        """Return the class of the actor that this process runs; None if it runs none."""
        return None

    @abstractmethod
    def list_named_actors(self, all_namespaces: bool) -> list[tuple[str, str]]:
        """Return `(namespace, name)` of each living named actor."""

    @abstractmethod
    def list_actors(self) -> list[dict[str, Any]]:
        """Return a row for each living or dead actor that the node knows, with the keys of `ray list actors`."""

    @abstractmethod
    def available_resources(self) -> dict[str, float]:
        """Return the amount of each resource that is free now, by name."""

    @abstractmethod
    def cluster_resources(self) -> dict[str, float]:
        """Return the total amount of each resource, by name."""

    @abstractmethod
    def nodes(self) -> list[dict[str, Any]]:
        """Return a dict per node, with Ray's keys (NodeID, Alive, NodeManagerAddress, Resources, …)."""

    def create_group(self, bundles: list[dict[str, float]], strategy: str, name: str, detached: bool) -> bytes:
        """Create a placement group of checked arguments, and return its id of 18 bytes without waiting for resources.

        Raises:
            RaySystemError: The name is taken, or this engine does not support it.
        """
        raise exceptions.RaySystemError("this engine has no placement groups")

    def remove_group(self, group_id: bytes) -> None:
        """Remove a placement group, with all that runs in it. Does nothing if there is none."""
        raise exceptions.RaySystemError("this engine has no placement groups")

    def group_ready(self, group_id: bytes, handle: Any) -> ObjectRef[Any] | None:
        """Return a reference whose value is `handle` once a placement group has its resources.

        None if a task in the group tells it.
        """
        del group_id, handle
        return None

    def await_group(self, group_id: bytes, timeout: float) -> str:
        """Wait until a placement group waits no more, for at most `timeout` seconds; return its state. Blocks."""
        raise exceptions.RaySystemError("this engine has no placement groups")

    def groups(self) -> list[GroupFacts]:
        """Return the facts about all placement groups, removed ones included."""
        return []

    def current_group(self) -> bytes:
        """Return the id of the placement group that the calling code runs in; empty for none."""
        return b""

    def captures_children(self) -> bool:
        """Return whether what the calling code creates runs in its placement group, too."""
        return False

    def metrics(self) -> str:
        """Return the metrics of all processes in Prometheus' text format, with all that this process has recorded.

        Raises:
            ValueError: This engine does not support it.
        """
        raise ValueError("this engine has no metrics")

    @abstractmethod
    def object_store(self) -> tuple[StoreFacts, StoreFacts | None]:
        """Return the facts about all object stores, and about this session's if the user has named its limit.

        Waits for half a second at most.

        Raises:
            RaySystemError: The runtime does not answer.
        """

    @abstractmethod
    def runtime_facts(self) -> RuntimeFacts:
        """Return the facts about the calling thread's driver, task or actor."""

    def node_labels(self) -> dict[str, str]:
        """Return the labels of the node that the calling code runs on."""
        return {"ray.io/node-id": self.runtime_facts().node_id.hex()}

    def directory(self) -> str:
        """Return the path of the directory with the engine's sockets and logs; empty if it has none."""
        return ""

    def runtime_env(self) -> dict[str, Any]:
        """Return the runtime_env of this driver or worker, without packages and hook."""
        return {}

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the entries of the object that `init()` returns (node pid, directory, namespace, CPUs, GPUs …)."""

    @abstractmethod
    def shutdown(self) -> None:
        """End the session's actors, wait for their output, and close all connections. Idempotent."""
