"""How type checkers see actors: what `@method` makes of a method, and what a handle has for attributes.

Only types: at run time `@method` returns the function that it was given, and a handle's attribute is an `ActorMethod`.
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
"""What a call gives: `ObjectRef[R]`, or `ObjectRefGenerator[R]` of what a generator yields."""
Given_co = TypeVar("Given_co", covariant=True)


class RemoteCall(Protocol[P, Given_co]):
    """Something with `.remote(...)` that takes P.

    Arguments are checked as those of the function itself. Where one of the first three is a reference, which stands
    for its value, the others are not checked.

    The reference's parameter is named for an error. Where an argument is missing, pyright leaves out the form that is
    checked, and compares with one that takes as few arguments: it then names that parameter, and no other.
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
        """Call it; returns at once."""
        ...


class RemoteMethod(Generic[P, R, Given]):
    """A method under `@method`: in the class itself an ordinary method, on a handle something with `.remote`."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> BoundRemoteMethod[P, Given]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Callable[P, R]: ...
        def __get__(self, instance: object, owner: type) -> Any:
            """Bind it."""
            ...


class BoundRemoteMethod(RemoteCall[P, Given_co], Protocol[P, Given_co]):
    """A method of a handle."""

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
        """Return it with options for the calls that are made with what is returned."""
        ...


class MethodDecorator(Protocol):
    """What `@method(...)` with options is."""

    # The first form that fits is the right one: coroutines and iterators are values of an R as well.
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
        """Decorate."""
        ...
