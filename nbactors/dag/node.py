"""`DAGNode`: the base class of the nodes of a graph, and one execution of a graph."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, NoReturn

from nbactors.dag.containers import members, replaced


class DAGNode:
    """A call, an actor or an input of a graph. Created by `.bind(...)`. Any thread.

    Nodes may stand for any argument of a further `.bind(...)`, also inside lists, tuples, dicts and sets. Nodes compare
    and hash by identity, and can be pickled. Source: Ray's page "Lazy Computation Graphs with the Ray DAG API".
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._args = args
        self._kwargs = kwargs

    def execute(self, /, *args: Any, **kwargs: Any) -> Any:
        """Submit the calls of the graph up to this node, each of them once, and return without waiting for them.

        Each execution creates the actors of the graph's `ClassNode`s anew. Arguments are the graph's input; a graph
        without an `InputNode` ignores them, as in Ray.

        Returns:
            What `.remote(...)` returns for this node: an ObjectRef for a call, a handle for an actor. For a
            `MultiOutputNode` a list of these, for an `InputNode` the input.

        Raises:
            TypeError: The graph has an `InputNode`, and no argument is given; or arguments of a call do not fit.
            IndexError, KeyError, AttributeError: The input lacks an item or attribute that the graph uses.
            AssertionError: The graph has two `InputNode`s, or one outside of a `with` block.
            ValueError: A container that was an argument of `.bind(...)` now contains the node itself.
        """
        return Execution(args, kwargs).value_of(self)

    def experimental_compile(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to compile the graph.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "nbactors has no compiled graphs: Ray compiles a graph to run it through channels between processes that "
            "it sets up beforehand, and nbactors has no such channels. Call .execute(...), which returns ObjectRefs."
        )

    def get_args(self) -> tuple[Any, ...]:
        """Return the positional arguments of `.bind(...)`."""
        return self._args

    def get_kwargs(self) -> dict[str, Any]:
        """Return a copy of the keyword arguments of `.bind(...)`."""
        return dict(self._kwargs)

    def _needs(self) -> list[DAGNode]:
        """Return the nodes that come before this one in an execution, in order."""
        return list(members([self._args, list(self._kwargs.values())], DAGNode))

    def _run(self, execution: Execution) -> Any:
        """Return the node's value in an execution that has the values of `_needs()`."""
        raise NotImplementedError

    def _name(self) -> str:
        return type(self).__name__

    def __getattr__(self, name: str) -> Any:
        kind = type(self).__name__
        if name == "bind":
            raise AttributeError(f".bind() cannot be used again on a {kind}. To run the graph, use .execute().")
        if name == "remote":
            raise AttributeError(f".remote() cannot be used on a {kind}. To run the graph, use .execute().")
        raise AttributeError(f"{kind!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        shown = [_SHORT.repr(value) for value in self._args]
        shown += [f"{name}={_SHORT.repr(value)}" for name, value in self._kwargs.items()]
        return f"{type(self).__name__}({self._name()}({', '.join(shown)}))"


class _Short(reprlib.Repr):
    """Shows nodes among arguments without their own arguments, so that the text of a long graph stays short."""

    def repr_instance(self, x: Any, level: int) -> str:
        return f"{x._name()}(…)" if isinstance(x, DAGNode) else super().repr_instance(x, level)


_SHORT = _Short()


class Execution:
    """One execution of a graph: its input, and the values of its nodes so far. Used by one thread.

    Attributes:
        args, kwargs: The arguments of `execute`.
        values: The value of each node that has run.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.args = args
        self.kwargs = dict(kwargs)
        self.values: dict[DAGNode, Any] = {}
        self.input_node: DAGNode | None = None

    def value_of(self, root: DAGNode) -> Any:
        """Run all nodes that a node needs, and the node itself, and return its value."""
        for node in upstream(root):
            self.values[node] = node._run(self)
        return self.values[root]

    def filled(self, node: DAGNode) -> tuple[list[Any], dict[str, Any]]:
        """Return the node's arguments, with the values of other nodes in place of these."""
        args = [replaced(value, DAGNode, self.values.__getitem__) for value in node._args]
        kwargs = {name: replaced(value, DAGNode, self.values.__getitem__) for name, value in node._kwargs.items()}
        return args, kwargs


def upstream(root: DAGNode) -> list[DAGNode]:
    """Return the node and all nodes that it needs, each once, after those that it needs itself.

    Without recursion, since a graph may be deeper than Python's stack.

    Raises:
        ValueError: A node needs itself.
    """
    order: dict[DAGNode, None] = {}
    open_needs: dict[DAGNode, list[DAGNode]] = {}
    stack = [root]
    while stack:
        node = stack[-1]
        is_new = node not in open_needs
        if is_new:
            open_needs[node] = node._needs()
        missing = [need for need in open_needs[node] if need not in order]
        if missing and not is_new:
            raise ValueError(
                f"The graph has a circle: {node!r} needs itself. A list or dict that was an argument of .bind(...) was "
                "changed afterwards, and now contains a node that needs it. Pass a copy to .bind(...)."
            )
        if missing:
            stack.extend(reversed(missing))
        else:
            order[node] = None
            stack.pop()
    return list(order)
