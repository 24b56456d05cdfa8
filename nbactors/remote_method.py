"""How type checkers see actors: what `@method` makes of a method, and what a handle has for attributes.

Only types: at run time `@method` returns the function that it was given, and a handle's attribute is an `ActorMethod`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from nbactors.object_ref import ObjectRef

P = ParamSpec("P")
R = TypeVar("R")


class RemoteCall(Protocol[P, R]):
    """Something with `.remote(...)` that takes P and gives a reference to R.

    Arguments are checked as those of the function itself. Where one of the first three is a reference, which stands
    for its value, the others are not checked.
    """

    @overload
    def remote(self, /, *args: P.args, **kwargs: P.kwargs) -> ObjectRef[R]: ...
    @overload
    def remote(self, first: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> ObjectRef[R]: ...
    @overload
    def remote(self, first: Any, second: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> ObjectRef[R]: ...
    @overload
    def remote(self, first: Any, second: Any, third: ObjectRef[Any], /, *args: Any, **kw: Any) -> ObjectRef[R]: ...
    def remote(self, /, *args: Any, **kwargs: Any) -> ObjectRef[R]:
        """Call it; returns at once."""
        ...


class RemoteMethod(Generic[P, R]):
    """A method under `@method`: in the class itself an ordinary method, on a handle something with `.remote`."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> BoundRemoteMethod[P, R]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Callable[P, R]: ...
        def __get__(self, instance: object, owner: type) -> Any:
            """Bind it."""
            ...


class BoundRemoteMethod(RemoteCall[P, R], Protocol[P, R]):
    """A method of a handle."""

    def options(self, *, num_returns: int | None = None, name: str | None = None) -> RemoteCall[..., Any]:
        """Return it with options for the calls that are made with what is returned."""
        ...


class MethodDecorator(Protocol):
    """What `@method(...)` with options is."""

    def __call__(self, method: Callable[Concatenate[Any, P], R], /) -> RemoteMethod[P, R]:
        """Decorate."""
        ...
