"""The errors that the runtime itself makes, each from the facts of its reason. Their texts are whole."""

from __future__ import annotations

import errno
import os
import resource

from nbactors.exceptions.errors import (
    ActorDiedError,
    ActorUnavailableError,
    ActorUnschedulableError,
    CallTimeoutError,
    GetTimeoutError,
    ObjectLostError,
    ObjectReconstructionFailedError,
    OutOfMemoryError,
    OwnerDiedError,
    RaySystemError,
    RuntimeEnvSetupError,
    StreamingGeneratorReplayInconsistentError,
    TaskCancelledError,
    TaskPlacementGroupRemoved,
    TaskUnschedulableError,
    WorkerCrashedError,
)
from nbactors.exceptions.source_lines import raised, split_call, with_sources
from nbactors.exceptions.task_error import RayError, RayTaskError


def owner_died(oid: bytes) -> OwnerDiedError:
    """Return the error of a reference whose owner has died."""
    return OwnerDiedError(oid.hex(), oid[:16])


def object_lost(oid: bytes) -> ObjectLostError:
    """Return the error of a reference that its owner does not know."""
    return ObjectLostError(
        oid.hex(),
        oid[:16],
        detail="Its owner freed it, since no counted reference was left. This happens to references that were sent by "
        "other ways than arguments, results and put().",
    )


_NOT_AGAIN = {
    "no_retry": "it is not run again, since it has no retry left: give a task `max_retries`, and an actor's method "
    "`max_task_retries`.",
    "canceled": "it is not run again, since it was cancelled.",
}


def unreconstructable(oid: bytes, loss: str, obstacle: str) -> ObjectReconstructionFailedError:
    """Return the error of a result that was lost on its way to its owner and is not computed again.

    Args:
        oid: The object's id.
        loss: How it was lost.
        obstacle: "no_retry" or "canceled".
    """
    detail = f"{loss.rstrip('.')}. The call that makes the value has run; {_NOT_AGAIN[obstacle]}"
    return ObjectReconstructionFailedError(oid.hex(), oid[:16], detail=detail[0].upper() + detail[1:])


def shorter_replay(count: int) -> StreamingGeneratorReplayInconsistentError:
    """Return the error of a generator's lost value that the generator has not yielded when it was run again.

    Args:
        count: How many values it had yielded before.
    """
    return StreamingGeneratorReplayInconsistentError(
        f"a value of a generator was lost on its way, so the generator was run again; it has ended early, while it had "
        f"yielded {count} values before. A generator with retries must yield the same values in each run"
    )


def actor_dead(actor_id: bytes, kind: str, text: str, name: str, class_name: str, pid: int) -> RayError:
    """Return the error that tells why an actor is dead.

    Args:
        actor_id: 16 bytes.
        kind: How the actor ended, in one word; see `ActorDiedError`.
        text: Why, for the user; of a constructor that raised, the traceback.
        name: Empty for none.
        class_name: Empty where it is not known.
        pid: The number of its process, 0 where it had none.
    """
    if kind == "creation_failed":
        call, trace = split_call(text)
        named = f"{raised(trace)}\n{call}\n{trace}" if call else text
        whole = f"The actor died because of an error raised in its creation task, {with_sources(named.rstrip())}"
        return ActorDiedError(whole, actor_id=actor_id, kind=kind)
    named = f" named {name!r}" if name else ""
    where = f" (pid {pid})" if pid else ""
    whole = f"The actor {class_name or 'actor'}{named}{where}, id {actor_id.hex()}, is dead: {text}"
    if kind == "group_removed" and not pid:
        return ActorUnschedulableError(whole)
    if kind == "runtime_env":
        return RuntimeEnvSetupError(whole)
    if kind == "out_of_memory":
        return OutOfMemoryError(whole)
    return ActorDiedError(whole, actor_id=actor_id, kind=kind)


def cancelled(task_id: bytes, phase: str, timeout_s: float | None, detail: str) -> TaskCancelledError:
    """Return the error of a call that was cancelled, or did not end in time.

    Args:
        task_id: 24 bytes.
        phase: "queued" or "running": whether the call had begun.
        timeout_s: The seconds that the call was given; None if it was cancelled for another reason.
        detail: More about how it was cancelled, or empty.
    """
    if timeout_s is not None:
        return CallTimeoutError(task_id.hex(), phase, timeout_s, detail or None)
    return TaskCancelledError(task_id.hex(), detail or None)


_REMEDIES = {
    "cancelled": "a cancel does not interrupt the code of an actor; cancel(ref, interrupt=True) does, and the "
    "actor lives on.",
    "interrupted": "its code has not ended; kill(actor) ends the actor.",
    "task": "its code has not ended; cancel(ref, force=True) ends its process.",
}


def not_ready(
    what: str, timeout: float | None, cancelled: tuple[str, str] | None = None, obstacle: str = ""
) -> GetTimeoutError:
    """Return the error of a `get` that has waited for too long.

    Args:
        what: What is missing, such as "2 of 3 objects".
        timeout: The seconds.
        cancelled: Of a missing call that was cancelled its name, and "task", or for an actor's call "cancelled" or
            "interrupted"; None if none was cancelled.
        obstacle: What a call waits for, as a sentence; or empty.
    """
    parts = [f"Get timed out: {what} not ready within {timeout} s."]
    if cancelled is not None:
        label, how = cancelled
        parts.append(f"{label} was cancelled, but goes on: {_REMEDIES[how]}")
    else:
        parts.append("The call goes on; call get() again with a longer timeout, or wait() for those that are ready.")
    return GetTimeoutError(" ".join([*parts, obstacle] if obstacle else parts))


def none_yielded(timeout: float | None, *, is_cancelled: bool) -> GetTimeoutError:
    """Return the error of a wait for the next value of a generator that has lasted too long."""
    state = "was cancelled, and ends at its next value; cancel(generator, interrupt=True) interrupts its code"
    return GetTimeoutError(
        f"nothing was yielded within {timeout} s; the generator {state if is_cancelled else 'goes on'}"
    )


def unread(call: str, text: str, pid: int) -> str:
    """Return the text of an error that no code has read; see `frontend.sink.UnreadError`."""
    if not pid:
        return f"{call}: {text}" if call else text
    return str(RayTaskError(call, with_sources(text), Exception(), pid))


def session_closed() -> RaySystemError:
    """Return the error of calls that were pending when the session was shut down."""
    return RaySystemError("the session was shut down before this call had returned")


def connection_lost(why: str) -> RaySystemError:
    """Return the error of calls whose answers cannot come any more, though the process that was called lives."""
    return RaySystemError(
        f"the connection to the process that was called was lost ({why}). The call may have run; the process lives and "
        "can be called again."
    )


def actor_restarting(actor_id: bytes, text: str, was_sent: bool) -> ActorUnavailableError:
    """Return the error of a call without a retry to an actor that restarts.

    Args:
        actor_id: 16 bytes.
        text: How the actor's worker has ended.
        was_sent: Whether the worker had got the call, and may have run it.
    """
    happened = "The actor was restarted" if was_sent else "The actor is restarting"
    return ActorUnavailableError(f"The actor is temporarily unavailable: {happened} ({text.rstrip('.')})", actor_id)


def out_of_memory(name: str, text: str) -> OutOfMemoryError:
    """Return the error of a call that was ended for the memory that it has used.

    Args:
        name: The name of the method or task.
        text: What was done, as the rest of a sentence about it.
    """
    return OutOfMemoryError(f"{name} ran out of memory: {text}")


def worker_lost(name: str, text: str, kind: str) -> RayError:
    """Return the error of a task whose worker died.

    Args:
        name: The task's name.
        text: How the worker died.
        kind: "out_of_memory" if it was ended for the memory that it has used, "group_removed" if its group
            was removed, else "crashed".
    """
    if kind == "group_removed":
        return TaskPlacementGroupRemoved(f"Task {name!r} was ended, since {text}")
    if kind == "out_of_memory":
        return out_of_memory(name, f"{text} No retry was left, or none is possible.")
    return worker_crashed(name, text)


def worker_crashed(name: str, text: str) -> WorkerCrashedError:
    """Return the error of a task whose worker died."""
    return WorkerCrashedError(
        f"the worker process died unexpectedly before it had finished task {name!r}: {text} No retry was left, or none "
        "is possible."
    )


_NO_WORKER: dict[str, type[RayError]] = {
    "runtime_env": RuntimeEnvSetupError,
    "crashed": WorkerCrashedError,
    "group_removed": TaskPlacementGroupRemoved,
    "runtime": TaskUnschedulableError,
}


def no_worker(kind: str, text: str) -> RayError:
    """Return the error of tasks that the node gives no worker."""
    return _NO_WORKER.get(kind, RaySystemError)(text)


def no_descriptor(what: str) -> RaySystemError:
    """Return the error of an operation that needs a file descriptor when the process has none left.

    Args:
        what: What could not be done, as the beginning of a sentence.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return RaySystemError(
        f"{what}: the process (pid {os.getpid()}) has no free file descriptor; its limit is {soft} (`ulimit -n`). "
        "Raise that limit before the start, or close files. Each process that this one calls takes a descriptor, and "
        "each value of more than 64 MiB takes some; smaller values share a few"
    )


def is_no_descriptor(error: OSError) -> bool:
    """Return whether an error is the lack of a file descriptor, in this process or in the system."""
    return error.errno in (errno.EMFILE, errno.ENFILE)
