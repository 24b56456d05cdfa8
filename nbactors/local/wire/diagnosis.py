"""Finds the part of a value that cannot be pickled, for the error message."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import cloudpickle

_DEPTH = 6


def culprit(value: Any) -> str:
    """Return the path to the innermost part of `value` that cannot be pickled, in words; empty if none was found."""
    return _search(value, _DEPTH, set())


def _search(value: Any, depth: int, seen: set[int]) -> str:
    if id(value) in seen or depth == 0:
        return ""
    seen.add(id(value))
    for label, part in _parts(value):
        if _pickles(part):
            continue
        deeper = _search(part, depth - 1, seen)
        if deeper:
            return f"{label}, {deeper}"
        return f"{label} (an object of type {type(part).__qualname__!r})"
    return ""


def _pickles(value: Any) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:  # noqa: BLE001 - users' __reduce__ and __getstate__ may raise anything
        return False
    return True


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a value, each with its name."""
    if isinstance(value, types.FunctionType):
        names = value.__code__.co_freevars
        for name, cell in zip(names, value.__closure__ or (), strict=False):
            try:
                yield f"variable {name!r} captured by function {value.__qualname__!r}", cell.cell_contents
            except ValueError:  # not assigned yet
                continue
        for name in value.__code__.co_names:
            if name in value.__globals__:
                yield f"global variable {name!r} used by function {value.__qualname__!r}", value.__globals__[name]
    elif isinstance(value, types.MethodType):
        yield "the object that the method is bound to", value.__self__
    elif isinstance(value, type):
        for name, part in vars(value).items():
            function = getattr(part, "__func__", part)
            if isinstance(function, types.FunctionType):
                yield f"method {name!r} of class {value.__qualname__!r}", function
            elif not name.startswith("__"):
                yield f"attribute {name!r} of class {value.__qualname__!r}", part
    elif isinstance(value, dict):
        for key, part in value.items():
            yield f"key {key!r}", part
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, part in enumerate(value):
            yield f"item {index}", part
    elif hasattr(value, "__dict__") and not isinstance(value, types.ModuleType):
        for name, part in vars(value).items():
            yield f"attribute {name!r} of {type(value).__qualname__!r}", part
