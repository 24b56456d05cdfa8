"""Exceptions of user code, as a host raises them: Ray pickles them, and the session reads them."""

from __future__ import annotations

import os
from typing import Any

from ray import cloudpickle

from nbactors.cluster.host.call import Call
from nbactors.exceptions import RayTaskError, TaskCancelledError
from nbactors.exceptions.hints import hint
from nbactors.exceptions.user_traceback import clear, user_traceback
from nbactors.in_worker.snapshot import snapshot


def failure(call: Call, error: BaseException) -> RayTaskError:
    """Return what to raise in place of an exception of user code.

    It survives pickling, and is an instance of the user's type, too: Ray compares it with `retry_exceptions`.

    Args:
        call: The call.
        error: The exception.
    """
    trace, explanation = user_traceback(error), hint(error)
    if explanation:
        trace = f"{trace}\n{explanation}"
    told = RayTaskError(call.label, trace, error, os.getpid())
    if call.cell:  # only a notebook's debugger shows frames
        told.frames = snapshot(error)
    made = told.portable(_dumps, cloudpickle.loads)
    clear(error)  # Ray keeps the error until the next garbage collection
    return made.as_instanceof_cause()


def cancelled(name: str, call_id: str, error: BaseException) -> RayTaskError:
    """Return what to raise where a call that was cancelled has raised `error`, whose traceback tells where it was."""
    told = TaskCancelledError(call_id or None)
    text = f"{user_traceback(error).rstrip()}\n{type(told).__module__}.{type(told).__name__}: {told}"
    clear(error)
    return RayTaskError(name, text, told, os.getpid()).as_instanceof_cause()


def _dumps(value: Any) -> bytes:
    data: bytes = cloudpickle.dumps(value)
    return data
