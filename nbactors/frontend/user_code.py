"""The register of the runtime's functions that call the user's code, for sessions and workers.

An interrupt is raised in the user's code and never in the midst of the runtime's own. But the runtime calls the user's
code, too: `__reduce__` while it pickles a value, `__setstate__` while it unpickles one, and callbacks. Such code may be
interrupted like any other, so the function that calls it has the decorator `lets_through`. The function and its callers
must hold no lock during that call, and leave no state half changed.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])
_through: set[CodeType] = set()


def lets_through(function: _F) -> _F:
    """Register a function of the runtime that calls the user's code, so that the code may be interrupted there."""
    _through.add(function.__code__)
    return function


def is_let_through(code: CodeType) -> bool:
    """Return whether the code belongs to a registered function."""
    return code in _through
