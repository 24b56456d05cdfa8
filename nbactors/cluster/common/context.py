"""Facts of Ray's runtime context that its own properties tell with a warning."""

from __future__ import annotations

import warnings

import ray


def was_restarted() -> bool:
    """Return whether this worker's actor was started again after a crash. Any thread."""
    with warnings.catch_warnings():  # Ray asks for the actor's id by a deprecated property of its own
        warnings.simplefilter("ignore")
        return bool(ray.get_runtime_context().was_current_actor_reconstructed)
