"""Static types of actors for type checkers: the type of a method under `@method`, and of a handle's attributes.

These types do not exist at run time: `@method` returns the function unchanged, and a handle has `ActorMethod` objects.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from nbactors.object_ref import ObjectRef
    from nbactors.object_ref_generator import ObjectRefGenerator

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")
Given = TypeVar("Given")
"""The type that a call returns: `ObjectRef[R]`, or for a generator `ObjectRefGenerator` of the yielded type."""
Given_co = TypeVar("Given_co", covariant=True)


class RemoteCall(Protocol[P, Given_co]):
    """An object whose `.remote(...)` takes the parameters P.

    Type checkers check the arguments against P. A reference may stand for any argument; if one of the first three
    arguments is a reference, the overload for it applies, which does not check the others.

    The parameter of that reference has its long name for error messages. If an argument is missing, pyright ignores the
    checked overload, compares with an overload of as few arguments, and names only that overload's parameter.
    """

    @overload
    def remote(self, /, *args: P.args, **kwargs: P.kwargs) -> Given_co: ...
    @overload
    def remote(self, missing_or_wrong_arguments_unless: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> Given_co: ...
    @overload
    def remote(
        self, first: Any, missing_or_wrong_arguments_unless: ObjectRef[Any], /, *args: Any, **kwargs: Any
    ) -> Given_co: ...
    @overload
    def remote(
        self, first: Any, second: Any, missing_or_wrong_arguments_unless: ObjectRef[Any], /, *args: Any, **kw: Any
    ) -> Given_co: ...
    def remote(self, /, *args: Any, **kwargs: Any) -> Given_co:
        """Submit a call, and return without waiting for it."""
        ...

    def bind(self, /, *args: Any, **kwargs: Any) -> Any:
        """Describe a call for a graph: see `nbactors.dag`."""
        ...


class RemoteMethod(Generic[P, R, Given]):
    """A method under `@method`: on an instance of the class an ordinary method, on a handle a `BoundRemoteMethod`."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> BoundRemoteMethod[P, Given]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Callable[P, R]: ...
        def __get__(self, instance: object, owner: type) -> Any:
            """Bind the method."""
            ...


class BoundRemoteMethod(RemoteCall[P, Given_co], Protocol[P, Given_co]):
    """The static type of `handle.method`."""

    @overload
    def options(
        self, *, name: str | None = None, concurrency_group: str | None = None, timeout_s: float | None = None
    ) -> RemoteCall[P, Given_co]: ...
    @overload
    def options(
        self,
        *,
        num_returns: int | Literal["streaming", "dynamic"] | None = None,
        name: str | None = None,
        concurrency_group: str | None = None,
        timeout_s: float | None = None,
        _generator_backpressure_num_objects: int | None = None,
    ) -> RemoteCall[..., Any]: ...
    def options(self, **options: Any) -> Any:
        """Return a copy of the method with options for its calls."""
        ...


class MethodDecorator(Protocol):
    """The type of the decorator that `@method(...)` with options returns."""

    # The order matters: the first overload that fits counts, and R of the last one fits coroutines and iterators, too.
    @overload
    def __call__(
        self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, V]], /
    ) -> RemoteMethod[P, Coroutine[Any, Any, V], ObjectRef[V]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, method: Callable[Concatenate[Any, P], Iterator[V]], /
    ) -> RemoteMethod[P, Iterator[V], ObjectRefGenerator[V]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, method: Callable[Concatenate[Any, P], AsyncIterator[V]], /
    ) -> RemoteMethod[P, AsyncIterator[V], ObjectRefGenerator[V]]: ...
    @overload
    def __call__(self, method: Callable[Concatenate[Any, P], R], /) -> RemoteMethod[P, R, ObjectRef[R]]: ...
    def __call__(self, method: Any, /) -> Any:
        """Decorate a method."""
        ...
