"""Facts of Ray's runtime context, in the form that this engine needs."""

from __future__ import annotations

import warnings

import ray
from ray._private import worker


def call_number() -> bytes:
    """Return Ray's id of the call that runs the calling code, 24 bytes. In a worker, on any thread of the call's."""
    # As `get_runtime_context().get_task_id()` does, without the detour by hexadecimal digits.
    return worker.global_worker.core_worker.get_current_task_id().binary()  # type: ignore[no-any-return]


def call_name() -> str:
    """Return Ray's name of the call that runs the calling code. As `call_number`."""
    return worker.global_worker.core_worker.get_current_task_name()  # type: ignore[no-any-return]


def was_restarted() -> bool:
    """Return whether this worker's actor was started again after a crash. Any thread."""
    with warnings.catch_warnings():  # Ray asks for the actor's id by a deprecated property of its own
        warnings.simplefilter("ignore")
        return bool(ray.get_runtime_context().was_current_actor_reconstructed)
