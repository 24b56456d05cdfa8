"""cloudpickle, as the runtime needs it. Imported on first use: it is half of the import time of a session.

Every class and function that travels by value contains code objects, and whoever unpickles it makes these first. There
code of another version of Python is refused: it would crash the interpreter. Nothing else pays for that.
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
    """Keeps the file names of functions, which since 3.1.3 cloudpickle replaces, so that tracebacks lose their sources.

    Notes which Python their code is of.
    """

    dispatch_table: ClassVar[ChainMap[Any, Any]] = ChainMap(
        {types.CodeType: _reduce_code}, cloudpickle.CloudPickler.dispatch_table
    )
