"""The check of a scheduling strategy against the existing nodes: on one machine there is only this node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.exceptions import ActorUnschedulableError, TaskUnschedulableError

if TYPE_CHECKING:
    from nbactors.engine import Engine


def check_node(strategy: Any, engine: Engine, what: str) -> None:
    """Refuse a hard affinity to a node that does not exist. Called by `.remote()`, on the caller's thread.

    Args:
        strategy: The checked option: None, a str or a NodeAffinitySchedulingStrategy.
        engine: The current engine.
        what: "actor" or "task".

    Raises:
        ActorUnschedulableError, TaskUnschedulableError: The node does not exist.
    """
    if strategy is None or isinstance(strategy, str) or strategy.soft:
        return
    known = {node["NodeID"] for node in engine.nodes() if node.get("Alive", True)}
    if strategy.node_id not in known:
        kind = ActorUnschedulableError if what == "actor" else TaskUnschedulableError
        raise kind(
            f"the node specified via NodeAffinitySchedulingStrategy, {strategy.node_id}, doesn't exist any more or is "
            f"infeasible, and soft=False was specified. Known nodes: {', '.join(sorted(known))}"
        )
