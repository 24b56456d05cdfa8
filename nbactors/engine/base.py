"""The one seam: what an engine must do for the verbs, actors and remote functions above it.

Nothing above this module knows which engine runs. An engine is loaded by name on first use (`nbactors.engine`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from nbactors import exceptions
from nbactors.views.summaries import ActorFacts, CallFacts

if TYPE_CHECKING:
    from nbactors.definitions.metadata import ActorMeta, FunctionMeta, MethodMeta
    from nbactors.frontend.bar import BarState
    from nbactors.frontend.sink import Sink
    from nbactors.object_ref import ObjectRef
    from nbactors.options import ActorOptions, CallOptions, TaskOptions

Returned = Any
"""What a `.remote()` call gives: an ObjectRef, a list of them (num_returns > 1), None (num_returns=0), or an
ObjectRefGenerator (num_returns=STREAMING)."""


class ActorLink(ABC):
    """This process's tie to one actor: every handle in the process shares it, and the last one takes it along.

    There is one link per actor and process, so handles compare by it. When it is garbage collected the process has
    no handle any more, and the engine tells whoever counts.
    """

    __slots__ = ("__weakref__", "actor_id")

    actor_id: bytes

    @abstractmethod
    def call(
        self, method: MethodMeta, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions | None
    ) -> Returned:
        """Submit a method call; arguments were checked. Never blocks on the actor. Any thread.

        The link must outlive the call: the engine keeps it until the result is there.
        """

    def facts(self) -> ActorFacts:
        """Return what is known of the actor here. Never blocks. Any thread."""
        return ActorFacts()

    def latest_meta(self, meta: ActorMeta) -> ActorMeta:
        """Return what is known of the actor's class by now, if `meta` is what a handle was made with."""
        return meta

    @abstractmethod
    def reduce(self, meta: ActorMeta) -> tuple[Any, ...]:
        """Return what `ActorHandle.__reduce__` returns; notes the handle as contained in what is being pickled."""


_NOTHING: Mapping[str, float] = {}


class RuntimeFacts(NamedTuple):
    """What `get_runtime_context()` reads, for the calling thread.

    Ids are bytes, empty where there is none (no actor, no task).
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


class Engine(ABC):
    """An engine that runs. Made by its module's `start(options: InitOptions) -> Engine`. Methods: any thread."""

    sink: Sink | None = None
    """Shows the output of workers; None where the engine shows it itself."""

    @cached_property
    def checkpoints(self) -> dict[bytes, list[Any]]:
        """The checkpoints that this session keeps in memory, by actor id, the latest last."""
        return {}

    def set_sink(self, sink: Sink | None) -> None:
        """Have a front end show the output, displays and bars of workers from now on; None to end that."""
        self.sink = sink

    def calling_cell(self) -> int:
        """Return what `report_bar` takes as the `cell` that the calling code works for, 0 for none. Any thread."""
        return 0

    def call_in_wait(self, callback: Callable[[], None]) -> bool:
        """Have the main thread call something in the wait that it is in; the wait goes on afterwards. Any thread.

        Returns:
            False if the main thread is in no wait of the runtime's: then nothing is called.
        """
        return False

    def report_bar(self, state: BarState) -> bool:
        """Show how far a bar is, under the notebook cell that the calling code works for. Any thread.

        Args:
            state: A `cell` of 0 and an empty `source` are filled in.

        Returns:
            False where no notebook shows it.
        """
        return False

    @property
    @abstractmethod
    def namespace(self) -> str:
        """The session's namespace."""

    @abstractmethod
    def put(self, value: Any) -> ObjectRef[Any]:
        """Store a value; the calling process owns the reference."""

    @abstractmethod
    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """Return the values in the order of `refs`, raising the first error. `timeout` in seconds, None: no limit.

        Raises:
            GetTimeoutError: Not all were ready in time.
        """

    @abstractmethod
    def wait(
        self, refs: list[ObjectRef[Any]], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """Split `refs` into at most `num_returns` ready ones and the rest.

        Checked: they are references and generators, none twice.
        """

    @abstractmethod
    def create_actor(
        self, meta: ActorMeta, cls: type, options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[ActorLink, ActorMeta]:
        """Create an actor, or with get_if_exists find it (then the meta is the existing one's).

        Raises:
            ValueError: The name is taken.
        """

    @abstractmethod
    def submit_task(
        self, function: FunctionMeta, args: tuple[Any, ...], kwargs: dict[str, Any], options: TaskOptions
    ) -> Returned:
        """Submit a task; arguments were checked."""

    @abstractmethod
    def cancel(self, ref: ObjectRef[Any], force: bool, recursive: bool, interrupt: bool) -> None:
        """Cancel the call that makes `ref`, as far as that is possible. Does not wait for it; the finished are left.

        Nothing happens where `ref` was `put`, so that there is no call.

        Args:
            ref: One of the call's results, or the `completed()` of its generator; owned or borrowed.
            force: End the task's process if it runs.
            recursive: Cancel what it has called as well.
            interrupt: Raise KeyboardInterrupt in an actor's running synchronous method.

        Raises:
            ValueError: `force` for a call of an actor, or `interrupt` with `force`.
        """

    @abstractmethod
    def pending_calls(self) -> list[CallFacts]:
        """Return the calls that this process has made and that have not returned. Never blocks."""

    @abstractmethod
    def cancel_all(self, force: bool, interrupt: bool) -> int:
        """Cancel every call of `pending_calls`, and what they have called; returns how many.

        Args:
            force: End the processes of tasks; calls of actors are cancelled without it.
            interrupt: As of `cancel`.
        """

    def link_of(self, actor_id: bytes) -> ActorLink:
        """Return this process's link to an actor that lives, whoever has handles to it.

        Raises:
            RaySystemError: This engine does not serve it.
        """
        raise exceptions.RaySystemError("this engine finds actors by their names only")

    def call_alone(self, link: ActorLink, method: str, args: tuple[Any, ...]) -> ObjectRef[Any]:
        """Have an actor run one of `nbactors.definitions.hooks.METHODS` while no other call of it runs.

        Raises:
            RaySystemError: This engine does not serve it.
        """
        raise exceptions.RaySystemError("this engine does not update, save or restore actors")

    def publish_meta(self, link: ActorLink, meta: ActorMeta) -> None:
        """An actor's class was changed: handles that are made from now on are to know the new one.

        Raises:
            RaySystemError: This engine does not serve it.
        """
        raise exceptions.RaySystemError("this engine does not update actors")

    @abstractmethod
    def kill(self, link: ActorLink, no_restart: bool) -> None:
        """Kill an actor at once. Blocks until its name is free."""

    def stack(self, link: ActorLink, timeout: float) -> str:
        """Return what an actor's process does now, for people to read. Does not stop it.

        Raises:
            TimeoutError: It has not answered within so many seconds.
            RayActorError: It is dead.
            ValueError: It has no process yet, or this engine cannot tell.
        """
        raise ValueError("this engine cannot tell what an actor does")

    @abstractmethod
    def get_actor(self, name: str, namespace: str | None) -> tuple[ActorLink, ActorMeta]:
        """Find a named actor.

        Raises:
            ValueError: There is none.
        """

    @abstractmethod
    def current_actor(self) -> tuple[ActorLink, ActorMeta]:
        """Return the actor that the calling code runs in.

        Raises:
            RuntimeError: It runs in none.
        """

    @abstractmethod
    def exit_actor(self) -> None:
        """End the actor that the calling code runs in, by raising.

        Raises:
            TypeError: It runs in none.
        """

    @abstractmethod
    def list_named_actors(self, all_namespaces: bool) -> list[tuple[str, str]]:
        """Return `(namespace, name)` of the living named actors."""

    @abstractmethod
    def list_actors(self) -> list[dict[str, Any]]:
        """Return a row for each actor that the node knows, dead ones included; keys as in `ray list actors`."""

    @abstractmethod
    def available_resources(self) -> dict[str, float]:
        """Return what is free now."""

    @abstractmethod
    def cluster_resources(self) -> dict[str, float]:
        """Return what there is in all."""

    @abstractmethod
    def nodes(self) -> list[dict[str, Any]]:
        """Return a dict per node, with Ray's keys (NodeID, Alive, NodeManagerAddress, Resources, …)."""

    @abstractmethod
    def runtime_facts(self) -> RuntimeFacts:
        """Return where the calling thread runs."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what the object that `init()` returns shows (node pid, directory, namespace, CPUs, GPUs …)."""

    @abstractmethod
    def shutdown(self) -> None:
        """Leave: end the session's actors, wait for their output, close everything. Idempotent."""
