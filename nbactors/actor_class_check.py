"""Reading a user's class: which methods its actors have, and whether it can be an actor class at all."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from nbactors.meta import ActorMeta, MethodMeta
from nbactors.signature import ANYTHING, NOTHING, Signature

NUM_RETURNS = "__ray_num_returns__"
"""Where `@method(num_returns=)` leaves its mark on a function, as in Ray."""

_EVERY_ACTOR_HAS = {
    "__ray_ready__": NOTHING,
    "__ray_call__": Signature.of(lambda fn, *args, **kwargs: None, skip_self=False),
    "__ray_terminate__": NOTHING,
}


def actor_meta(cls: type) -> ActorMeta:
    """Read a class when it becomes an actor class; methods of its base classes count.

    Raises:
        ValueError: It has `async def` or generator methods, which this version does not serve, or a
            `__ray_shutdown__` that cannot be called as Ray calls it.
    """
    _check_shutdown(cls)
    methods = {name: _method_meta(cls, name, member) for name, member in _methods(cls)}
    for name, signature in _EVERY_ACTOR_HAS.items():
        methods[name] = MethodMeta(name, signature)
    return ActorMeta(class_name=cls.__name__, module=cls.__module__, methods=methods)


def constructor_signature(cls: type) -> Signature:
    """Return what `Cls.remote` takes."""
    constructor: Any = cls.__init__  # type: ignore[misc] # read, never called
    maker: Any = cls.__new__
    if inspect.isfunction(constructor):
        return Signature.of(constructor, skip_self=True)
    if constructor is object.__init__ and maker is object.__new__:
        return NOTHING
    try:
        return Signature.of(cls, skip_self=False)
    except ValueError:
        return ANYTHING


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield each method once, as it stands in the class dict, base classes first."""
    members: dict[str, Any] = {}
    for base in reversed(cls.__mro__[:-1]):  # all but `object`
        members.update(vars(base))
    for name, member in members.items():
        inner = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        wraps = callable(inner) and hasattr(inner, "__wrapped__") and not isinstance(inner, type)
        if name != "__init__" and (inspect.isfunction(inner) or wraps or isinstance(inner, functools.partialmethod)):
            yield name, member


def _method_meta(cls: type, name: str, member: Any) -> MethodMeta:
    function: Callable[..., Any] = getattr(member, "__func__", member)
    bare = inspect.unwrap(function)
    label = f"{cls.__name__}.{name}"
    if inspect.iscoroutinefunction(bare) or inspect.isasyncgenfunction(bare):
        raise ValueError(
            f"{label} is an 'async def' method, and asyncio actors are not served by this version of nbactors yet. "
            "Make it a plain method; inside it, `asyncio.run(...)` runs a coroutine"
        )
    refusal = ""
    if inspect.isgeneratorfunction(bare):
        refusal = (
            f"{label} is a generator method, and calls that stream their results are not served by this version of "
            "nbactors yet. Return a list instead"
        )
        # One with a private name is more likely a helper of other methods, and harmless until it is called remotely.
        if not name.startswith("_"):
            raise ValueError(f"{refusal}, or begin its name with '_' if only the class itself uses it")
    if isinstance(member, functools.partialmethod):
        signature = ANYTHING
    else:
        signature = Signature.of(bare, skip_self=not isinstance(member, staticmethod))
    return MethodMeta(
        name=name,
        signature=signature,
        num_returns=getattr(function, NUM_RETURNS, 1),
        doc=inspect.cleandoc(function.__doc__) if isinstance(function.__doc__, str) else "",
        refusal=refusal,
    )


def _check_shutdown(cls: type) -> None:
    member = inspect.getattr_static(cls, "__ray_shutdown__", None)
    if member is None:
        return
    function = getattr(member, "__func__", member)
    if not callable(function):
        raise ValueError(f"{cls.__name__}.__ray_shutdown__ must be a method. Got: {type(member).__name__}")
    signature = Signature.of(function, skip_self=not isinstance(member, staticmethod))
    deferred = inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function)
    if deferred or not signature.minimum <= 0 <= signature.maximum:
        raise ValueError(
            f"{cls.__name__}.__ray_shutdown__ must be a synchronous method that takes no arguments but self, since "
            "the runtime calls it when the actor ends: def __ray_shutdown__(self). "
            f"Got: {'async ' if inspect.iscoroutinefunction(function) else ''}{signature.display}"
        )
