"""What the cluster keeps of an actor beside Ray's own table: its metadata, and what its restarts go on from.

It is kept in Ray's store of keys, which outlives sessions and needs none of our processes.
"""

from __future__ import annotations

from typing import Any

from ray import cloudpickle
from ray.experimental import internal_kv

from nbactors.definitions.metadata import ActorMeta
from nbactors.exceptions import RaySystemError

_NAMESPACE = b"nbactors"
MAX_CHECKPOINT = 64 << 20
"""Bytes of a checkpoint that a restart goes on from. The store of keys lies in the memory of the head node."""


def keep_meta(actor_id: bytes, meta: ActorMeta) -> None:
    """Keep an actor's metadata, for processes that find the actor by its name."""
    _put(b"meta", actor_id, meta)


def meta(actor_id: bytes) -> ActorMeta | None:
    """Return an actor's metadata, None if none is kept."""
    found: ActorMeta | None = _get(b"meta", actor_id)
    return found


def keep_changed_class(actor_id: bytes, cls: type) -> None:
    """Keep the changed class of an actor for its restarts."""
    _put(b"class", actor_id, cls)


def changed_class(actor_id: bytes) -> type | None:
    """Return the changed class of an actor, None if it has its first one."""
    found: type | None = _get(b"class", actor_id)
    return found


def keep_checkpoint(actor_id: bytes, made: Any) -> None:
    """Keep a checkpoint that an actor's restarts go on from.

    Raises:
        RaySystemError: It is too large.
    """
    data = cloudpickle.dumps(made)
    if len(data) > MAX_CHECKPOINT:
        raise RaySystemError(
            f"the checkpoint has {len(data)} bytes, and restarts on a cluster go on from at most {MAX_CHECKPOINT}. "
            "The checkpoint itself is kept: restore() takes it"
        )
    internal_kv._internal_kv_put(_key(b"checkpoint", actor_id), data, namespace=_NAMESPACE)


def checkpoint(actor_id: bytes) -> Any:
    """Return the checkpoint that a restart goes on from, None if there is none."""
    return _get(b"checkpoint", actor_id)


def forget(actor_id: bytes) -> None:
    """Remove all that is kept of an actor."""
    for kind in (b"meta", b"class", b"checkpoint"):
        internal_kv._internal_kv_del(_key(kind, actor_id), namespace=_NAMESPACE)


def _key(kind: bytes, actor_id: bytes) -> bytes:
    return kind + b":" + actor_id.hex().encode()


def _put(kind: bytes, actor_id: bytes, value: Any) -> None:
    internal_kv._internal_kv_put(_key(kind, actor_id), cloudpickle.dumps(value), namespace=_NAMESPACE)


def _get(kind: bytes, actor_id: bytes) -> Any:
    data = internal_kv._internal_kv_get(_key(kind, actor_id), namespace=_NAMESPACE)
    return cloudpickle.loads(data) if data else None
