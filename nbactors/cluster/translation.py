"""Ray's errors as errors of nbactors, which have the same names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import ray

from nbactors import exceptions
from nbactors.cluster.common.failed_constructor import call_and_trace
from nbactors.exceptions.reasons import actor_dead
from nbactors.exceptions.source_lines import with_sources

_TEXT_ONLY = (
    "ActorAlreadyExistsError",
    "ActorHandleNotFoundError",
    "ActorPlacementGroupRemoved",
    "ActorUnschedulableError",
    "NodeDiedError",
    "ObjectStoreFullError",
    "OutOfDiskError",
    "OutOfMemoryError",
    "PendingCallsLimitExceeded",
    "RaySystemError",
    "RuntimeEnvSetupError",
    "TaskPlacementGroupRemoved",
    "TaskUnschedulableError",
    "WorkerCrashedError",
)
_LOST = (
    "ObjectFetchTimedOutError",
    "ObjectFreedError",
    "ObjectReconstructionFailedError",
    "OwnerDiedError",
    "ReferenceCountingAssertionError",
    "ObjectLostError",
)


def translated(error: BaseException, call_id: str = "", label: str = "") -> BaseException:
    """Return the error of nbactors for an error that Ray has raised; any other error as it is. Any thread.

    Args:
        error: What Ray has raised.
        call_id: The id of the call that the error belongs to, in hexadecimal digits, if it is known.
        label: The name of that call, such as `Counter.add`.
    """
    if isinstance(error, ray.exceptions.ActorUnavailableError) and _LEFT in str(error):
        # Ray answers so the call by which an actor has ended itself: it does not come back.
        text = _plain(error).partition(_LEFT)[2].partition(". The task may")[0].strip()
        return actor_dead(bytes.fromhex(error.actor_id or ""), "exit", text, "", label.rpartition(".")[0], 0)
    if not isinstance(error, ray.exceptions.RayError):
        return error
    if isinstance(error, ray.exceptions.RayTaskError):
        return _of_task(error)
    for kind, make in _MAKERS:
        if isinstance(error, kind):
            return make(error, call_id)
    return exceptions.RaySystemError(f"{type(error).__name__}: {error}")


_LEFT = "IntentionalSystemExit:"


def _of_task(error: Any) -> BaseException:
    cause = error.cause
    if isinstance(cause, exceptions.RayTaskError):  # a host has made it
        cause.traceback_str = with_sources(cause.traceback_str)
        return cause.as_instanceof_cause()
    if isinstance(cause, exceptions.RayError):  # so has a host this one, of a call that was stopped
        return cause
    if isinstance(cause, ray.exceptions.RayError) and not isinstance(cause, ray.exceptions.RayTaskError):
        return translated(cause)
    if isinstance(cause, ray.exceptions.RayTaskError):
        return _of_task(cause)
    # Ray itself has raised it, for example since a result cannot be pickled. The instance lacks Ray's own attributes.
    name, pid, text = _parts(_plain(error))
    return exceptions.RayTaskError(name, text, cause, pid).as_instanceof_cause()


def _parts(text: str) -> tuple[str, int, str]:
    """Return the name of the call, the pid of the worker and the traceback from the text of an error of a task."""
    head, _, rest = text.partition("\n")
    found = re.match(r"ray::(?P<name>.*?)\(\) \(pid=(?P<pid>\d+)", head)
    if found is None:
        return "", 0, text
    return found["name"], int(found["pid"]), f"Traceback (most recent call last):\n{rest}"


def _of_actor(error: Any, call_id: str) -> BaseException:
    del call_id
    text = _plain(error)
    told = call_and_trace(text)
    if told:
        return actor_dead(bytes.fromhex(error.actor_id or ""), "creation_failed", told, "", "", 0)
    return exceptions.ActorDiedError(text, error.actor_id)


def _of_unavailable(error: Any, call_id: str) -> BaseException:
    del call_id
    return exceptions.ActorUnavailableError(_plain(error), error.actor_id)


def _of_cancelled(error: Any, call_id: str) -> BaseException:
    return exceptions.TaskCancelledError(call_id or None, None)


def _of_lost(kind: type[exceptions.ObjectLostError]) -> Callable[[Any, str], BaseException]:
    def make(error: Any, call_id: str) -> BaseException:
        del call_id
        return kind(error.object_ref_hex, detail=_plain(error).partition("\n")[2].strip())

    return make


def _of_text(kind: Callable[[str], BaseException]) -> Callable[[Any, str], BaseException]:
    def make(error: Any, call_id: str) -> BaseException:
        del call_id
        return kind(_plain(error))

    return make


def _plain(error: BaseException) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error))


_E = ray.exceptions
_MAKERS: list[tuple[type[BaseException], Callable[[Any, str], BaseException]]] = [
    (_E.TaskCancelledError, _of_cancelled),
    (_E.GetTimeoutError, _of_text(exceptions.GetTimeoutError)),
    (_E.ActorUnavailableError, _of_unavailable),
    (_E.RayActorError, _of_actor),
    *((getattr(_E, name), _of_lost(getattr(exceptions, name))) for name in _LOST if hasattr(_E, name)),
    *((getattr(_E, name), _of_text(getattr(exceptions, name))) for name in _TEXT_ONLY if hasattr(_E, name)),
]
