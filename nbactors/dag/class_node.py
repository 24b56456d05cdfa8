"""`ClassNode` and `ClassMethodNode`: actors in a graph, and the calls of their methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from nbactors.dag.input_node import InputNode
from nbactors.dag.node import DAGNode, Execution, upstream
from nbactors.options import CallOptions
from nbactors.options.checks import closest

if TYPE_CHECKING:
    from nbactors.definitions.metadata import ActorMeta, MethodMeta


class ClassNode(DAGNode):
    """An actor of a graph: the result of `ActorClass.bind(...)`. Each execution creates it once. Any thread.

    `node.method.bind(...)` is a call of a method. An execution that reaches such a call first makes all calls that were
    bound to the same ClassNode before it, in the order of their `bind`, as in Ray.
    """

    def __init__(self, actor_class: Any, meta: ActorMeta, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Make the node.

        Raises:
            ValueError: The graph's input is among the arguments.
        """
        super().__init__(args, kwargs)
        self._actor_class = actor_class
        self._meta = meta
        self._latest: ClassMethodNode | None = None
        if any(isinstance(node, InputNode) for node in upstream(self)):
            raise ValueError(
                f"An InputNode cannot be an argument of the constructor in {meta.class_name}.bind(), nor can a node "
                "that needs one. Pass the input to a method of the actor: node.method.bind(data)"
            )

    def _run(self, execution: Execution) -> Any:
        args, kwargs = execution.filled(self)
        return self._actor_class.remote(*args, **kwargs)

    def _name(self) -> str:
        return self._meta.class_name

    def __getattr__(self, name: str) -> Any:
        meta: ActorMeta | None = self.__dict__.get("_meta")  # None during unpickling
        if meta is not None and name in meta.methods:
            return _UnboundMethod(self, meta.methods[name], {})
        if meta is None or name.startswith("_") or name in ("bind", "remote"):
            return super().__getattr__(name)
        public = sorted(method for method in meta.methods if not method.startswith("_"))
        raise AttributeError(
            f"actor class {meta.class_name!r} has no method {name!r}.{closest(name, public)} "
            f"It has {', '.join(public) or 'none'}."
        )


class _UnboundMethod:
    """A method of a graph's actor: the value of `class_node.method`. Any thread."""

    def __init__(self, actor: ClassNode, meta: MethodMeta, options: dict[str, Any]) -> None:
        self._actor = actor
        self._meta = meta
        self._options = options

    def bind(self, /, *args: Any, **kwargs: Any) -> ClassMethodNode:
        """Describe a call of the method, for a graph.

        Raises:
            TypeError: The arguments do not fit the method.
        """
        actor, meta = self._actor, self._meta
        meta.signature.check(args, kwargs, f"{actor._name()}.{meta.name}")
        node = ClassMethodNode(actor, meta.name, args, kwargs, options=self._options, earlier=actor._latest)
        actor._latest = node
        return node

    def options(self, **options: Any) -> _UnboundMethod:
        """Return a copy of the method with options for its calls, as `handle.method.options(...)` does.

        Raises:
            TypeError, ValueError: See `ActorMethod.options`.
        """
        CallOptions.parse(options)
        return _UnboundMethod(self._actor, self._meta, options)

    def __getattr__(self, name: str) -> NoReturn:
        if name in ("remote", "execute"):
            raise AttributeError(
                f".{name}() cannot be used on a method of an actor that is not there yet. Bind its arguments first: "
                f".{self.__dict__['_meta'].name}.bind(...).execute()"
            )
        raise AttributeError(f"A method of a graph's actor has no attribute {name!r}: it has bind and options")


class ClassMethodNode(DAGNode):
    """A call of an actor's method: of `class_node.method.bind(...)` or `handle.method.bind(...)`. Any thread."""

    def __init__(
        self,
        actor: Any,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        options: dict[str, Any] | None = None,
        earlier: ClassMethodNode | None = None,
    ) -> None:
        """Make the node.

        Args:
            actor: A ClassNode, or the ActorMethod of an actor that is there.
            name: The method's name.
            args: The positional arguments.
            kwargs: The keyword arguments.
            options: The call's options, if the actor is a ClassNode.
            earlier: The call that was bound before to the same ClassNode.
        """
        super().__init__(args, kwargs)
        self._actor = actor
        self._method_name = name
        self._options = options or {}
        self._earlier = earlier

    def get_method_name(self) -> str:
        """Return the name of the method."""
        return self._method_name

    def _needs(self) -> list[DAGNode]:
        before = [node for node in (self._actor, self._earlier) if isinstance(node, DAGNode)]
        return super()._needs() + before

    def _run(self, execution: Execution) -> Any:
        method = self._actor
        if isinstance(method, ClassNode):
            method = getattr(execution.values[method], self._method_name)
        if self._options:
            method = method.options(**self._options)
        args, kwargs = execution.filled(self)
        return method.remote(*args, **kwargs)

    def _name(self) -> str:
        return self._method_name


class ClassMethodOutputNode(ClassMethodNode):
    """One of the results of a call with several: `handle.method.bind(...)` returns a tuple of these, as in Ray."""

    def __init__(self, call: ClassMethodNode, index: int) -> None:
        super().__init__(call._actor, call._method_name, (call, index), {})

    def _needs(self) -> list[DAGNode]:
        return [self._args[0]]

    def _run(self, execution: Execution) -> Any:
        call, index = self._args
        return execution.values[call][index]
