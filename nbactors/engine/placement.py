"""Where a task or actor may run: on one machine, here or nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.exceptions import ActorUnschedulableError, TaskUnschedulableError

if TYPE_CHECKING:
    from nbactors.engine import Engine


def check_node(strategy: Any, engine: Engine, what: str) -> None:
    """Refuse a hard affinity to a node that does not exist; called at `.remote()`.

    Args:
        strategy: As in the options, so None, a text or a NodeAffinitySchedulingStrategy.
        engine: The current one.
        what: "actor" or "task".

    Raises:
        ActorUnschedulableError, TaskUnschedulableError: There is no such node.
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
