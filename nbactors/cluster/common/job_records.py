"""What the cluster keeps of a session for its workers. See `actor_records` for where."""

from __future__ import annotations

import json
from typing import Any

import ray
from ray.experimental import internal_kv

_NAMESPACE = b"nbactors"


def keep_logging(config: dict[str, Any]) -> None:
    """Keep the session's LoggingConfig, as a dict."""
    internal_kv._internal_kv_put(_key(), json.dumps(config).encode(), namespace=_NAMESPACE)


def logging() -> dict[str, Any] | None:
    """Return the LoggingConfig of the session that this worker works for, None if it has none."""
    data = internal_kv._internal_kv_get(_key(), namespace=_NAMESPACE)
    return json.loads(data) if data else None


def keep_silence(hub: str) -> None:
    """Keep that a session shows no output.

    Args:
        hub: The name of its hub.
    """
    internal_kv._internal_kv_put(_silence(hub), b"1", namespace=_NAMESPACE)


def is_silent(hub: str) -> bool:
    """Return whether the session of a hub shows no output, so that nobody has to send it."""
    return bool(internal_kv._internal_kv_get(_silence(hub), namespace=_NAMESPACE))


def forget_silence(hub: str) -> None:
    """Remove what `keep_silence` has kept."""
    internal_kv._internal_kv_del(_silence(hub), namespace=_NAMESPACE)


def _silence(hub: str) -> bytes:
    return b"silent:" + hub.encode()


def _key() -> bytes:
    job_id: str = ray.get_runtime_context().get_job_id()
    return b"logging:" + job_id.encode()
