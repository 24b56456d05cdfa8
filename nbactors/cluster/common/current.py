"""The engine of this process, for what is unpickled here, and for hosts. Holds it, and does not import its class."""

from __future__ import annotations

import importlib
import threading
from typing import Any

import ray

from nbactors import engine, exceptions

_ENGINE = "nbactors.cluster.ray_engine"
_lock = threading.RLock()


def of_process() -> Any:
    """Return the `RayEngine` of this process. In a worker, make it with the first call. Any thread.

    Raises:
        RaySystemError: This process has no session on a cluster.
    """
    running = engine.running()
    if running is None and is_worker():
        with _lock:
            running = engine.running()
            if running is None:
                running = importlib.import_module(_ENGINE).RayEngine()
                engine.install(running)
    if type(running).__module__.startswith("nbactors.cluster."):
        return running
    raise exceptions.RaySystemError(
        "a reference or a handle of a Ray cluster was received, and this process has no session there: call "
        'init(engine="ray") first'
    )


def is_worker() -> bool:
    """Return whether this process is a worker of a Ray cluster."""
    return bool(ray.is_initialized() and ray.get_runtime_context().worker.mode == ray.WORKER_MODE)
