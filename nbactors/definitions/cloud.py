"""A subclass of cloudpickle's pickler. Imported at its first use, since it takes half of a session's import time.

Every class and function that is pickled by value contains code objects. Code of another version of Python would crash
the interpreter, so the function that rebuilds a code object refuses it. Other objects need no such check.
"""

from __future__ import annotations

import sys
import types
from collections import ChainMap
from collections.abc import Callable
from typing import Any, ClassVar

import cloudpickle

from nbactors.exceptions import ForeignCodeError

_PYTHON = sys.version_info[:2]

_reduce = cloudpickle.CloudPickler.dispatch_table[types.CodeType]


def _reduce_code(code: types.CodeType) -> tuple[Any, ...]:
    make, arguments = _reduce(code)[:2]
    return _rebuild_code, (make, arguments, code.co_filename, _PYTHON, code.co_name)


def _rebuild_code(
    make: Callable[..., types.CodeType], arguments: tuple[Any, ...], filename: str, python: tuple[int, int], name: str
) -> types.CodeType:
    if python != _PYTHON:
        raise ForeignCodeError(python, _PYTHON, name, filename)
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
    """A pickler that stores with each code object its file name and its version of Python.

    cloudpickle replaces file names since its version 3.1.3; tracebacks could not show source lines then.

    Args:
        stream: Where to write.
        reducer: Returns how to reduce the instances of a class that has no reducer in the table; None to leave it.
        first: Reducers by class that come before those of cloudpickle.
        options: As of pickle's own.
    """

    dispatch_table: ClassVar[ChainMap[Any, Any]] = ChainMap(
        {types.CodeType: _reduce_code}, cloudpickle.CloudPickler.dispatch_table
    )

    def __init__(
        self,
        stream: Any,
        reducer: _FindReducer | None = None,
        first: dict[type, Callable[[Any], Any]] | None = None,
        **options: Any,
    ) -> None:
        if reducer is not None:  # pickle's own constructor reads the attribute
            self.dispatch_table = _Table(reducer, first or {}, *type(self).dispatch_table.maps)  # type: ignore[misc]
        super().__init__(stream, **options)
