"""Unpickling of actor handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.local import current

if TYPE_CHECKING:
    from nbactors.definitions.metadata import ActorMeta


def rebuild_handle(actor_id: bytes, meta: ActorMeta) -> Any:
    """Return a handle of this process to an actor. Called by `pickle`."""
    from nbactors.actor import ActorHandle  # noqa: PLC0415 - the public class is above the seam

    link = current.member().actors.obtain(actor_id)
    link.configure(meta)
    return ActorHandle(link, meta)
