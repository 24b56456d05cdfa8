"""A subclass of cloudpickle's pickler. Imported at its first use, since it takes half of a session's import time.

It pickles more kinds of objects by value than cloudpickle: see `kinds`. An object that reduces itself to a name of a
module which the other process does not have, and is of none of these kinds, is refused.

Every class and function that is pickled by value contains code objects. Code of another version of Python would crash
the interpreter, so the function that rebuilds a code object refuses it. Other objects need no such check.
"""

from __future__ import annotations

import functools
import pickle
import sys
import types
from collections import ChainMap
from collections.abc import Callable
from typing import Any, ClassVar

import cloudpickle

from nbactors.definitions import classes, enums, kinds, main_names
from nbactors.definitions.importable import address_of
from nbactors.exceptions import ForeignCodeError, source_lines

_PYTHON = sys.version_info[:2]

_reduce = cloudpickle.CloudPickler.dispatch_table[types.CodeType]


_NO_FILE = "<string>"
_PROGRAM = "<python -c>"


def _filename(code: types.CodeType) -> str:
    """Return the file name of code. That of a program of `python -c` is told apart from what libraries generate."""
    return _PROGRAM if code.co_filename == _NO_FILE and sys.argv[:1] == ["-c"] else code.co_filename


def _reduce_code(code: types.CodeType) -> tuple[Any, ...]:
    make, arguments = _reduce(code)[:2]
    return _rebuild_code, (make, arguments, _filename(code), _PYTHON, code.co_name)


def _reduce_code_with_source(sources: dict[str, str], code: types.CodeType) -> tuple[Any, ...]:
    filename = code.co_filename
    if filename not in sources:  # pickle writes the same object once
        sources[filename] = source_lines.of_code(filename)
    rebuild, arguments = _reduce_code(code)
    return (rebuild, (*arguments, source)) if (source := sources[filename]) else (rebuild, arguments)


def _rebuild_code(
    make: Callable[..., types.CodeType],
    arguments: tuple[Any, ...],
    filename: str,
    python: tuple[int, int],
    name: str,
    source: str = "",
) -> types.CodeType:
    if python != _PYTHON:
        raise ForeignCodeError(python, _PYTHON, name, filename)
    source_lines.learn(filename, source)
    return make(*arguments).replace(co_filename=filename)


_FindReducer = Callable[[type], Callable[[Any], Any] | None]


class _Table(ChainMap[Any, Any]):
    """A table of reducers by class, which asks a function about the classes that are not in it."""

    def __init__(self, reducer: _FindReducer, *maps: Any) -> None:
        super().__init__(*maps)
        self._reducer = reducer

    def __missing__(self, kind: type) -> Any:
        found = self._reducer(kind)
        if found is None:
            raise KeyError(kind)
        return found


class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc] # cloudpickle has no types
    """A pickler of all that a notebook defines. It stores with each code object its file name and version of Python.

    cloudpickle replaces file names since its version 3.1.3; tracebacks could not show source lines then.

    Args:
        stream: Where to write.
        reducer: Returns how to reduce the instances of a class that has no reducer in the table; None to leave it.
        first: Reducers by class that come before those of cloudpickle.
        is_sent: Whether a worker shall give what comes from `__main__` its name. See `main_names`.
        is_code: Whether this is a class or function to be run: its source goes with it, and names in annotations.
        options: As of pickle's own.
    """

    dispatch_table: ClassVar[ChainMap[Any, Any]] = ChainMap(
        {types.CodeType: _reduce_code, **kinds.REDUCERS}, cloudpickle.CloudPickler.dispatch_table
    )

    def __init__(
        self,
        stream: Any,
        reducer: _FindReducer | None = None,
        first: dict[type, Callable[[Any], Any]] | None = None,
        *,
        is_sent: bool = False,
        is_code: bool = False,
        **options: Any,
    ) -> None:
        if reducer is not None:  # pickle's own constructor reads the attribute
            self.dispatch_table = _Table(reducer, first or {}, *type(self).dispatch_table.maps)  # type: ignore[misc]
        if is_code:
            with_source = {types.CodeType: functools.partial(_reduce_code_with_source, {})}
            self.dispatch_table.maps.insert(1, with_source)
        self._is_sent, self._is_code = is_sent, is_code
        super().__init__(stream, **options)
        self._plain: set[type] = set()
        """The classes whose instances pickle reduces by itself, of those that it has met."""

    def reducer_override(self, thing: Any) -> Any:
        """Return how an object is pickled; NotImplemented to leave it to pickle. pickle calls it for each object."""
        kind = type(thing)
        if kind in self._plain or kind in _REDUCED:
            return NotImplemented
        if kind is types.FunctionType:
            return NotImplemented if thing in _MAKERS else self._reduce_function(thing)
        if not issubclass(kind, type):
            return self._reduce_instance(kind, thing)
        reduced = super().reducer_override(thing)
        if reduced is NotImplemented or len(reduced) != _BY_VALUE:
            return reduced
        reduced = enums.reduced(thing, classes.reduced(thing, reduced))
        return self._with_name(thing, thing.__qualname__, reduced)

    def _reduce_function(self, thing: types.FunctionType) -> Any:
        if thing.__code__ is kinds.DISPATCHER and not _is_importable(thing, thing.__qualname__):
            reduced: Any = kinds.dispatcher(thing)
        else:
            reduced = super().reducer_override(thing)
            if reduced is NotImplemented or not self._is_code:
                return reduced
            space = reduced[2][1]["__globals__"]
            for name, value in main_names.referred(thing.__annotations__, thing.__globals__).items():
                space.setdefault(name, value)
        return self._with_name(thing, thing.__qualname__, reduced) if self._is_code else reduced

    def _with_name(self, thing: Any, name: str, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
        """Have a worker give an object of `__main__` its name there, if the name leads to the object here."""
        if not self._is_sent or thing.__module__ != "__main__":
            return reduced
        stamp = main_names.stamp(thing, name)
        if not stamp:
            return reduced
        make, arguments, *more = reduced
        state, set_state = (more[0], more[-1]) if more else (None, None)
        others: dict[str, Any] = {}
        if self._is_code and isinstance(thing, type):
            space = vars(sys.modules["__main__"])
            others = main_names.referred(vars(thing).get("__annotations__"), space)
            if "__file__" in space:
                others["__file__"] = space["__file__"]
        return make, arguments, (set_state, state, name, stamp, others), None, None, main_names.receive

    def _reduce_instance(self, kind: type, thing: Any) -> Any:
        """Return how the first object of its class is pickled."""
        if kind.__reduce_ex__ is _reduce_ex and kind.__reduce__ is _reduce_object:
            reduced: Any = kinds.lazy_property(thing)
            if reduced is not None:
                return reduced
        elif not self._has_reducer(kind):
            reduced = thing.__reduce_ex__(self.proto)
            if isinstance(reduced, str):
                return self._named(thing, reduced)
            self._plain.add(kind)
            return reduced
        self._plain.add(kind)
        return NotImplemented

    def _has_reducer(self, kind: type) -> bool:
        try:
            self.dispatch_table[kind]
        except KeyError:
            return False
        return True

    def _named(self, thing: Any, name: str) -> Any:
        """Return how an object is pickled that has reduced itself to a name.

        Raises:
            PicklingError: The name is of `__main__`, and the object is of no kind that can be made anew.
        """
        if _is_importable(thing, name):
            return name
        reduced = kinds.by_value(thing)
        if reduced is None and thing.__module__ == "__main__":
            raise pickle.PicklingError(
                f"{type(thing).__qualname__} reduces itself to the name {name!r} of __main__, which other processes do "
                "not have: define it in a module, or let its __reduce__ return how it is made"
            )
        if reduced is None:
            return name
        is_function = callable(thing) and kinds.is_cached_function(thing)
        return reduced if is_function and not self._is_code else self._with_name(thing, name, reduced)


def _is_importable(thing: Any, name: str) -> bool:
    """Return whether a name leads to an object in its module. Also True if the object does not tell its module."""
    module = getattr(thing, "__module__", None)
    return not isinstance(module, str) or address_of(thing, module, name) is not None


_REDUCED = frozenset(Pickler.dispatch_table)
"""Classes with a reducer, which pickle finds by itself."""

_MAKERS = frozenset(
    thing
    for module in (cloudpickle.cloudpickle, classes, enums, kinds, main_names, sys.modules[__name__])
    for thing in vars(module).values()
    if isinstance(thing, types.FunctionType) and thing.__module__ == module.__name__
)
"""The functions that make things anew. They are pickled by name, and cloudpickle would find that out each time."""

_BY_VALUE = 6
"""The length of the reduction of what is pickled by value: with a function that sets the state."""

_reduce_ex: Any = object.__reduce_ex__
_reduce_object: Any = object.__reduce__
