"""Kinds of objects that pickle and cloudpickle know only by name, and how they are pickled by value.

A cached function, a `NewType` or a `ParamSpec` of `__main__` reduces itself to its name. No other process has that
name, so each kind is made anew there. Objects whose identity counts, as in annotations and `isinstance`, are tracked as
cloudpickle tracks classes: the second arrival gives the first object, and the way back gives the original.

Imported together with cloudpickle, at its first use.
"""

from __future__ import annotations

import functools
import sys
import threading
import types
import typing
import uuid
from collections.abc import Callable
from typing import Any

from cloudpickle import cloudpickle

_Reduced = tuple[Any, ...]

_LOCKED = sys.version_info < (3, 12)
"""Whether a `cached_property` contains a lock, which cannot be pickled."""

_TYPING = frozenset({"typing", "typing_extensions"})
_DEFAULTS = ("__wrapped__", "cache_parameters")
_OF_DISPATCHERS = frozenset({"register", "dispatch", "registry", "_clear_cache", "__wrapped__"})
_NAMES = ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__")


def by_value(thing: Any) -> _Reduced | None:
    """Return how an object is pickled that reduces itself to a name; None if it is of no kind in this module."""
    kind = type(thing)
    if is_cached_function(thing):
        return _cached_function(thing)
    if kind.__module__ not in _TYPING:
        return None
    reduce = _OF_TYPING.get(kind.__name__)
    return None if reduce is None else reduce(thing)


# ------------------------------------------------------------------------------------------------------------ functools


def is_cached_function(thing: Any) -> bool:
    """Return whether an object is a function under `lru_cache`."""
    return isinstance(thing, functools._lru_cache_wrapper)


def _cached_function(thing: Any) -> _Reduced | None:
    """Return how a function under `lru_cache` is pickled: with its limit, but without the results that it keeps."""
    if not hasattr(thing, "cache_parameters"):  # not made by `lru_cache`
        return None
    parameters = thing.cache_parameters()
    state = {name: value for name, value in vars(thing).items() if name not in _DEFAULTS}
    made = (thing.__wrapped__, parameters["maxsize"], parameters["typed"])
    return _make_cached_function, made, state, None, None, _set_attributes


def _make_cached_function(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(function)


def _set_attributes(thing: Any, state: dict[str, Any]) -> None:
    """Set an object's attributes, as pickle does without a setter."""
    vars(thing).update(state)


def dispatcher(function: Any) -> _Reduced:
    """Return how a function under `functools.singledispatch` is pickled: with its implementations."""
    names = {name: getattr(function, name) for name in _NAMES}
    attributes = {name: value for name, value in vars(function).items() if name not in _OF_DISPATCHERS}
    state = (dict(function.registry), function.__wrapped__, names, attributes)
    return _make_dispatcher, (function.__name__,), state, None, None, _set_implementations


def _make_dispatcher(name: str) -> Any:
    def default(_: Any) -> None: ...

    default.__name__ = name  # the error for a call without arguments has it
    return functools.singledispatch(default)


def _set_implementations(function: Any, state: tuple[Any, ...]) -> None:
    registry, wrapped, names, attributes = state
    for kind, implementation in registry.items():
        function.register(kind, implementation)
    function.__wrapped__ = wrapped
    for name, value in names.items():
        setattr(function, name, value)
    vars(function).update(attributes)


DISPATCHER: types.CodeType = _make_dispatcher("").__code__
"""The code of all functions that `functools.singledispatch` makes."""


def _dispatching_method(thing: Any) -> _Reduced:
    """Return how a `functools.singledispatchmethod` is pickled: without the methods that it keeps for instances."""
    state = {name: value for name, value in vars(thing).items() if name != "_method_cache"}
    return type(thing), (thing.func,), state


def lazy_property(thing: Any) -> _Reduced | None:
    """Return how a `cached_property` is pickled: without its lock. None for any other object, and without a lock."""
    if not _LOCKED or not isinstance(thing, functools.cached_property) or "lock" not in vars(thing):
        return None
    state = {name: value for name, value in vars(thing).items() if name != "lock"}
    return _make_lazy_property, (type(thing),), state


def _make_lazy_property(kind: Any) -> Any:
    made = kind.__new__(kind)
    made.lock = threading.RLock()
    return made


# --------------------------------------------------------------------------------------------------------------- typing


def _new_type(thing: Any) -> _Reduced:
    names = {name: getattr(thing, name) for name in ("__qualname__", "__module__")}
    return _make_new_type, (type(thing), thing.__name__, thing.__supertype__, names, _tracker(thing))


def _make_new_type(kind: Any, name: str, supertype: Any, names: dict[str, str], tracker: str) -> Any:
    made = kind(name, supertype)
    vars(made).update(names)
    return _first(tracker, made)


def _type_parameter(thing: Any) -> _Reduced:
    options: dict[str, Any] = {}
    if getattr(thing, "__infer_variance__", False):
        options["infer_variance"] = True
    else:
        for name in ("covariant", "contravariant"):
            if getattr(thing, f"__{name}__", False):
                options[name] = True
    if getattr(thing, "__bound__", None) is not None:
        options["bound"] = thing.__bound__
    if _has_default(thing):
        options["default"] = thing.__default__
    constraints = getattr(thing, "__constraints__", ())
    made = (type(thing), thing.__name__, constraints, options, thing.__module__, _tracker(thing))
    return _make_type_parameter, made


def _make_type_parameter(
    kind: Any, name: str, constraints: tuple[Any, ...], options: dict[str, Any], module: str, tracker: str
) -> Any:
    made = kind(name, *constraints, **options)
    made.__module__ = module
    return _first(tracker, made)


def _type_variable(thing: Any) -> _Reduced:
    """Return how a `TypeVar` is pickled: as cloudpickle does, and with what cloudpickle leaves out."""
    reduced: _Reduced = _reduce_type_variable(thing)
    if reduced[0] is getattr or not (_has_default(thing) or getattr(thing, "__infer_variance__", False)):
        return reduced
    return _type_parameter(thing)


def _has_default(thing: Any) -> bool:
    has_default = getattr(thing, "has_default", None)
    return has_default is not None and bool(has_default())


_reduce_type_variable = cloudpickle.CloudPickler.dispatch_table[typing.TypeVar]


def _type_alias(thing: Any) -> _Reduced:
    made = (type(thing), thing.__name__, thing.__type_params__, thing.__module__, _tracker(thing))
    if thing.__type_params__ or type(thing) is not getattr(typing, "TypeAliasType", None):
        return _make_type_alias, (*made, thing.__value__)
    # A `type` statement evaluates the value when it is asked for, so the value may contain the alias.
    return _make_lazy_alias, made[1:2] + made[3:], [thing.__value__], None, None, _set_alias_value


def _make_type_alias(kind: Any, name: str, parameters: tuple[Any, ...], module: str, tracker: str, value: Any) -> Any:
    # An alias belongs to the module of the code that makes it.
    space = {"__name__": module, "kind": kind, "value": value, "parameters": parameters}
    return _first(tracker, eval(f"kind({name!r}, value, type_params=parameters)", space))


def _make_lazy_alias(name: str, module: str, tracker: str) -> Any:
    value: list[Any] = []
    space: dict[str, Any] = {"__name__": module, "value": value}
    exec(f"type {name} = value[0]", space)
    made = space[name]
    found = _first(tracker, made)
    if found is made:
        _values[id(made)] = value
    return found


def _set_alias_value(alias: Any, value: list[Any]) -> None:
    awaited = _values.pop(id(alias), None)
    if awaited is not None:
        awaited += value


_values: dict[int, list[Any]] = {}
"""The lists that get the values of aliases while these are unpickled."""


def _of_parameter(name: str) -> Callable[[Any], _Reduced]:
    return lambda thing: (getattr, (thing.__origin__, name))


_OF_TYPING: dict[str, Callable[[Any], _Reduced]] = {
    "NewType": _new_type,
    "ParamSpec": _type_parameter,
    "TypeVarTuple": _type_parameter,
    "TypeVar": _type_parameter,
    "TypeAliasType": _type_alias,
}


# ------------------------------------------------------------------------------------------------------------- tracking

_kept: dict[str, Any] = {}
"""The tracked objects to which there are no weak references, by their trackers."""


def _tracker(thing: Any) -> str:
    try:
        return str(cloudpickle._get_or_create_tracker_id(thing))
    except TypeError:
        for tracker, kept in list(_kept.items()):
            if kept is thing:
                return tracker
        tracker = uuid.uuid4().hex
        _kept[tracker] = thing
        return tracker


def _first(tracker: str, made: Any) -> Any:
    """Return the object that came first by this tracker, or is the original; otherwise note the new one."""
    try:
        return cloudpickle._lookup_class_or_track(tracker, made)
    except TypeError:
        return _kept.setdefault(tracker, made)


REDUCERS: dict[Any, Callable[[Any], _Reduced]] = {
    functools.singledispatchmethod: _dispatching_method,
    typing.TypeVar: _type_variable,
    typing.ParamSpecArgs: _of_parameter("args"),
    typing.ParamSpecKwargs: _of_parameter("kwargs"),
}
"""Reducers by class that come before those of cloudpickle."""
