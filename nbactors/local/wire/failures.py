"""Errors as values of objects: how errors are sent, and the errors that the runtime itself makes."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbactors import exceptions
from nbactors.exceptions.source_lines import with_sources
from nbactors.local.wire import messages, pickling
from nbactors.local.wire.cancel_mode import CancelMode

if TYPE_CHECKING:
    from nbactors.exceptions.task_error import RemoteFrame

SHOWN = 200
"""The highest number of an error's characters in one line of a view."""


def encode(error: BaseException) -> bytes:
    """Pickle an error that the runtime itself has made."""
    return pickle.dumps(("plain", pickle.dumps(error)))


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
        return function_name, _raised(trace)
    error = pickle.loads(parts[1])
    return "", f"{type(error).__name__}: {brief(str(error))}"


def _raised(trace: str) -> str:
    """Return the line of a traceback that names the exception: the first line after the frames."""
    lines = trace.splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    after = lines[frames[-1] + 1 :] if frames else lines
    return brief(next((line for line in after if line and not line[0].isspace()), lines[-1] if lines else ""))


def brief(text: str) -> str:
    """Return the first line of a text, shortened."""
    line = text.strip().partition("\n")[0].strip()
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def owner_died(oid: bytes) -> bytes:
    """The error of a reference whose owner has died."""
    return encode(exceptions.OwnerDiedError(oid.hex(), oid[:16]))


def object_lost(oid: bytes) -> bytes:
    """The error of a reference whose object its owner does not have."""
    return encode(
        exceptions.ObjectLostError(
            oid.hex(),
            oid[:16],
            detail="Its owner freed it, since no counted reference was left. This happens to references that were sent "
            "by other ways than arguments, results and put().",
        )
    )


def actor_died(down: messages.ActorDown, class_name: str = "") -> bytes:
    """The error of calls to a dead actor. For the arguments see `actor_error`."""
    return encode(actor_error(down, class_name))


def actor_error(down: messages.ActorDown, class_name: str = "") -> exceptions.RayError:
    """Return the exception that says why an actor is dead.

    Args:
        down: What is known of the actor's end.
        class_name: As the handle knows it, for an end that the node has not reported because the node itself is gone.
    """
    if down.kind == "creation_failed":
        return exceptions.ActorDiedError(
            f"The actor died because of an error raised in its creation task, {with_sources(down.text)}",
            actor_id=down.actor_id,
            kind=down.kind,
        )
    what = down.class_name or class_name or "actor"
    name = f" named {down.name!r}" if down.name else ""
    where = f" (pid {down.pid})" if down.pid else ""
    text = f"The actor {what}{name}{where}, id {down.actor_id.hex()}, is dead: {down.text}"
    if down.kind == "runtime_env":
        return exceptions.RuntimeEnvSetupError(text)
    return exceptions.ActorDiedError(text, actor_id=down.actor_id, kind=down.kind)


def canceled(task_id: bytes, cancel: messages.Cancel, phase: str, detail: str = "") -> bytes:
    """The error of a call that was cancelled, or did not end in time.

    Args:
        task_id: 24 bytes.
        cancel: The cancel.
        phase: "queued" or "running": whether the call had started.
        detail: More text for the error.
    """
    if cancel.mode is CancelMode.TIMEOUT:
        return encode(exceptions.CallTimeoutError(task_id.hex(), phase, cancel.timeout_s, detail or None))
    return encode(exceptions.TaskCancelledError(task_id.hex(), detail or None))


def session_closed() -> bytes:
    """The error of calls that were pending when the session was shut down."""
    return encode(exceptions.RaySystemError("the session was shut down before this call had returned"))


def connection_lost(why: str) -> bytes:
    """The error of calls whose results can no longer arrive, although the called process is alive."""
    return encode(
        exceptions.RaySystemError(
            f"the connection to the process that was called was lost ({why}). The call may have run; the process lives "
            "and can be called again."
        )
    )


def worker_crashed(name: str, text: str) -> bytes:
    """The error of a task whose worker died."""
    return encode(
        exceptions.WorkerCrashedError(
            f"the worker process died unexpectedly before it had finished task {name!r}: {text} "
            "No retry was left, or none is possible."
        )
    )


_NO_WORKER: dict[str, type[exceptions.RayError]] = {
    "runtime_env": exceptions.RuntimeEnvSetupError,
    "crashed": exceptions.WorkerCrashedError,
    "runtime": exceptions.TaskUnschedulableError,
}


def no_worker(refused: messages.Refused) -> bytes:
    """The error of tasks for which the node has refused a worker."""
    return encode(_NO_WORKER.get(refused.kind, exceptions.RaySystemError)(refused.text))
