"""`Construction`: the call of an actor's constructor, which a creator sends or a file contains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from nbactors.local.wire import ids, messages
from nbactors.local.worker.jobs.job import Job

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.held import Held


class Creator(NamedTuple):
    """In place of the connection to an actor's creator, which is gone. No call of the constructor is answered.

    Attributes:
        peer_id: The id of the creator's process.
    """

    peer_id: bytes


class ConstructorJob(Job):
    """The job of the constructor's call.

    Attributes:
        actor_id: The actor's id, 16 bytes.
    """

    __slots__ = ("actor_id",)

    actor_id: bytes

    @property
    def kind(self) -> str:
        """Ray's name for the kind of call."""
        return "ACTOR_CREATION_TASK"

    @property
    def task_id(self) -> bytes:
        """The id of the construction."""
        return ids.creation_task_id(self.actor_id)

    @property
    def cancel_id(self) -> str:
        """See the base class: a construction ends with its actor."""
        return ""


class Construction:
    """The call of the constructor."""

    def __init__(
        self, connection: Connection | Creator, message: messages.Construct, cls: Held, rest: Held, deps: list[Any]
    ) -> None:
        self.message = message
        self.cls = cls
        self.rest = rest
        self.deps = deps
        call = messages.Call(
            0, "__init__", b"", origin=message.origin, submitted=message.submitted, parent=message.parent
        )
        self.job = ConstructorJob(cast("Connection", connection), call, rest, deps)
        self.job.actor_id = message.actor_id
