"""Where a task or actor runs: on a node, in a placement group, or on a node with labels. There is one node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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


class In:
    """The label has one of these values. A demand of `NodeLabelSchedulingStrategy`."""

    def __init__(self, *values: str) -> None:
        """Make the demand.

        Raises:
            ValueError: There is no value, or one is no str.
        """
        self.values = _checked(values, "In")


class NotIn:
    """The label has none of these values, or is not there. A demand of `NodeLabelSchedulingStrategy`."""

    def __init__(self, *values: str) -> None:
        """Make the demand. Raises as `In`."""
        self.values = _checked(values, "NotIn")


class Exists:
    """The label is there. A demand of `NodeLabelSchedulingStrategy`."""


class DoesNotExist:
    """The label is not there. A demand of `NodeLabelSchedulingStrategy`."""


_Operator = In | NotIn | Exists | DoesNotExist


class LabelExpression(NamedTuple):
    """A demand on the label `key`."""

    key: str
    operator: _Operator


class NodeLabelSchedulingStrategy:
    """Run on a node with certain labels: those of `init(labels=)`, and "ray.io/node-id".

    What the one node does not fulfil waits, with a warning. Example:
    `NodeLabelSchedulingStrategy({"zone": In("a", "b"), "spot": DoesNotExist()})`.
    """

    def __init__(self, hard: dict[str, _Operator] | None, *, soft: dict[str, _Operator] | None = None) -> None:
        """Make a strategy for the option `scheduling_strategy`.

        Args:
            hard: What the node must fulfil: `In`, `NotIn`, `Exists` or `DoesNotExist` for each label.
            soft: What decides between several such nodes. No effect, since there is one.

        Raises:
            ValueError: Both are empty, or one is no dict of demands.
        """
        self.hard = _expressions(hard, "hard")
        self.soft = _expressions(soft, "soft")
        if not self.hard and not self.soft:
            raise ValueError("The `hard` and `soft` parameter of NodeLabelSchedulingStrategy cannot both be empty.")

    def __repr__(self) -> str:
        return f"NodeLabelSchedulingStrategy({self.hard}, soft={self.soft})"


def _expressions(given: Any, name: str) -> list[LabelExpression]:
    if given is None:
        return []
    if not isinstance(given, dict):
        raise ValueError(f'The {name} parameter must be a map (e.g. {{"key1": In("value1")}}) but got {given!r:.80}')
    for key, operator in given.items():
        if not isinstance(key, str):
            raise ValueError(f"The map key of the {name} parameter must be of type str but got {key!r:.80}")
        if not isinstance(operator, In | NotIn | Exists | DoesNotExist):
            raise ValueError(
                f"The map value for key {key} of the {name} parameter must be one of the `In`, `NotIn`, `Exists` or "
                f'`DoesNotExist` operator (e.g. {{"key1": In("value1")}}) but got {operator!r:.80}'
            )
    return [LabelExpression(key, operator) for key, operator in given.items()]


def _checked(values: tuple[Any, ...], operator: str) -> list[str]:
    if not values:
        raise ValueError(
            f"The variadic parameter of the {operator} operator must be a non-empty tuple: e.g. "
            f'{operator}("value1", "value2").'
        )
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise ValueError(
                f"Type of value in position {index} for the {operator} operator must be str (e.g. "
                f'{operator}("value1", "value2")) but got {value!r:.80}'
            )
    return list(values)
