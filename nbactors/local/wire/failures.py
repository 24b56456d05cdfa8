"""Errors as object values: how they travel."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbactors import exceptions
from nbactors.exceptions import reasons
from nbactors.exceptions.one_line import brief
from nbactors.exceptions.source_lines import raised, with_sources
from nbactors.local.wire import messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.pickling import pickling

if TYPE_CHECKING:
    from nbactors.exceptions.task_error import RemoteFrame

_MODULE = "nbactors.exceptions."
_ENDED = (f"{_MODULE}TaskCancelledError: ", f"{_MODULE}OutOfMemoryError: ")


def encode(error: BaseException) -> bytes:
    """Pickle an error that the runtime itself has made."""
    return pickle.dumps(("plain", pickle.dumps(error)))


def encode_loss(error: exceptions.RaySystemError) -> bytes:
    """Pickle the error that stands in place of a value that was lost on its way. See `loss`."""
    return pickle.dumps(("loss", pickle.dumps(error)))


def loss(data: bytes) -> str:
    """Return how the value was lost in whose place a pickled error stands; empty for any other error."""
    kind, *parts = pickle.loads(data)
    return str(pickle.loads(parts[0]).client_exc) if kind == "loss" else ""


def encode_task_error(
    function_name: str, trace: str, cause: BaseException, pid: int, frames: Sequence[RemoteFrame] = ()
) -> bytes:
    """Pickle an exception of a task, so that the error arrives even if the user's exception cannot be pickled."""
    error = exceptions.RayTaskError(function_name, trace, cause, pid)
    if frames:
        error.frames = frames
    return pickle.dumps(("task", _dumps(error.portable(_dumps, pickle.loads)), function_name, trace, pid))


def _dumps(value: Any) -> bytes:
    return pickling.dumps(value).data


def decode(data: bytes) -> BaseException:
    """Return the exception that `get` raises."""
    parts = pickle.loads(data)
    try:
        error = pickle.loads(parts[1])
    except Exception as reason:  # noqa: BLE001 - the module of the user's exception may be missing here
        _, _, function_name, trace, pid = parts
        lost = exceptions.RaySystemError(f"the exception itself could not be unpickled here: {reason!r}")
        return exceptions.RayTaskError(function_name, trace, lost, pid)
    if isinstance(error, exceptions.RayTaskError):
        error.traceback_str = with_sources(error.traceback_str)
        return error.as_instanceof_cause()
    return error  # type: ignore[no-any-return]


def summary(data: bytes) -> tuple[str, str]:
    """Return the name of the failed call ("" if unknown) and the exception, each in one line.

    Reads the text of the traceback, because unpickling the user's exception would run user code.
    """
    parts = pickle.loads(data)
    if parts[0] == "task":
        _, _, function_name, trace, _ = parts
        # The trace of an interrupted call ends with KeyboardInterrupt, and below it the error that `get` raises.
        last = trace.rstrip().rpartition("\n")[2]
        return function_name, brief(last.removeprefix(_MODULE) if last.startswith(_ENDED) else raised(trace))
    error = pickle.loads(parts[1])
    return "", f"{type(error).__name__}: {brief(str(error))}"


def excerpt(trace: str) -> str:
    """Return a traceback in `MAX_ERROR_TEXT` characters: the last frames, and the beginning of the exception's text."""
    most = messages.MAX_ERROR_TEXT
    if len(trace) <= most:
        return trace
    begin = trace.rfind("\n" + raised(trace))  # the text of the exception may be longer than everything else
    frames, text = trace[: max(begin, 0)], trace[max(begin, 0) :]
    head = text if len(text) <= most // 2 else text[: most // 2 - 1] + "…"
    return frames[len(head) - most :] + head


def brief_cause(down: messages.ActorDown) -> str:
    """Return why an actor is dead, in one line: the exception of a constructor that raised."""
    return brief(raised(down.text) if down.kind == "creation_failed" else down.text)


def actor_died(down: messages.ActorDown, class_name: str = "") -> bytes:
    """Pickle the error of calls to a dead actor.

    Args:
        down: The facts of the actor's end.
        class_name: As the handle knows it, for an end that the node has not told of: the node may be gone itself.
    """
    name = down.class_name or class_name
    return encode(reasons.actor_dead(down.actor_id, down.kind, down.text, down.name, name, down.pid))


def canceled(task_id: bytes, cancel: messages.Cancel, phase: str, detail: str = "") -> bytes:
    """Pickle the error of a call that was cancelled, or did not end in time. See `reasons.cancelled`."""
    if cancel.mode is CancelMode.MEMORY:
        return encode(reasons.out_of_memory("this call", f"{cancel.text} {detail}".rstrip()))
    timeout_s = cancel.timeout_s if cancel.mode is CancelMode.TIMEOUT else None
    return encode(reasons.cancelled(task_id, phase, timeout_s, detail))
