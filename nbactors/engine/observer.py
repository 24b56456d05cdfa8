"""`Observer`: reads and cancels what runs: on this machine, without a session, or on a cluster. It starts nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from nbactors.engine.base import GroupFacts
    from nbactors.object_ref import ObjectRef


class TaskChanges(NamedTuple):
    """The calls and actors that have changed since the last look.

    Attributes:
        seq: The number of the last change.
        is_snapshot: Whether these are all that are known: the reader forgets what it has had before.
        tasks: The changed calls, as rows of `list_tasks(detail=True)` with `seq`.
        removed: The ids of calls that are known no more.
        actors: Changes of actors' states: `actor_id`, `class_name`, `name`, `state`, `at`, `pid`, `worker_id` and
            `job_id`.
        waits: Waits of drivers' own code ("ray.get", "ray.wait"), and values that any process has moved between memory
            and disk (such as "spill 1.0 MiB", "restore 1.0 MiB"): `pid`, `worker_id`, `kind`, `start`, `end`.
        unlisted: How many calls of each function have ended that have no row.
        totals: How many calls of each actor that has changed have ended, those without a row and forgotten ones
            included: `actor_id`, `finished`, `failed` and `cancelled`.
    """

    seq: int
    is_snapshot: bool
    tasks: list[dict[str, Any]]
    removed: list[str]
    actors: list[dict[str, Any]]
    waits: list[dict[str, Any]]
    unlisted: dict[str, int]
    totals: Sequence[dict[str, Any]] = ()


class Following(ABC):
    """A reader of changes. Used by one thread. It goes on with the next node after a crash of the node."""

    @abstractmethod
    def next(self, timeout: float) -> TaskChanges | None:
        """Return the next changes; at first a snapshot. Blocks.

        Args:
            timeout: Seconds to wait for a change.

        Returns:
            None if nothing has changed in that time, or no node runs.
        """

    @abstractmethod
    def close(self) -> None:
        """End the connection."""


class Observer(ABC):
    """Asks the node and other processes. All functions block. Any thread. Times: seconds since 1970, 0 for not yet."""

    @abstractmethod
    def actors(self, timeout: float) -> list[dict[str, Any]]:
        """Return a row for each actor that is known, in the order of creation, dead ones included."""

    @abstractmethod
    def tasks(self, timeout: float) -> TaskChanges:
        """Return all calls that are known, those that have changed last at the end."""

    @abstractmethod
    def processes(self, timeout: float) -> list[dict[str, Any]]:
        """Return a row for each session and worker."""

    @abstractmethod
    def objects(self, timeout: float) -> tuple[list[dict[str, Any]], list[str]]:
        """Return a row for each object and process that has it, and a text for each process whose rows are missing."""

    @abstractmethod
    def groups(self, timeout: float) -> list[GroupFacts]:
        """Return the facts about all placement groups, removed ones included."""

    @abstractmethod
    def follow(self) -> Following:
        """Return a new reader of changes."""

    @abstractmethod
    def metrics(self) -> str:
        """Return the metrics of the node and of all processes in Prometheus' text format, empty without a node."""

    @abstractmethod
    def stack(self, actor: Any, timeout: float) -> str:
        """See `nbactors.util.state.stack`."""

    @abstractmethod
    def cancel_call(self, task_id: str, force: bool, interrupt: bool, timeout: float) -> str:
        """See `nbactors.util.calls.cancel_call`. `task_id` has all its digits."""

    def call_id(self, ref: ObjectRef[Any]) -> str:
        """Return the id that listings have for the call that returns `ref`."""
        return ref.task_id().hex()

    @abstractmethod
    def interrupt_actor(self, actor: Any, timeout: float) -> int:
        """See `nbactors.util.calls.interrupt_actor`."""

    @abstractmethod
    def profile(self, actor: Any, seconds: float, interval: float) -> tuple[str, int, list[tuple[list[str], int]]]:
        """Return the name of an actor's class, the number of samples, and each stack with its number of samples."""

    @abstractmethod
    def kill_actor(self, actor: Any, timeout: float) -> None:
        """See `nbactors.util.calls.kill_actor`."""

    @abstractmethod
    def inspect(self, actor: Any, timeout: float) -> dict[str, Any]:
        """See `nbactors.util.state.inspect_actor`."""

    @abstractmethod
    def node_status(self, with_actors: bool = True) -> dict[str, Any] | None:
        """See `nbactors.util.state.node_status`."""

    @abstractmethod
    def nodes(self, everywhere: bool, timeout: float) -> list[dict[str, Any]]:
        """See `nbactors.util.state.list_nodes`. Waits for the answer of each node for `timeout` seconds at most."""

    @abstractmethod
    def stop_nodes(self, force: bool, everywhere: bool) -> list[dict[str, Any]]:
        """See `nbactors.util.state.stop_nodes`."""

    @abstractmethod
    def actor_logs(self, name: str) -> list[dict[str, Any]]:
        """See `nbactors.util.state.actor_logs`."""

    @abstractmethod
    def surroundings(self) -> dict[str, Any]:
        """See `nbactors.util.surroundings`."""
