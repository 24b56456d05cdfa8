"""Where a task or actor runs. Most of Ray's module has no meaning on one machine."""

from __future__ import annotations


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
