"""The check of a scheduling strategy against the existing nodes, of which there is one, and placement groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.exceptions import ActorUnschedulableError, TaskUnschedulableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbactors.engine import Engine


def check_place(strategy: Any, engine: Engine, what: str, wanted: Mapping[str, float], label: str) -> None:
    """Refuse a node that does not exist, or a bundle that is too small. Called by `.remote()`, on its thread.

    Args:
        strategy: The checked option: None, a str, or an object of `nbactors.util.scheduling_strategies`.
        engine: The current engine.
        what: "actor" or "task".
        wanted: The resources that must be free, by name.
        label: The name of the class or function.

    Raises:
        ActorUnschedulableError, TaskUnschedulableError: The node does not exist.
        ValueError: No bundle of the placement group is large enough.
    """
    if strategy is None or isinstance(strategy, str):
        return
    if hasattr(strategy, "placement_group"):
        strategy.check(wanted, label)
        return
    if hasattr(strategy, "hard"):  # labels, which the node looks at
        return
    if strategy.soft:
        return
    known = {node["NodeID"] for node in engine.nodes() if node.get("Alive", True)}
    if strategy.node_id not in known:
        kind = ActorUnschedulableError if what == "actor" else TaskUnschedulableError
        raise kind(
            f"the node specified via NodeAffinitySchedulingStrategy, {strategy.node_id}, doesn't exist any more or is "
            f"infeasible, and soft=False was specified. Known nodes: {', '.join(sorted(known))}"
        )
