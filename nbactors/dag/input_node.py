"""`InputNode`: the arguments of `execute` in a graph, as a whole or by items and attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from nbactors.dag.node import DAGNode, Execution

if TYPE_CHECKING:
    from typing_extensions import Self


class InputNode(DAGNode):
    """The input of a graph: the arguments of `execute`. Any thread.

    With one argument, the node is that argument, `node[key]` is an item of it, and `node.name` an attribute. With
    several, `node[0]` is a positional argument, `node["name"]` or `node.name` a keyword argument, and the node itself a
    `DAGInputData` with all of them. A graph has at most one InputNode, from a `with` block. Source: Ray's page "Lazy
    Computation Graphs with the Ray DAG API".

    Example:
        with InputNode() as data:
            graph = add.bind(data[0], data.offset)
        graph.execute(1, offset=2)
    """

    def __init__(self, *, input_type: Any = None) -> None:
        """Make the node.

        Args:
            input_type: Accepted for Ray's programs; not used.
        """
        super().__init__((), {})
        self._entered = False

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the node as it is: it can be used after the block, too."""

    def __getitem__(self, key: int | str) -> InputAttributeNode:
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise AssertionError(f"An item of an InputNode is chosen by an int or a str. Got: {key!r:.80}")
        return InputAttributeNode(self, key, is_attribute=False)

    def __getattr__(self, name: str) -> Any:
        # Libraries probe objects for names with underscores. `bind` and `remote` are mistakes.
        if name.startswith("_") or name in ("bind", "remote"):
            return super().__getattr__(name)
        return InputAttributeNode(self, name, is_attribute=True)

    def __iter__(self) -> NoReturn:
        raise TypeError(
            "An InputNode is not iterable, since its input is not known yet. Use its items: node[0], node[1]"
        )

    def _run(self, execution: Execution) -> Any:
        if not self._entered:
            raise AssertionError(
                "An InputNode must come from a with block: 'with InputNode() as data: graph = function.bind(data)'"
            )
        if execution.input_node not in (None, self):
            raise AssertionError("A graph has at most one InputNode, but this one has two. Use items of one: data[0]")
        execution.input_node = self
        args, kwargs = execution.args, execution.kwargs
        if not args and not kwargs:
            raise TypeError(
                "The graph has an InputNode, but execute() was called without arguments. Pass the graph's input: "
                "graph.execute(value)"
            )
        return args[0] if len(args) == 1 and not kwargs else DAGInputData(*args, **kwargs)


class InputAttributeNode(DAGNode):
    """An item or attribute of a graph's input: the value of `node[key]` or `node.name` of an `InputNode`."""

    def __init__(self, input_node: InputNode, key: int | str, *, is_attribute: bool) -> None:
        super().__init__((input_node,), {})
        self._key = key
        self._is_attribute = is_attribute

    @property
    def key(self) -> int | str:
        """The key or the attribute's name."""
        return self._key

    def _run(self, execution: Execution) -> Any:
        value = execution.values[self._args[0]]
        if self._is_attribute and not isinstance(value, DAGInputData):
            return getattr(value, str(self._key))
        return value[self._key]

    def __getitem__(self, key: Any) -> NoReturn:
        raise TypeError(
            f"The graph uses {self._shown()}[{key!r:.40}], but only items of the input itself are nodes. Take the "
            "inner item in the function that gets the outer one."
        )

    def __iter__(self) -> NoReturn:
        raise TypeError("A part of a graph's input is not iterable, since the input is not known yet.")

    def _shown(self) -> str:
        return f"input.{self._key}" if self._is_attribute else f"input[{self._key!r}]"

    def _name(self) -> str:
        return self._shown()

    def __repr__(self) -> str:
        return f"InputAttributeNode({self._shown()})"


class DAGInputData:
    """The input of a graph that was executed with several arguments: `data[0]` and `data["name"]`. Any thread."""

    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        self._args = args
        self._kwargs = kwargs

    def __getitem__(self, key: int | str) -> Any:
        """Return an argument of `execute`.

        Raises:
            IndexError: There are fewer positional arguments.
            KeyError: There is no such keyword argument.
            TypeError: The key is neither an int nor a str.
        """
        if isinstance(key, str):
            if key not in self._kwargs:
                raise KeyError(
                    f"The graph uses the keyword argument {key!r} of execute(), which has got {self._given()}"
                )
            return self._kwargs[key]
        if not isinstance(key, int):
            raise TypeError(f"An argument is chosen by an int or a str. Got: {key!r:.80}")
        try:
            return self._args[key]
        except IndexError:
            message = f"The graph uses the positional argument {key} of execute(), which has got {self._given()}"
            raise IndexError(message) from None

    def _given(self) -> str:
        count = len(self._args)
        names = ", ".join(self._kwargs) or "none"
        return f"{count} positional argument{'s' if count != 1 else ''}; its keyword arguments: {names}"

    def __repr__(self) -> str:
        return f"DAGInputData({self._given()})"
