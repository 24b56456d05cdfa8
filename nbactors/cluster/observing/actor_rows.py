"""Ray's table of actors, as rows in the form that the local engine has. It needs no dashboard."""

from __future__ import annotations

from typing import Any

import ray
from ray.core.generated.gcs_pb2 import ActorTableData, WorkerTableData

from nbactors.cluster.common.failed_constructor import call_and_trace
from nbactors.cluster.common.hubs import NAMESPACE
from nbactors.exceptions.source_lines import raised, split_call

_STATES = {"DEPENDENCIES_UNREADY": "PENDING_CREATION"}
"""Ray's states that have another name here."""

_REASONS = {
    "NODE_DIED": "its node has died",
    "OUT_OF_SCOPE": "all handles to it had gone out of scope",
    "OWNER_DIED": "the session that created it has ended, or the actor or task",
    "RAY_KILL": "it was killed by `ray.kill`",
    "REF_DELETED": "all handles to it had gone out of scope",
}
"""Why actors die, by Ray's names of the reasons. Ray's own text tells of others."""

_WORDY = " Some common causes include"
_LEFT = "exit_actor"


def actor_rows() -> list[dict[str, Any]]:
    """Return a row for each actor of the cluster, in the order of creation. Asks Ray, and waits for the answer."""
    found = [ActorTableData.FromString(data) for data in _accessor().get_actor_table(None, None)]
    return [_row(data) for data in sorted(found, key=lambda data: data.start_time or data.timestamp) if _is_ours(data)]


def actor_row(actor_id: bytes) -> dict[str, Any] | None:
    """Return the row of an actor, None if Ray does not know it. Asks Ray, and waits for the answer."""
    data = _accessor().get_actor_info(ray.ActorID(actor_id))
    return _row(ActorTableData.FromString(data)) if data is not None else None


def has_worker_ended(worker_id: str) -> bool:
    """Return whether a worker has ended, by its id. Asks Ray, which keeps what it knows of the latest dead workers."""
    data = _accessor().get_worker_info(ray.WorkerID(bytes.fromhex(worker_id)))
    return data is not None and not WorkerTableData.FromString(data).is_alive


def _accessor() -> Any:
    return ray._private.state.state._connect_and_get_accessor()


def _is_ours(data: Any) -> bool:
    """Return whether an actor is one of users', and not a session's hub."""
    return not (data.class_name == "Hub" and data.ray_namespace == NAMESPACE)


def _row(data: Any) -> dict[str, Any]:
    state = ActorTableData.ActorState.Name(data.state)
    return {
        "actor_id": data.actor_id.hex(),
        "class_name": data.class_name,
        "state": _STATES.get(state, state),
        "job_id": data.job_id.hex(),
        "name": data.name,
        "ray_namespace": data.ray_namespace,
        "pid": data.pid,
        "is_detached": data.is_detached,
        "required_resources": dict(data.required_resources),
        "death_cause": _cause(data.death_cause) if state == "DEAD" else "",
        "num_restarts": int(data.num_restarts),
        "log_path": "",
        "last_log_path": "",
        "worker_id": data.address.worker_id.hex() or None,
        "node_id": data.address.node_id.hex(),
        "at": data.timestamp / 1000,
    }


def _cause(cause: Any) -> str:
    """Return why an actor is dead, in one line where that is all that Ray knows."""
    kind = cause.WhichOneof("context")
    if kind is None:
        return "it has ended"
    context = getattr(cause, kind)
    if kind == "creation_task_failure_context":
        text: str = context.formatted_exception_string.strip()
        trace = split_call(call_and_trace(text))[1]
        return raised(trace) if trace else text.rpartition("\n")[2].strip() or "its constructor failed"
    if kind == "actor_died_error_context":
        reason = type(context).Reason.Name(context.reason)
        if reason in _REASONS:
            return _REASONS[reason]
    told: str = context.error_message
    if _LEFT in told:
        return "it has called exit_actor()"
    return told.partition(_WORDY)[0].strip()
