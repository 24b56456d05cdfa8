"""How a session's hub is found by its name, from any process of the cluster."""

from __future__ import annotations

from typing import Any

import ray

NAMESPACE = "nbactors"
"""The namespace of Ray in which the hubs are."""

CAPACITY = 100_000
"""Calls that a hub serves at once. Each host waits for its orders in one of them."""

RESTART_S = 0.2
"""Seconds until a hub is asked again that was not available: it has crashed, and starts again."""


def hub_named(name: str) -> Any:
    """Return the handle of a hub, None if its session has ended. Any thread; asks Ray."""
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return None
