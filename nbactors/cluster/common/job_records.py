"""What the cluster keeps of a session for its workers, by the id of its job. See `actor_records` for where."""

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


def _key() -> bytes:
    job_id: str = ray.get_runtime_context().get_job_id()
    return b"logging:" + job_id.encode()
