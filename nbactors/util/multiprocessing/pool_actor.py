"""`PoolActor`: one process of a pool."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined] # the standard pool's own
from typing import Any

Outcome = tuple[bool, Any]
"""Whether a call has returned, with its value, or has raised, with its exception."""


class Form(enum.Enum):
    """How the items of a batch become the arguments of a call."""

    ITEM = "item"
    STAR = "star"
    CALL = "call"


class PoolActor:
    """Runs the functions that a pool is given. Constructed and called by a `Pool`, in a process of its own."""

    def __init__(self, initializer: Callable[..., Any] | None = None, initargs: Sequence[Any] = ()) -> None:
        if initializer is not None:
            initializer(*initargs)

    def run_batch(self, function: Callable[..., Any], batch: list[Any], form: Form) -> list[Outcome]:
        """Call the function for each item, and return the outcomes in their order.

        An exception arrives with the text of its traceback as its cause, as from the standard library's pool.
        """
        return [_outcome(function, item, form) for item in batch]


def _outcome(function: Callable[..., Any], item: Any, form: Form) -> Outcome:
    try:
        if form is Form.ITEM:
            return True, function(item)
        if form is Form.STAR:
            return True, function(*item)
        args, kwargs = item
        return True, function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - the user's, which `get` raises in the pool's process
        traceback = error.__traceback__
        return False, ExceptionWithTraceback(error, traceback and traceback.tb_next)
