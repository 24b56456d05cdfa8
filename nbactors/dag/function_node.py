"""`FunctionNode`: a call of a remote function in a graph."""

from __future__ import annotations

from typing import Any

from nbactors.dag.node import DAGNode, Execution


class FunctionNode(DAGNode):
    """A call of a remote function: the result of `function.bind(...)`. Any thread."""

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__(args, kwargs)
        self._function = function

    def _run(self, execution: Execution) -> Any:
        args, kwargs = execution.filled(self)
        return self._function.remote(*args, **kwargs)

    def _name(self) -> str:
        return str(self._function.__name__)
