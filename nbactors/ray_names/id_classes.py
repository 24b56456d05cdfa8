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


class ActorID(RandomID):
    """The id of an actor, 16 bytes."""

    __slots__ = ()
    _size = 16


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
