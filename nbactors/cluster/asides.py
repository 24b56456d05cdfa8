"""`Aside`: a call to an actor that waits for none of its other calls."""

from __future__ import annotations

from typing import Any

import ray

from nbactors.cluster.host import asides


class Aside:
    """Stands for Ray's function of an actor, and submits the task that makes the call. Any thread.

    Args:
        actor_id: The actor's id.
        label: The name of the calls in listings.
    """

    def __init__(self, actor_id: bytes, label: str) -> None:
        self._actor_id = actor_id
        self._function = ray.remote(num_cpus=0, max_retries=0)(asides.run).options(name=label)

    def remote(self, spec: bytes, function: Any, *args: Any) -> Any:
        """Submit a call, and return Ray's reference of its result."""
        return self._function.remote(self._actor_id, spec, function, *args)
