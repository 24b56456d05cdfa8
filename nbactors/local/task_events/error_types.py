"""Ray's names for the kinds of errors that end a call, as in its `ErrorType`."""

from __future__ import annotations

from nbactors.local.wire import failures

EXECUTION = "TASK_EXECUTION_EXCEPTION"
CANCELED = "TASK_CANCELLED"
OUT_OF_MEMORY = "OUT_OF_MEMORY"

_TYPES = {
    "ActorDiedError": "ACTOR_DIED",
    "ActorUnavailableError": "ACTOR_UNAVAILABLE",
    "ActorUnschedulableError": "ACTOR_UNSCHEDULABLE_ERROR",
    "GetTimeoutError": "TASK_CANCELLED",
    "ObjectLostError": "OBJECT_LOST",
    "OutOfMemoryError": OUT_OF_MEMORY,
    "OwnerDiedError": "OWNER_DIED",
    "RuntimeEnvSetupError": "RUNTIME_ENV_SETUP_FAILED",
    "TaskCancelledError": CANCELED,
    "TaskUnschedulableError": "TASK_UNSCHEDULABLE_ERROR",
    "WorkerCrashedError": "WORKER_DIED",
}


def of_failure(data: bytes) -> tuple[str, str]:
    """Return the kind and the text of a pickled error, without running user code."""
    _, text = failures.summary(data)
    name = text.partition(":")[0].rpartition(".")[2]
    return _TYPES.get(name, EXECUTION), text
