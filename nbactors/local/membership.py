"""The place of this process in its node, and whether it is still a member."""

from __future__ import annotations

from time import monotonic

from nbactors import exceptions
from nbactors.exceptions import hints


class Membership:
    """Tells the parts of a session or worker who the process is, and whether it has left the node. Any thread.

    The parts of a worker are made before its process is. So they ask here for what only that process knows.

    Args:
        process_id: The process's id, 16 bytes; empty until `enter`.
        directory: The node's private directory; empty until `enter`.

    Attributes:
        since: When the process has got its id, in seconds of the monotonic clock.
        has_left: Whether the process has left the node.
        forked: Whether this process is a forked child: it has left, and must take no lock that the parent has made.
    """

    __slots__ = ("directory", "forked", "has_left", "process_id", "since")

    def __init__(self, process_id: bytes = b"", directory: str = "") -> None:
        self.enter(process_id, directory)
        self.has_left = False
        self.forked = False

    def enter(self, process_id: bytes, directory: str) -> None:
        """Become the process with this id. Before the first thread starts, and before any message is sent."""
        self.process_id = process_id
        self.directory = directory
        self.since = monotonic()

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
