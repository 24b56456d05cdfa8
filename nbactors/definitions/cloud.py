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


class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc] # cloudpickle has no types
    """A pickler that stores with each code object its file name and its version of Python.

    cloudpickle replaces file names since its version 3.1.3; tracebacks could not show source lines then.
    """

    dispatch_table: ClassVar[ChainMap[Any, Any]] = ChainMap(
        {types.CodeType: _reduce_code}, cloudpickle.CloudPickler.dispatch_table
    )
