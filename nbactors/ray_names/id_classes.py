"""The classes of ids. The API itself gives ids as text: `ActorID.from_hex(...)` makes an object of it.

The sizes are Ray's, except that of `WorkerID`: here a worker has 16 bytes, in Ray 28.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbactors.ray_names.base_id import BaseID, RandomID

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "ActorClassID",
    "ActorID",
    "ClusterID",
    "FunctionID",
    "JobID",
    "NodeID",
    "PlacementGroupID",
    "TaskID",
    "UniqueID",
    "WorkerID",
]


_OF_CREATION = b"\xff" * 8
"""How the ids of calls begin that construct an actor."""


class JobID(BaseID):
    """The id of a session, 4 bytes."""

    __slots__ = ()
    _size = 4

    @classmethod
    def from_int(cls, value: int) -> Self:
        """Return the id of a number, whose lowest byte comes first."""
        return cls(value.to_bytes(cls._size, "little"))

    def int(self) -> int:
        """Return the number of this id."""
        return int.from_bytes(self.binary(), "little")


class TaskID(BaseID):
    """The id of a call, 24 bytes. `ObjectRef.task_id()` returns that of the call that makes the object."""

    __slots__ = ()
    _size = 24

    @classmethod
    def for_actor_creation_task(cls, actor_id: ActorID) -> Self:
        """Return the id of the call that constructs an actor."""
        return cls(_OF_CREATION + actor_id.binary())

    def actor_id(self) -> ActorID:
        """Return the id of the actor that a call constructs. The ids of other calls do not contain it, unlike Ray's.

        Raises:
            ValueError: This is the id of another call.
        """
        if not self._binary.startswith(_OF_CREATION):
            raise ValueError(
                f"the id of a call does not contain that of its actor: nbactors.util.state.get_task({self.hex()!r}) "
                "has both, and the job's"
            )
        return ActorID(self._binary[len(_OF_CREATION) :])

    def job_id(self) -> JobID:
        """Return the id of the session that an actor is of which a call constructs. Raises as `actor_id`."""
        return self.actor_id().job_id


class ActorID(RandomID):
    """The id of an actor, 16 bytes. The last 4 are those of its session's id."""

    __slots__ = ()
    _size = 16

    @classmethod
    def of(cls, job_id: JobID, parent_task_id: TaskID, parent_task_counter: int) -> Self:
        """Return an id that is the same for the same arguments, and differs for others.

        Args:
            job_id: The session.
            parent_task_id: The call that creates the actor.
            parent_task_counter: Which of its actors it is.
        """
        from hashlib import sha256  # noqa: PLC0415 - it loads OpenSSL, which few programs need

        made = sha256(parent_task_id.binary() + parent_task_counter.to_bytes(8, "little", signed=True))
        return cls(made.digest()[: cls._size - len(job_id.binary())] + job_id.binary())

    @property
    def job_id(self) -> JobID:
        """The id of the session that the actor is of."""
        return JobID(self._binary[-JobID._size :])


class PlacementGroupID(RandomID):
    """The id of a placement group, 18 bytes."""

    __slots__ = ()
    _size = 18


class UniqueID(RandomID):
    """Any id of 28 bytes, and the base of some other kinds."""

    __slots__ = ()
    _size = 28


class NodeID(UniqueID):
    """The id of a node, 28 bytes."""

    __slots__ = ()


class ClusterID(UniqueID):
    """The id of a cluster in Ray, 28 bytes. nbactors gives none."""

    __slots__ = ()


class ActorClassID(UniqueID):
    """The id of an actor class in Ray, 28 bytes. nbactors gives none."""

    __slots__ = ()


class FunctionID(UniqueID):
    """The id of a remote function in Ray, 28 bytes. nbactors gives none."""

    __slots__ = ()


class WorkerID(UniqueID):
    """The id of a worker or driver process, 16 bytes; on a Ray cluster 28."""

    __slots__ = ()
    _size = 16
    _sizes_elsewhere = (28,)
