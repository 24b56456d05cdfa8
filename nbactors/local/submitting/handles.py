"""Unpickling of actor handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.local import current

if TYPE_CHECKING:
    from nbactors.definitions.metadata import ActorMeta


def rebuild_handle(actor_id: bytes, meta: ActorMeta) -> Any:
    """Return a handle of this process to an actor. Called by `pickle`."""
    hold = current.member().actors.obtain(actor_id)
    return _handle(hold.link, meta, hold)


def rebuild_weak_handle(actor_id: bytes, meta: ActorMeta) -> Any:
    """Return a weak handle of this process to an actor. Called by `pickle`."""
    return _handle(current.member().actors.watch(actor_id), meta, None)


def _handle(link: Any, meta: ActorMeta, hold: object) -> Any:
    from nbactors.actor import ActorHandle  # noqa: PLC0415 - the public class is above the seam

    link.configure(meta)
    return ActorHandle(link, meta, hold)
