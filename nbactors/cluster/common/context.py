"""Facts of Ray's runtime context, in the form that this engine needs."""

from __future__ import annotations

import warnings

import ray


def call_number() -> bytes:
    """Return Ray's id of the call that runs the calling code, 24 bytes; empty where Ray knows none. Any thread."""
    return bytes.fromhex(ray.get_runtime_context().get_task_id() or "")


def was_restarted() -> bool:
    """Return whether this worker's actor was started again after a crash. Any thread."""
    with warnings.catch_warnings():  # Ray asks for the actor's id by a deprecated property of its own
        warnings.simplefilter("ignore")
        return bool(ray.get_runtime_context().was_current_actor_reconstructed)
