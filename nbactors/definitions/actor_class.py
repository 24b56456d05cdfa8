"""Inspection of a user's class: which methods its actors have, and whether the class can be an actor class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nbactors.definitions.hooks import HOOKS, RESTORE, SAVE
from nbactors.definitions.metadata import STREAMING, UNLIMITED, ActorMeta, MethodMeta
from nbactors.definitions.signature import ANYTHING, NOTHING, Signature
from nbactors.options import ActorOptions
from nbactors.options.checks import closest

NUM_RETURNS = "__ray_num_returns__"
"""Name of the function's attribute that `@method(num_returns=)` sets, as in Ray."""

GROUP = "__ray_concurrency_group__"
"""Name of the function's attribute that `@method(concurrency_group=)` sets."""

BACKPRESSURE = "__ray_generator_backpressure_num_objects__"
"""Name of the function's attribute that `@method(_generator_backpressure_num_objects=)` sets."""

EVENTS = "__ray_enable_task_events__"
"""Name of the function's attribute that `@method(enable_task_events=)` sets, as in Ray."""

RETRIES, RETRIED, TIMEOUT = "__ray_max_task_retries__", "__ray_retry_exceptions__", "__ray_timeout_s__"
"""Names of the attributes that `@method(max_task_retries=, retry_exceptions=, timeout_s=)` sets."""

_EVERY_ACTOR_HAS = {
    "__ray_ready__": NOTHING,
    "__ray_call__": Signature.of(lambda fn, *args, **kwargs: None, skip_self=False),
    "__ray_terminate__": NOTHING,
}


def actor_meta(cls: type) -> ActorMeta:
    """Return the metadata of a class that becomes an actor class, including the methods of its base classes.

    Raises:
        ValueError: The runtime could not call the class's `__ray_shutdown__` or one of its hooks.
    """
    _check_shutdown(cls)
    _check_hooks(cls)
    members = list(_methods(cls))
    methods = {name: _method_meta(name, member) for name, member in members}
    for name, signature in _EVERY_ACTOR_HAS.items():
        methods[name] = MethodMeta(name, signature)
    return ActorMeta(
        class_name=cls.__name__,
        module=cls.__module__,
        methods=methods,
        is_async=any(_is_async(_function(member)) for _, member in members) or _is_async(cls.__init__),  # type: ignore[misc]
    )


def with_options(meta: ActorMeta, options: ActorOptions) -> ActorMeta:
    """Return the metadata for handles of actors with these options.

    Raises:
        ValueError: A method's group is not declared, or in-order execution is requested but calls overlap.
    """
    groups = tuple(options.concurrency_groups)
    for method in meta.methods.values():
        check_group(method.group, groups, f"{meta.class_name}.{method.name}")
    overlap = meta.is_async or (options.max_concurrency or 1) > 1
    if overlap and options.allow_out_of_order_execution is False:
        kind = "async" if meta.is_async else "multi-threaded"
        raise ValueError(
            f"{meta.class_name}: allow_out_of_order_execution=False is not possible for {kind} actors, whose calls "
            "overlap. Leave it out"
        )
    in_order = not (overlap if options.allow_out_of_order_execution is None else options.allow_out_of_order_execution)
    methods = meta.methods
    if not options.enable_task_events:
        methods = {
            name: method if method.has_events is not None else method._replace(has_events=False)
            for name, method in methods.items()
        }
    return meta._replace(
        methods=methods,
        groups=groups,
        in_order=in_order,
        max_pending_calls=options.max_pending_calls,
        max_task_retries=options.max_task_retries,
    )


def check_group(group: str, known: Sequence[str], label: str) -> None:
    """Check that a class has declared a concurrency group. The default group "" needs no declaration.

    Raises:
        ValueError: The group is not declared; the message names the declared groups.
    """
    if group and group not in known:
        listed = ", ".join(map(repr, known)) or "none"
        raise ValueError(
            f"{label}: there is no concurrency group {group!r}.{closest(group, known)} The class has {listed}. Declare "
            f"it over the class: @remote(concurrency_groups={{{group!r}: 2}})"
        )


def constructor_signature(cls: type) -> Signature:
    """Return the signature of `Cls.remote`, which is that of the class's constructor."""
    constructor: Any = cls.__init__  # type: ignore[misc] # only inspected, never called
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
    """Yield the name and class-dict entry of each method. For an overridden method, only the last override."""
    members: dict[str, Any] = {}
    for base in reversed(cls.__mro__[:-1]):  # all but `object`
        members.update(vars(base))
    for name, member in members.items():
        inner = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        wraps = callable(inner) and hasattr(inner, "__wrapped__") and not isinstance(inner, type)
        if name != "__init__" and (inspect.isfunction(inner) or wraps or isinstance(inner, functools.partialmethod)):
            yield name, member


def _function(member: Any) -> Callable[..., Any]:
    """Return the function of an entry of a class dict, without its `staticmethod`, `classmethod` or `partialmethod`."""
    return member.func if isinstance(member, functools.partialmethod) else getattr(member, "__func__", member)


def _is_async(function: Callable[..., Any]) -> bool:
    # The wrapped function does not count: a plain wrapper around a coroutine function most likely runs it.
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def is_generator(function: Callable[..., Any]) -> bool:
    """Return whether a function, or the function that it wraps, is a generator function, `async` or not."""
    bare = inspect.unwrap(function)
    return any(inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one) for one in (function, bare))


def _method_meta(name: str, member: Any) -> MethodMeta:
    function = _function(member)
    generates = is_generator(function)
    if isinstance(member, functools.partialmethod):
        signature = ANYTHING
    else:
        signature = Signature.of(inspect.unwrap(function), skip_self=not isinstance(member, staticmethod))
    return MethodMeta(
        name=name,
        signature=signature,
        num_returns=getattr(function, NUM_RETURNS, STREAMING if generates else 1),
        doc=inspect.cleandoc(function.__doc__) if isinstance(function.__doc__, str) else "",
        generates=generates,
        group=getattr(function, GROUP, ""),
        backpressure=getattr(function, BACKPRESSURE, UNLIMITED),
        max_task_retries=getattr(function, RETRIES, None),
        retry_exceptions=getattr(function, RETRIED, False),
        timeout_s=getattr(function, TIMEOUT, None),
        has_events=getattr(function, EVENTS, None),
    )


def _check_shutdown(cls: type) -> None:
    member = inspect.getattr_static(cls, "__ray_shutdown__", None)
    if member is None:
        return
    function = getattr(member, "__func__", member)
    if not callable(function):
        raise ValueError(f"{cls.__name__}.__ray_shutdown__ must be a method. Got: {type(member).__name__}")
    signature = Signature.of(function, skip_self=not isinstance(member, staticmethod))
    deferred = inspect.iscoroutinefunction(function) or is_generator(function)
    if deferred or not signature.minimum <= 0 <= signature.maximum:
        raise ValueError(
            f"{cls.__name__}.__ray_shutdown__ must be a synchronous method that takes no arguments but self, since "
            "the runtime calls it when the actor ends: def __ray_shutdown__(self). "
            f"Got: {'async ' if inspect.iscoroutinefunction(function) else ''}{signature.display}"
        )


def _check_hooks(cls: type) -> None:
    """Check the hooks when the class is defined. Otherwise a mistake would show only when an update needs the hook."""
    for name, given in HOOKS.items():
        member = inspect.getattr_static(cls, name, None)
        if member is None:
            continue
        if not inspect.isfunction(member):
            raise ValueError(f"{cls.__name__}.{name} must be a method. Got: {type(member).__name__}")
        signature = Signature.of(member, skip_self=True)
        if is_generator(member) or not signature.minimum <= len(given) <= signature.maximum:
            shown = ", ".join(("self", *given))
            raise ValueError(f"{cls.__name__}.{name} must be def {name}({shown}). Got: {signature.display}")
    if (getattr(cls, SAVE, None) is None) != (getattr(cls, RESTORE, None) is None):
        there, missing = (SAVE, RESTORE) if getattr(cls, SAVE, None) is not None else (RESTORE, SAVE)
        raise ValueError(f"{cls.__name__} has {there} but no {missing}: a state that is saved has to be restored, too")
