"""Where the runtime calls the user's code: the one register of it, for sessions and workers.

An interrupt is raised in the user's code and never in the midst of the runtime's own. The user's code also runs below
the runtime: in `__reduce__` while a value is pickled, in `__setstate__` while one is unpickled, in callbacks. Such code
may be interrupted like any other, so the function that calls it says so with `lets_through`. It may do so only if it
and its callers hold no lock then, and leave no state half changed.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])
_through: set[CodeType] = set()


def lets_through(function: _F) -> _F:
    """Mark a function of the runtime's whose callees may be interrupted: it calls the user's code, holding nothing."""
    _through.add(function.__code__)
    return function


def is_let_through(code: CodeType) -> bool:
    """Return whether the code is a function's that was marked."""
    return code in _through
