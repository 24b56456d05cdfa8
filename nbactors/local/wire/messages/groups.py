"""Messages about placement groups: resources that a session reserves in bundles, for its actors and tasks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from nbactors.limits import MAX_AMOUNT, MAX_KINDS
from nbactors.local.wire.messages.message import Count, Message, Name

MAX_BUNDLES = 1000

GroupId = Annotated[bytes, Meta(max_length=18)]
"""18 bytes, as in Ray; empty for no group."""
Bundle = Annotated[
    dict[Name, Annotated[float, Meta(gt=0, le=MAX_AMOUNT)]], Meta(min_length=1, max_length=MAX_KINDS + 8)
]


class Seat(Message, frozen=True):
    """Where in a placement group an actor or a task runs.

    Attributes:
        group_id: The group.
        bundle: The number of the bundle; -1 for any.
        captures: Whether what the actor or task creates runs in the group, too.
    """

    group_id: GroupId
    bundle: Annotated[int, Meta(ge=-1, lt=MAX_BUNDLES)] = -1
    captures: bool = False

    @classmethod
    def of(cls, strategy: Any, own: Seat | None) -> Seat | None:
        """Return the place of an actor or a task, None if it runs in no group. Any thread.

        Args:
            strategy: The option `scheduling_strategy`.
            own: The place of the creating process. With `placement_group_capture_child_tasks` its group holds for what
                names no strategy, too.
        """
        if strategy is None:
            return cls(own.group_id, -1, True) if own is not None and own.captures else None
        group = getattr(strategy, "placement_group", None)
        if group is None or group.is_empty:
            return None
        captures = bool(strategy.placement_group_capture_child_tasks)
        return cls(group.id.binary(), strategy.placement_group_bundle_index, captures)


class CreateGroup(Message, tag=170, frozen=True):
    """Reserve bundles. Answered by `Done` when the group is known, or by `Refused`; see `AwaitGroup`.

    Attributes:
        group_id: Chosen by the creator.
        name: Empty for none. It is looked up in the session's namespace.
        detached: Whether the group outlives the session.
    """

    rid: Count
    group_id: Annotated[bytes, Meta(min_length=18, max_length=18)]
    bundles: Annotated[list[Bundle], Meta(min_length=1, max_length=MAX_BUNDLES)]
    strategy: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]
    name: Name
    detached: bool


class RemoveGroup(Message, tag=171, frozen=True):
    """Give the bundles back, and end what runs in them. Answered by `Done`, also for a group that is not known."""

    rid: Count
    group_id: GroupId


class AwaitGroup(Message, tag=172, frozen=True):
    """Answered by `GroupState` when the group has its resources or has none to wait for, or when the time is over."""

    rid: Count
    group_id: GroupId
    timeout_s: Annotated[float, Meta(ge=0, le=600)]


class GroupState(Message, tag=173, frozen=True):
    """Answer to `AwaitGroup`. `state` as in `GroupRow`."""

    rid: int
    state: str


class GroupRow(Message, tag=174, frozen=True):
    """A placement group in a `Listing`.

    Attributes:
        state: "PENDING", "CREATED" or "REMOVED".
        waits_for: What it waits for; empty if it does not wait.
    """

    creation: CreateGroup
    namespace: str
    job_id: bytes
    state: str
    waits_for: str
