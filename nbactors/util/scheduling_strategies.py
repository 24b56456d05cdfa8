"""Where a task or actor runs. Most of Ray's module has no meaning on one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class PlacementGroupSchedulingStrategy:
    """Run in a placement group, with resources of its bundles. Follows Ray's class."""

    def __init__(
        self,
        placement_group: Any,
        placement_group_bundle_index: int = -1,
        placement_group_capture_child_tasks: bool | None = None,
    ) -> None:
        """Make a strategy for the option `scheduling_strategy`.

        Args:
            placement_group: The PlacementGroup.
            placement_group_bundle_index: The number of the bundle; -1 for any that has enough.
            placement_group_capture_child_tasks: Whether the actors and tasks that it creates without a strategy of
                their own run in the group, too.

        Raises:
            ValueError: `placement_group` is None.
            TypeError: A value has a wrong type.
        """
        if placement_group is None:
            raise ValueError(
                "`placement_group` needs to be an instance of PlacementGroup if using PlacementGroupSchedulingStrategy."
            )
        if not hasattr(placement_group, "bundle_specs"):
            raise TypeError(f"placement_group must be a PlacementGroup. Got: {placement_group!r:.80}")
        index, captures = placement_group_bundle_index, placement_group_capture_child_tasks
        if not isinstance(index, int) or isinstance(index, bool):
            raise TypeError(f"placement_group_bundle_index must be an int. Got: {index!r:.80}")
        if captures is not None and not isinstance(captures, bool):
            raise TypeError(f"placement_group_capture_child_tasks must be True, False or None. Got: {captures!r:.80}")
        self.placement_group = placement_group
        self.placement_group_bundle_index = index
        self.placement_group_capture_child_tasks = captures

    def check(self, wanted: Mapping[str, float], label: str) -> None:
        """Check that the group has a bundle that can ever hold an actor or a task. Called by `.remote()`.

        Args:
            wanted: The resources that must be free, by name.
            label: The name of the class or function.

        Raises:
            ValueError: There is no such bundle, or it is too small.
        """
        bundles, index = self.placement_group.bundle_specs, self.placement_group_bundle_index
        if self.placement_group.is_empty:
            return
        if not -1 <= index < len(bundles):
            raise ValueError(
                f"placement group bundle index {index} is invalid. Valid placement group indexes: "
                f"0-{len(bundles) - 1}, or -1 for any"
            )
        possible = bundles if index == -1 else [bundles[index]]
        if not any(all(amount <= bundle.get(name, 0) for name, amount in wanted.items()) for bundle in possible):
            where = "any bundles" if index == -1 else f"bundle {index}"
            raise ValueError(
                f"Cannot schedule {label} with the placement group because the resource request {dict(wanted)} cannot "
                f"fit into {where} for the placement group, {bundles}."
            )

    def __repr__(self) -> str:
        return (
            f"PlacementGroupSchedulingStrategy({self.placement_group!r}, {self.placement_group_bundle_index}, "
            f"{self.placement_group_capture_child_tasks})"
        )


class NodeAffinitySchedulingStrategy:
    """Run on a given node. There is one node: its id is in `nodes()` and `get_runtime_context().get_node_id()`."""

    def __init__(self, node_id: str | bytes, soft: bool) -> None:
        """Make a strategy for the option `scheduling_strategy`.

        Args:
            node_id: The node's id in hexadecimal digits.
            soft: Run elsewhere if there is no such node, instead of failing.

        Raises:
            ValueError: `node_id` is no hexadecimal number.
            TypeError: `soft` is no bool.
        """
        text = node_id.hex() if isinstance(node_id, bytes) else node_id
        try:
            valid = bool(bytes.fromhex(text).strip(b"\xff"))
        except (TypeError, ValueError):
            valid = False
        if not valid:
            raise ValueError(
                f"Invalid node_id '{node_id!r}'. Node ID must be a valid hex string. To get a list of all nodes and "
                "their IDs, use nodes()."
            )
        if not isinstance(soft, bool):
            raise TypeError(f"soft must be True or False. Got: {soft!r:.80}")
        self.node_id = text
        self.soft = soft

    def __repr__(self) -> str:
        return f"NodeAffinitySchedulingStrategy(node_id={self.node_id!r}, soft={self.soft})"
