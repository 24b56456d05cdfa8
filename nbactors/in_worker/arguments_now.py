"""The arguments of running calls, read from the frames of the calls' threads and coroutines.

A job keeps its arguments pickled only, and nothing is stored for this reader: a call costs the same whether or not it
is looked at.

- The frame in which the runtime has called a synchronous method has the arguments until the method returns, as they
  were passed, also when the method binds its names anew or deletes them.
- Of a coroutine, and of a generator while it runs, only the method's own frame is left. A name that the method has
  bound anew shows its new value, and a deleted one is missing. Before Python 3.13 such a frame keeps the values that
  were read until it is read again or ends.
"""

from __future__ import annotations

import gc
import inspect
import types
from types import AsyncGeneratorType, CoroutineType, FrameType, FunctionType, GeneratorType, MethodType
from typing import Any

from nbactors.exceptions.user_frames import is_hidden
from nbactors.in_worker.plain_repr import PlainRepr

MAX_TEXT = 80
"""The most characters of an argument's name or text."""

MAX_ARGUMENTS = 30

Arguments = list[tuple[str, str]]
"""Names and short texts."""

Called = tuple[Any, tuple[Any, ...], dict[str, Any]]
"""A function, its positional arguments, and its keyword arguments."""

_DEPTH = 2
_ARRAYS = {"cupy", "jax", "jaxlib", "numpy", "pandas", "polars", "pyarrow", "scipy", "torch", "xarray"}
"""Libraries whose types tell `shape` and `dtype` at once."""

_NAME: Any = type.__dict__["__name__"].__get__
_MODULE: Any = type.__dict__["__module__"].__get__
"""Read from `type`, since a metaclass may have its own `__getattribute__`."""

_MAX_WRAPPERS = 10


def of_call(called: Called, instance: Any, paused: bool = False) -> Arguments:
    """Return the arguments of a synchronous call. Any thread.

    Args:
        called: What the runtime has called on the thread of the call.
        instance: The actor's instance.
        paused: Whether the call waits for its user, see `of_frame`.
    """
    function, args, kwargs = called
    code, bound = _code(function)
    if code is not None and is_hidden(code.co_filename) and args and type(args[0]) is GeneratorType:
        return of_frame(args[0].gi_frame, instance, paused)  # the runtime makes the next step of the method's generator
    names = code.co_varnames[bound : code.co_argcount] if code is not None else ()
    pairs = [(names[index] if index < len(names) else "", value) for index, value in enumerate(args[:MAX_ARGUMENTS])]
    return _shown(pairs + list(kwargs.items()))


def of_frame(frame: FrameType | None, instance: Any, paused: bool = False) -> Arguments:
    """Return the arguments of the method that runs in a frame, without the instance. Any thread.

    There are none while the call is paused: before Python 3.13 a reader of a frame's variables undoes the assignments
    that the call's debugger has made.
    """
    if frame is None or paused:
        return []
    code, variables = frame.f_code, frame.f_locals
    plain = code.co_argcount + code.co_kwonlyargcount
    pairs = [(name, variables[name]) for name in code.co_varnames[:plain] if name in variables]
    rest = iter(code.co_varnames[plain:])
    if code.co_flags & inspect.CO_VARARGS:
        more = variables.get(next(rest))
        pairs += [("", value) for value in more] if type(more) is tuple else []
    if code.co_flags & inspect.CO_VARKEYWORDS:
        named = variables.get(next(rest))
        pairs += list(named.items()) if type(named) is dict else []
    return _shown([(name, value) for name, value in pairs if value is not instance])


def method_of(coroutine: Any, inner: list[FrameType] | None) -> FrameType | None:
    """Return the frame of the method that an asyncio task runs, None if it has not begun or has ended. Any thread.

    Args:
        coroutine: The runtime's coroutine, which awaits the method.
        inner: If the task runs, the frames of its thread that are within the coroutine, innermost first.
    """
    if inner:  # perhaps the task ran a moment ago, and awaits the method now
        return next((frame for frame in reversed(inner) if not is_hidden(frame.f_code.co_filename)), None)
    awaited = coroutine.cr_await
    while type(awaited) is CoroutineType:
        frame: FrameType | None = awaited.cr_frame
        if frame is None or not is_hidden(frame.f_code.co_filename):
            return frame
        awaited = awaited.cr_await
    # The object that the step of an asynchronous generator is has no attribute for the generator.
    if _name(type(awaited)) == "async_generator_asend":
        return next((each.ag_frame for each in gc.get_referents(awaited) if type(each) is AsyncGeneratorType), None)
    return None


def within(frame: FrameType | None, outer: FrameType | None) -> list[FrameType] | None:
    """Return the frames of a thread that are within another one, innermost first; None if that one is not on it.

    Args:
        frame: The innermost frame of the thread.
        outer: The other frame, None for all frames of the thread.
    """
    found = []
    while frame is not outer:
        if frame is None:
            return None
        found.append(frame)
        frame = frame.f_back
    return found


def _code(function: Any) -> tuple[types.CodeType | None, int]:
    """Return the code that names the arguments of a function, and how many of its arguments are bound."""
    bound = 0
    if issubclass(type(function), type):  # not `isinstance`, which may read the user's `__class__`
        function, bound = inspect.getattr_static(function, "__init__", None), 1
    elif type(function) is MethodType:
        function, bound = function.__func__, 1
    for _ in range(_MAX_WRAPPERS):
        wrapped = function.__dict__.get("__wrapped__") if type(function) is FunctionType else None
        if wrapped is None:
            break
        function = wrapped
    return (function.__code__, bound) if type(function) is FunctionType else (None, 0)


def _shown(pairs: list[tuple[str, Any]]) -> Arguments:
    return [(_cut(name), _cut(_text(value))) for name, value in pairs[:MAX_ARGUMENTS]]


def _text(value: Any) -> str:
    try:
        return _REPR.of(value, _DEPTH)
    except RuntimeError:  # the call's thread has changed the collection meanwhile
        return _name(type(value))


def _cut(text: str) -> str:
    text = str.__getitem__(text, slice(MAX_TEXT + 1))  # a keyword may be of a type with its own `__getitem__`
    text = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
    return text.encode("utf-8", "replace").decode()  # a keyword may be any text, and a message only valid one


def _name(kind: type) -> str:
    return _NAME(kind)  # type: ignore[no-any-return]


def _described(value: Any) -> str:
    """Return the name of a value's type, with the shape and the type of the items of an array or a table."""
    kind = type(value)
    name = _name(kind)
    if not _is_array_library(kind):
        return name
    try:
        # Looked for in the type, since a table may have a column of that name.
        shape = value.shape if hasattr(kind, "shape") else None
        dtype = value.dtype if hasattr(kind, "dtype") else None
        if not isinstance(shape, tuple) or not all(type(size) is int for size in shape):
            return name
        if shape == () and name != "ndarray" and getattr(dtype, "kind", "") in ("b", "i", "u", "f", "c"):
            item = value.item()  # a number of NumPy
            return repr(item) if type(item) in (bool, int, float, complex) else name
        return f"{name} {tuple(shape)}{f' {dtype}' if _is_array_library(type(dtype)) else ''}"
    except Exception:  # noqa: BLE001 - such as a table that its thread changes just now
        return name


def _is_array_library(kind: type) -> bool:
    try:
        module = _MODULE(kind)
    except AttributeError:
        return False
    return type(module) is str and module.partition(".")[0] in _ARRAYS


_REPR = PlainRepr(60, 8, _described)
