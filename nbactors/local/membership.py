"""Whether this process is still a member of its node."""

from __future__ import annotations

from nbactors import exceptions
from nbactors.exceptions import hints


class Membership:
    """Tells the parts of a session or worker whether the process has left the node. Read on any thread.

    Attributes:
        has_left: Whether the process has left the node.
        forked: Whether this process is a forked child: it has left, and must take no lock that the parent has made.
    """

    __slots__ = ("forked", "has_left")

    def __init__(self) -> None:
        self.has_left = False
        self.forked = False

    def check(self) -> None:
        """Raise RaySystemError if this process has left, or is a forked child of the process that has joined."""
        if self.forked:
            raise exceptions.RaySystemError(hints.FORKED)
        if self.has_left:
            raise exceptions.RaySystemError("the session was shut down while this thread waited")

    def dead_handle_error(self, actor_id: bytes) -> Exception:
        """Return the error for a handle of a session that has ended."""
        if self.forked:
            return exceptions.RayActorError(actor_id, f"Failed to reach actor {actor_id.hex()}: {hints.FORKED}")
        return exceptions.RayActorError(
            actor_id,
            f"Failed to look up actor {actor_id.hex()}: It might be dead or it's from a different cluster. This handle "
            "belongs to a session that has been shut down; create the actor again, or find it with get_actor() if "
            "it is detached.",
        )
