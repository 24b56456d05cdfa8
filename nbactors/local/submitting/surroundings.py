"""What those who submit calls need of the process. For type checkers: nothing imports this when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from nbactors.local.objects.home import ConnectedHome

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
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


class Kinds(Protocol):
    """All task queues of a process, and which of them a lease or a request belongs to; see `Tasks`."""

    waiting: set[Any]

    def expect(self, rid: int, queue: Any) -> None:
        """A request for a lease is on its way."""

    def withdraw(self, rid: int) -> None:
        """A request for a lease is wanted no more."""

    def leased(self, process_id: bytes, queue: Any) -> None:
        """A worker is a queue's."""

    def unleased(self, process_id: bytes) -> None:
        """It is no more."""

    def others_wait(self, queue: Any) -> bool:
        """Return whether another kind of task has asked for a worker and has none yet."""

    def died(self, process_id: bytes, queue: Any, connection: Connection) -> None:
        """A leased worker's connection has ended; the cause is to come."""

    def lost(self, process_id: bytes, text: str) -> None:
        """The cause is known, or will not be."""

    def forget(self, key: bytes) -> None:
        """A function is no more."""


class Surroundings(ConnectedHome, Protocol):
    """A session or worker, as those see it who submit calls."""

    @property
    def values(self) -> Values:
        """Packs and unpacks values."""

    @property
    def actors(self) -> Links:
        """The links to actors."""

    @property
    def tasks(self) -> Kinds:
        """The queues of the kinds of tasks."""

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
