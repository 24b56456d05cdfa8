"""Errors as object values: how they travel, and the ones that the runtime itself makes."""

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
"""Most characters of an error that stand in one line of a view."""


def encode(error: BaseException) -> bytes:
    """Pickle an error of the runtime's own."""
    return pickle.dumps(("plain", pickle.dumps(error)))


def encode_task_error(
    function_name: str, trace: str, cause: BaseException, pid: int, frames: Sequence[RemoteFrame] = ()
) -> bytes:
    """Pickle what a task raised, so that it arrives even if the user's exception does not pickle."""
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
    except Exception as reason:  # noqa: BLE001 - the module of the user's exception may be missing in this process
        _, _, function_name, trace, pid = parts
        lost = exceptions.RaySystemError(f"the exception itself could not be unpickled here: {reason!r}")
        return exceptions.RayTaskError(function_name, trace, lost, pid)
    if isinstance(error, exceptions.RayTaskError):
        error.traceback_str = with_sources(error.traceback_str)
        return error.as_instanceof_cause()
    return error  # type: ignore[no-any-return]


def summary(data: bytes) -> tuple[str, str]:
    """Return the call that failed, "" where that is not known, and what it raised, in one line.

    Reads the traceback's text: unpickling the user's exception would run the user's code.
    """
    parts = pickle.loads(data)
    if parts[0] == "task":
        _, _, function_name, trace, _ = parts
        return function_name, _raised(trace)
    error = pickle.loads(parts[1])
    return "", f"{type(error).__name__}: {brief(str(error))}"


def _raised(trace: str) -> str:
    """Return the line of a traceback that names the exception: the first after the frames."""
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
    """The error of a reference that its owner does not know."""
    return encode(
        exceptions.ObjectLostError(
            oid.hex(),
            oid[:16],
            detail="Its owner freed it, since no counted reference was left. This happens to references that were sent "
            "by other ways than arguments, results and put().",
        )
    )


def actor_died(down: messages.ActorDown, class_name: str = "") -> bytes:
    """The error of calls to a dead actor. Arguments as of `actor_error`."""
    return encode(actor_error(down, class_name))


def actor_error(down: messages.ActorDown, class_name: str = "") -> exceptions.RayError:
    """Return the exception that tells why an actor is dead.

    Args:
        down: What is known of its end.
        class_name: As the handle knows it, for an end that the node has not told of: the node may be gone itself.
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
        cancel: What was asked for.
        phase: "queued" or "running": whether the call had begun.
        detail: What there is to add.
    """
    if cancel.mode is CancelMode.TIMEOUT:
        return encode(exceptions.CallTimeoutError(task_id.hex(), phase, cancel.timeout_s, detail or None))
    return encode(exceptions.TaskCancelledError(task_id.hex(), detail or None))


def session_closed() -> bytes:
    """The error of what was pending when the session was shut down."""
    return encode(exceptions.RaySystemError("the session was shut down before this call had returned"))


def connection_lost(why: str) -> bytes:
    """The error of calls whose answers cannot come any more, though the process that was called lives."""
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
    """The error of tasks that the node gives no worker."""
    return encode(_NO_WORKER.get(refused.kind, exceptions.RaySystemError)(refused.text))
