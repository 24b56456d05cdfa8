"""`RemoteFunction`: a function whose calls run in worker processes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar, overload

from nbactors import engine
from nbactors.definitions.importable import address_of, load
from nbactors.definitions.metadata import FunctionMeta
from nbactors.definitions.signature import Signature
from nbactors.engine.placement import check_place
from nbactors.options import TaskOptions
from nbactors.views import description

if TYPE_CHECKING:
    from nbactors.dag import FunctionNode
    from nbactors.object_ref import ObjectRef
    from nbactors.object_ref_generator import ObjectRefGenerator

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")


class RemoteFunction(Generic[P, R]):
    """A function decorated by `remote`: `function.remote(...)` runs it in a worker process. Any thread.

    `__wrapped__` is the user's function. Source: Ray's page "Tasks".
    """

    __nbactors_decoration__ = True  # see nbactors.definitions.importable

    def __init__(self, meta: FunctionMeta, options: TaskOptions) -> None:
        function = meta.function
        self.__wrapped__ = function
        self.__doc__ = function.__doc__
        self.__name__ = meta.name
        self.__qualname__ = getattr(function, "__qualname__", meta.name)
        self.__module__ = function.__module__
        self._meta = meta
        self._options = options

    @classmethod
    def _of(cls, function: Callable[P, R], options: dict[str, Any]) -> RemoteFunction[P, R]:
        """Return a remote function for a function; called by `remote`.

        Raises:
            TypeError, ValueError: An option is wrong, or the function is an `async def` function.
        """
        bare = inspect.unwrap(function)
        if inspect.iscoroutinefunction(bare) or inspect.isasyncgenfunction(bare):
            raise ValueError(
                "'async def' should not be used for remote tasks. You can wrap the async function with "
                f"`asyncio.run(f())`. Got: {function!r}"
            )
        generates = inspect.isgeneratorfunction(bare)
        name = getattr(function, "__name__", type(function).__name__)
        parsed = TaskOptions.parse(options, generates=generates, label=name)
        return cls(FunctionMeta(function, name, Signature.of(bare, skip_self=False), generates), parsed)

    # The overloads are those of `RemoteCall` in nbactors.remote_method, where they are explained. Those for generator
    # functions come first.
    @overload
    def remote(  # type: ignore[overload-overlap]
        self: RemoteFunction[P, Iterator[V]], /, *args: P.args, **kwargs: P.kwargs
    ) -> ObjectRefGenerator[V]: ...
    @overload
    def remote(  # type: ignore[overload-overlap]
        self: RemoteFunction[P, Iterator[V]],
        missing_or_wrong_arguments_unless: ObjectRef[Any],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> ObjectRefGenerator[V]: ...
    @overload
    def remote(  # type: ignore[overload-overlap]
        self: RemoteFunction[P, Iterator[V]],
        first: Any,
        missing_or_wrong_arguments_unless: ObjectRef[Any],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> ObjectRefGenerator[V]: ...
    @overload
    def remote(self, /, *args: P.args, **kwargs: P.kwargs) -> ObjectRef[R]: ...
    @overload
    def remote(
        self, missing_or_wrong_arguments_unless: ObjectRef[Any], /, *args: Any, **kwargs: Any
    ) -> ObjectRef[R]: ...
    @overload
    def remote(
        self, first: Any, missing_or_wrong_arguments_unless: ObjectRef[Any], /, *args: Any, **kwargs: Any
    ) -> ObjectRef[R]: ...
    @overload
    def remote(
        self, first: Any, second: Any, missing_or_wrong_arguments_unless: ObjectRef[Any], /, *args: Any, **kw: Any
    ) -> ObjectRef[R]: ...
    def remote(self, /, *args: Any, **kwargs: Any) -> Any:
        """Submit a task that runs the function in a worker process, and return without waiting for it.

        An ObjectRef among the arguments is replaced by its value before the function runs; an ObjectRef inside a list
        or another object is not. Example: `ref = square.remote(3)`. Source: Ray's page "Tasks".

        Returns:
            An ObjectRef; for ``num_returns`` above 1 a list of ObjectRefs, for 0 None. For a generator an
            ObjectRefGenerator.

        Raises:
            TypeError: The arguments do not fit the function, or cannot be pickled.
            TaskUnschedulableError: The scheduling strategy demands a node that does not exist.
        """
        meta = self._meta
        signature = meta.signature
        if kwargs or not signature.minimum <= len(args) <= signature.maximum:
            signature.check(args, kwargs, meta.name)
        current = engine.current()
        options = self._options
        if options.scheduling_strategy is not None:
            check_place(options.scheduling_strategy, current, "task", options.held(), self._meta.name)
        return current.submit_task(meta, args, kwargs, options)

    def bind(self, /, *args: Any, **kwargs: Any) -> FunctionNode:
        """Describe a call for a graph, without making it. Arguments may be nodes of the graph; see `nbactors.dag`.

        Example: `add.bind(double.bind(2), 1).execute()`. Source: Ray's page "Lazy Computation Graphs with the Ray DAG
        API".

        Raises:
            TypeError: The arguments do not fit the function.
        """
        from nbactors.dag import FunctionNode  # noqa: PLC0415 - few programs use it

        self._meta.signature.check(args, kwargs, self._meta.name)
        return FunctionNode(self, args, kwargs)

    def options(self, **options: Any) -> RemoteFunction[..., Any]:
        """Return a copy of this remote function in which these options of `remote` replace the present ones.

        Example: `square.options(num_cpus=2)`. Source: Ray's page "ray.remote_function.RemoteFunction.options".

        Raises:
            TypeError: A value has a wrong type.
            ValueError: An option is unknown, has a value that is not allowed, or is not served by this version.
        """
        meta = self._meta
        return RemoteFunction(meta, self._options.merged(options, generates=meta.generates, label=meta.name))

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse a direct call, since it would run the function in this process.

        Raises:
            TypeError: Always. The message shows the correct call.
        """
        name = f"{self.__module__}.{self.__name__}"
        raise TypeError(
            f"Remote functions cannot be called directly. Instead of running '{name}()', try '{name}.remote()'. "
            f"To run it here after all, call '{self.__name__}.__wrapped__()'."
        )

    @property
    def _function(self) -> Callable[P, R]:
        """The user's function. Ray has this property, too."""
        return self.__wrapped__

    @property
    def _function_name(self) -> str:
        """The function's module and name. Ray has this property, too."""
        return f"{self.__module__}.{self.__name__}"

    def __reduce__(self) -> tuple[Any, ...]:
        address = address_of(self, self.__module__, self.__qualname__)
        if address is not None:
            return load, address
        meta = self._meta
        return _empty, (), (meta.function, meta.name, meta.signature, meta.generates, self._options, self.__doc__)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        function, name, signature, generates, options, doc = state
        RemoteFunction.__init__(self, FunctionMeta(function, name, signature, generates), options)
        self.__doc__ = doc

    def __repr__(self) -> str:
        return f"RemoteFunction({self.__module__}.{self.__qualname__})"

    def _description(self) -> description.Description:
        meta = self._meta
        return description.function(
            self.__qualname__, self.__module__, meta.signature, self.__doc__ or "", self._options.given.items()
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self._description().text)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self._description().bundle()


def _empty() -> RemoteFunction[Any, Any]:
    """Return a remote function without attributes. Pickle sets these later, so a function may refer to itself."""
    return object.__new__(RemoteFunction)
