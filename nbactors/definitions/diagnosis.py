"""Finds the part of a value that cannot be pickled, for the error message."""

from __future__ import annotations

import traceback
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from nbactors.exceptions.user_frames import are_users

_DEPTH = 6


class Part(NamedTuple):
    """A part of a value.

    Attributes:
        name: Its short name: of an attribute or variable, or a number.
        label: What it is, in words.
        value: The part itself.
    """

    name: str
    label: str
    value: Any


ErrorOf = Callable[[Any], Exception | None]
"""Returns the error of pickling a value, None if it can be pickled."""


def culprit(value: Any, error_of: ErrorOf) -> str:
    """Return the path to the innermost part of `value` that cannot be pickled, in words; empty if none was found."""
    return _search(parts(value), error_of, _DEPTH, {id(value)})


def _search(candidates: Iterable[Part], error_of: ErrorOf, depth: int, seen: set[int]) -> str:
    for part in candidates:
        if error_of(part.value) is None:
            continue
        is_searched = depth > 1 and id(part.value) not in seen
        seen.add(id(part.value))
        deeper = _search(parts(part.value), error_of, depth - 1, seen) if is_searched else ""
        return f"{part.label}, {deeper}" if deeper else f"{part.label} (an object of type {_type(part.value)})"
    return ""


def parts(value: Any) -> Iterator[Part]:
    """Yield the parts of a value."""
    if isinstance(value, types.FunctionType):
        names = value.__code__.co_freevars
        for name, cell in zip(names, value.__closure__ or (), strict=False):
            try:
                label = f"variable {name!r} captured by function {value.__qualname__!r}"
                yield Part(name, label, cell.cell_contents)
            except ValueError:  # not assigned yet
                continue
        for name in value.__code__.co_names:
            if name in value.__globals__:
                label = f"global variable {name!r} used by function {value.__qualname__!r}"
                yield Part(name, label, value.__globals__[name])
    elif isinstance(value, types.MethodType):
        yield Part("__self__", "the object that the method is bound to", value.__self__)
    elif isinstance(value, type):
        for name, part in vars(value).items():
            function = getattr(part, "__func__", part)
            if isinstance(function, types.FunctionType):
                yield Part(name, f"method {name!r} of class {value.__qualname__!r}", function)
            elif not name.startswith("__"):
                yield Part(name, f"attribute {name!r} of class {value.__qualname__!r}", part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield Part(repr(key), f"key {key!r}", part)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, part in enumerate(value):
            yield Part(str(index), f"item {index}", part)
    elif hasattr(value, "__dict__") and not isinstance(value, types.ModuleType):
        for name, part in vars(value).items():
            yield Part(name, f"attribute {name!r} of {type(value).__qualname__!r}", part)


def refusal(value: Any, error: Exception, error_of: ErrorOf) -> TypeError:
    """Return the error for whoever wanted to send a value that cannot be pickled.

    Its cause is `error` only if code of the user has raised that, such as `__reduce__`: then its frames are of use.

    Args:
        value: The value; a tuple of positional and keyword arguments for a call.
        error: What pickling it has raised.
        error_of: Pickles a part of it.
    """
    if isinstance(error, RecursionError):
        text = f"cannot pickle {_brief(value)}: it is nested too deeply ({error})"
    else:
        where = _search(_arguments(*value), error_of, _DEPTH, set()) if _is_call(value) else culprit(value, error_of)
        at = f"; at fault: {where}" if where else ""
        text = (
            f"cannot pickle {_brief(value)} for another process{at} ({type(error).__name__}: {error}). Make it inside "
            "the actor or task instead, or leave it out with __getstate__ or __reduce__."
        )
    refused = TypeError(text)
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    refused.__cause__ = error if any(are_users(frames)) else None
    return refused


def _is_call(value: Any) -> bool:
    return isinstance(value, tuple) and [type(part) for part in value] == [tuple, dict]


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Part]:
    for name, part in (*enumerate(args, start=1), *kwargs.items()):
        yield Part(str(name), f"argument {name}", part)


def _brief(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        return f"{'class' if isinstance(value, type) else type(value).__name__} {name!r}"
    return "the arguments" if _is_call(value) else f"an object of type {_type(value)}"


def _type(value: Any) -> str:
    return repr(type(value).__qualname__)
