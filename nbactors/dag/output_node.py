"""`MultiOutputNode`: several results of a graph."""

from __future__ import annotations

from typing import Any

from nbactors.dag.node import DAGNode, Execution


class MultiOutputNode(DAGNode):
    """The end of a graph with several results: `execute` returns the list of them. Any thread.

    Example: `MultiOutputNode([first, second]).execute()`.
    """

    def __init__(self, args: list[Any] | tuple[Any, ...]) -> None:
        """Make the node.

        Args:
            args: A list or tuple of nodes; other values are returned as they are.

        Raises:
            ValueError: `args` is neither a list nor a tuple.
        """
        if not isinstance(args, list | tuple):
            raise ValueError(
                f"MultiOutputNode takes a list or tuple of nodes. Got: {type(args).__name__}. "
                "For example: MultiOutputNode([first, second])"
            )
        super().__init__(tuple(args), {})

    def _run(self, execution: Execution) -> list[Any]:
        return execution.filled(self)[0]
