"""What an actor handle becomes that was pickled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.local import current

if TYPE_CHECKING:
    from nbactors.definitions.metadata import ActorMeta


def rebuild_handle(actor_id: bytes, meta: ActorMeta) -> Any:
    """Unpickle a handle in whatever process this is."""
    from nbactors.actor import ActorHandle  # noqa: PLC0415 - the public class is above the seam

    link = current.member().actors.obtain(actor_id)
    link.configure(meta)
    return ActorHandle(link, meta)
