"""Placement groups: resources that are reserved together in bundles, for actors and tasks. Follows Ray's module.

Example:
    group = placement_group([{"CPU": 1}, {"CPU": 1}])
    nbactors.get(group.ready())
    place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=0)
    actor = Counter.options(num_cpus=1, scheduling_strategy=place).remote()
"""

from __future__ import annotations

import math
from typing import Any

from nbactors import engine
from nbactors.api import remote
from nbactors.engine import GroupFacts
from nbactors.object_ref import ObjectRef
from nbactors.options import checks
from nbactors.ray_names.id_classes import PlacementGroupID
from nbactors.util.scheduling_strategies import PlacementGroupSchedulingStrategy

__all__ = [
    "PlacementGroup",
    "get_current_placement_group",
    "get_placement_group",
    "placement_group",
    "placement_group_table",
    "remove_placement_group",
]

STRATEGIES = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")

MAX_BUNDLES = 1000

FOREVER_S = 1e9
"""Seconds of a wait without a limit."""


class PlacementGroup:
    """A handle to a placement group, made by `placement_group`. It can be pickled. Any thread."""

    def __init__(self, id: PlacementGroupID, bundle_cache: list[dict[str, float]] | None = None) -> None:  # noqa: A002 - Ray's
        self.id = id
        self.bundle_cache = bundle_cache

    @staticmethod
    def empty() -> PlacementGroup:
        """Return the handle to no group."""
        return PlacementGroup(PlacementGroupID.nil(), [])

    @property
    def is_empty(self) -> bool:
        """Whether this is the handle to no group."""
        return self.id.is_nil()

    @property
    def bundle_specs(self) -> list[dict[str, float]]:
        """The resources of each bundle. Asks the node the first time, if the handle does not know them.

        Raises:
            ValueError: There is no such group.
        """
        if self.bundle_cache is None:
            self.bundle_cache = _facts_of(self.id.binary()).bundles
        return [dict(bundle) for bundle in self.bundle_cache]

    @property
    def bundle_count(self) -> int:
        """The number of bundles."""
        return len(self.bundle_specs)

    def ready(self) -> ObjectRef[PlacementGroup]:
        """Return a reference that is ready when the group has its resources; its value is this handle.

        The reference is that of a task in the group, which holds no resources. If the group is removed, it raises
        TaskPlacementGroupRemoved.
        """
        told = engine.current().group_ready(self.id.binary(), self)
        if told is not None:
            return told
        place = PlacementGroupSchedulingStrategy(self)
        check: Any = _check_reservation
        ref: ObjectRef[PlacementGroup] = check.options(scheduling_strategy=place).remote(self)
        return ref

    def wait(self, timeout_seconds: float = 30) -> bool:
        """Wait until the group has its resources. Blocks the thread.

        Args:
            timeout_seconds: Seconds to wait at most.

        Returns:
            False if it still waits then.

        Raises:
            TypeError: `timeout_seconds` is no number.
            ValueError: The group does not exist: it was removed, for instance.
        """
        if not isinstance(timeout_seconds, int | float) or isinstance(timeout_seconds, bool):
            raise TypeError(f"timeout_seconds must be a number of seconds. Got: {timeout_seconds!r:.80}")
        limit = FOREVER_S if not math.isfinite(timeout_seconds) else max(timeout_seconds, 0)
        state = engine.current().await_group(self.id.binary(), min(limit, FOREVER_S))
        if state == "REMOVED":
            raise ValueError(f"Placement group {self.id} does not exist: it was removed, or its session has ended.")
        return state == "CREATED"

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, PlacementGroup) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.id.binary(), self.bundle_cache)

    def __repr__(self) -> str:
        return f"PlacementGroup({self.id.hex()})"


def _rebuild(group_id: bytes, bundles: list[dict[str, float]] | None) -> PlacementGroup:
    return PlacementGroup(PlacementGroupID(group_id), bundles)


@remote(num_cpus=0, max_retries=-1)
def _check_reservation(group: PlacementGroup) -> PlacementGroup:
    """Run in a group, and so when the group has its resources."""
    return group


def placement_group(
    bundles: list[dict[str, float]],
    strategy: str = "PACK",
    name: str = "",
    lifetime: str | None = None,
    _soft_target_node_id: str | None = None,
    bundle_label_selector: list[dict[str, str]] | None = None,
    topology_strategy: dict[str, str] | None = None,
) -> PlacementGroup:
    """Reserve bundles of resources, and return without waiting for them. Starts the runtime if none runs. Any thread.

    The bundles are reserved together, when all of them are free. Source: Ray's page "Placement Groups".

    Args:
        bundles: The resources of each bundle, for example ``[{"CPU": 1}, {"CPU": 1, "GPU": 1}]``. Memory in bytes.
        strategy: "PACK", "SPREAD" or "STRICT_PACK", which mean the same on one node; with "STRICT_SPREAD", which
            demands a node for each bundle, more than one bundle waits until it is removed, and a warning says so.
        name: The name for `get_placement_group`. No two groups of a namespace have one name.
        lifetime: "detached" for a group that outlives the session; otherwise it is removed when the session ends.
        _soft_target_node_id: Not served; only None.
        bundle_label_selector: Not served; only None or [].
        topology_strategy: Not served; only None.

    Raises:
        TypeError: A value has a wrong type.
        ValueError: A value is not allowed, or is not served by this version.
        RaySystemError: The name is taken.
    """
    checked = [_checked_bundle(bundle, bundles) for bundle in _checked_list(bundles)]
    if strategy not in STRATEGIES:
        raise ValueError(f"Invalid placement group strategy {strategy}. Supported strategies are: {set(STRATEGIES)}.")
    if lifetime not in (None, "detached"):
        raise ValueError(f"Placement group `lifetime` argument must be either `None` or 'detached'. Got {lifetime}.")
    if _soft_target_node_id is not None or bundle_label_selector or topology_strategy is not None:
        raise ValueError(
            "_soft_target_node_id, bundle_label_selector and topology_strategy are not served by this version of "
            "nbactors. Leave them out."
        )
    checks.check_text({"name": name}, "name")
    group_id = engine.current().create_group(checked, strategy, name or "", lifetime == "detached")
    return PlacementGroup(PlacementGroupID(group_id), checked)


def remove_placement_group(placement_group: PlacementGroup) -> None:
    """Give the bundles of a group back, and end the actors and tasks in it at once. Blocks until the node has done it.

    Removing a removed group does nothing. Source: Ray's page "Placement Groups".

    Raises:
        TypeError: The argument is no PlacementGroup.
    """
    if not isinstance(placement_group, PlacementGroup):
        raise TypeError(f"remove_placement_group() takes a PlacementGroup. Got: {placement_group!r:.80}")
    engine.current().remove_group(placement_group.id.binary())


def get_placement_group(placement_group_name: str) -> PlacementGroup:
    """Return the placement group of a name in this session's namespace.

    Raises:
        ValueError: The name is empty, or there is no such group.
    """
    if not placement_group_name:
        raise ValueError("Please supply a non-empty value to get_placement_group")
    current = engine.current()
    for facts in current.groups():
        is_here = facts.name == placement_group_name and facts.namespace == current.namespace
        if is_here and facts.state != "REMOVED":
            return PlacementGroup(PlacementGroupID(facts.group_id), facts.bundles)
    raise ValueError(f"Failed to look up placement group with name: {placement_group_name}")


def get_current_placement_group() -> PlacementGroup | None:
    """Return the placement group that the calling actor or task runs in; None for none, and in a driver."""
    group_id = engine.current().current_group()
    return PlacementGroup(PlacementGroupID(group_id)) if group_id else None


def placement_group_table(placement_group: PlacementGroup | None = None) -> dict[str, Any]:
    """Return the facts about a placement group, or those about all groups by id. Follows Ray's function.

    Returns:
        `placement_group_id`, `name`, `bundles` and `bundles_to_node_id` (by number), `strategy`, `state`, and `stats`,
        whose `scheduling_state` tells whether the group waits. The state is "PENDING", "CREATED" or "REMOVED"; on a
        cluster also "RESCHEDULING", after the death of a node. For a group that the node does not know an empty dict.
    """
    rows = {facts.group_id.hex(): _row(facts) for facts in engine.current().groups()}
    return rows if placement_group is None else rows.get(placement_group.id.hex(), {})


def _facts_of(group_id: bytes) -> GroupFacts:
    for facts in engine.current().groups():
        if facts.group_id == group_id:
            return facts
    raise ValueError(f"Placement group {group_id.hex()} does not exist: it was removed, or its session has ended.")


_SCHEDULING = {"PENDING": "QUEUED", "RESCHEDULING": "QUEUED", "CREATED": "FINISHED", "REMOVED": "REMOVED"}


def _row(facts: GroupFacts) -> dict[str, Any]:
    return {
        "placement_group_id": facts.group_id.hex(),
        "name": facts.name,
        "bundles": dict(enumerate(facts.bundles)),
        "bundles_to_node_id": dict(enumerate(facts.nodes)),
        "strategy": facts.strategy,
        "state": facts.state,
        "stats": {"scheduling_state": _SCHEDULING[facts.state]},
    }


def _checked_list(bundles: Any) -> list[Any]:
    if not isinstance(bundles, list):
        raise ValueError(f"Placement group bundles must be a list, got {type(bundles)}.")
    if not bundles:
        raise ValueError(
            "Bundles must be a non-empty list of resource dictionaries. For example: "
            '`[{"CPU": 1.0}, {"GPU": 1.0}]`. Got empty list instead.'
        )
    if len(bundles) > MAX_BUNDLES:
        raise ValueError(f"A placement group can have {MAX_BUNDLES} bundles at most. Got: {len(bundles)}")
    return bundles


def _checked_bundle(bundle: Any, bundles: Any) -> dict[str, float]:
    if not isinstance(bundle, dict):
        raise ValueError(f"Bundles must be a list of resource dictionaries, got {checks.kind(bundle)} in it.")
    named = {"CPU", "GPU", "memory", "object_store_memory"}
    checks.resource_map({"resources": {name: value for name, value in bundle.items() if name not in named}})
    amounts = {name: checks.quantity(bundle, name) for name in bundle}
    found = {name: float(amount) for name, amount in amounts.items() if amount}
    if not found:
        raise ValueError(
            f"Bundles cannot be an empty dictionary or resources with only 0 values. Bundles: {bundles!r:.200}"
        )
    gpus = found.get("GPU", 0.0)
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(f"GPU resource quantities >1 must be whole numbers. The specified quantity {gpus} is invalid.")
    return found
