"""What those who submit calls need of the process that they are in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from nbactors.local.objects.entry import Home

if TYPE_CHECKING:
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.connections.peers import Peers
    from nbactors.local.objects.values import Values
    from nbactors.local.wire import messages
    from nbactors.runtime_env import RuntimeEnv


class Links(Protocol):
    """The links to actors, see `Actors`."""

    def keep(self, link: Any) -> None:
        """Keep a link that has something to send."""

    def let_go(self, link: Any) -> None:
        """It has sent all."""

    def pin(self, link: Any) -> None:
        """Keep a link for the life of the process."""

    def release(self, actor_id: bytes, tokens: int) -> None:
        """The last handle has gone."""

    def abandon(self, link: Any, error: Any) -> messages.ActorDown:
        """An argument of the constructor has failed, and the actor with it."""


class Surroundings(Home, Protocol):
    """A session or worker, as those see it who submit calls."""

    @property
    def values(self) -> Values:
        """Packs and unpacks values."""

    @property
    def peers(self) -> Peers:
        """The connections to other processes."""

    @property
    def node(self) -> NodeLink:
        """The connection to the node."""

    @property
    def actors(self) -> Links:
        """The links to actors."""

    @property
    def numbers(self) -> Iterator[int]:
        """Gives numbers to calls and objects."""

    @property
    def closed(self) -> bool:
        """Whether this process has left."""

    def caller(self) -> tuple[Any, int]:
        """Return the call that the calling code belongs to, and where calls come from that are made now."""

    def dead_handle_error(self, actor_id: bytes) -> Exception:
        """Return the error for a handle of a session that has ended."""

    def changed_paths(self) -> tuple[list[bytes], bytes]:
        """Return `sys.path` and the working directory if they have changed since the session began."""

    def runtime_env(self, env: RuntimeEnv | None) -> messages.RuntimeEnv | None:
        """Return what a new worker is given."""
