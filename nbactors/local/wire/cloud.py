"""cloudpickle, as the runtime needs it. Imported on first use: it is half of the import time of a session."""

from __future__ import annotations

import types
from collections import ChainMap
from collections.abc import Callable
from typing import Any, ClassVar

import cloudpickle

_reduce = cloudpickle.CloudPickler.dispatch_table[types.CodeType]


def _reduce_code(code: types.CodeType) -> tuple[Any, ...]:
    make, arguments = _reduce(code)[:2]
    return _rebuild_code, (make, arguments, code.co_filename)


def _rebuild_code(make: Callable[..., types.CodeType], arguments: tuple[Any, ...], filename: str) -> types.CodeType:
    return make(*arguments).replace(co_filename=filename)


class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc] # cloudpickle has no types
    """Keeps the file names of functions: since 3.1.3 cloudpickle replaces them, and tracebacks lose their sources."""

    dispatch_table: ClassVar[ChainMap[Any, Any]] = ChainMap(
        {types.CodeType: _reduce_code}, cloudpickle.CloudPickler.dispatch_table
    )
