"""All actors that the node knows: living ones, and the most recent dead ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from nbactors.local.node.rules.records import Actor

KEEP_DEAD = 1000


class ActorTable:
    """Actors by id, in the order of their creation."""

    def __init__(self) -> None:
        self._actors: dict[bytes, Actor] = {}
        self._dead: deque[bytes] = deque()

    def add(self, actor: Actor) -> None:
        """Remember a new actor."""
        self._actors[actor.actor_id] = actor

    def find(self, actor_id: bytes) -> Actor | None:
        """Return the actor with this id, None if there is no record of it."""
        return self._actors.get(actor_id)

    def bury(self, actor: Actor) -> Actor | None:
        """Note that an actor is dead. If there are too many dead ones, forget the oldest of them and return it."""
        self._dead.append(actor.actor_id)
        if len(self._dead) <= KEEP_DEAD:
            return None
        return self._actors.pop(self._dead.popleft(), None)

    def __iter__(self) -> Iterator[Actor]:
        return iter(self._actors.values())

    def __len__(self) -> int:
        return len(self._actors)

    def matching(self, name: str) -> list[Actor]:
        """Return the actors that a user may mean by `name`; only the best matches.

        `name` is an actor's name, a class, a process id or the beginning of an actor's id, in this order.
        """
        tests = (
            lambda actor: actor.creation.name == name,
            lambda actor: actor.creation.class_name == name,
            lambda actor: str(actor.pid) == name,
            lambda actor: len(name) >= 4 and actor.actor_id.hex().startswith(name.lower()),
        )
        for test in tests:
            found = [actor for actor in self if test(actor)]
            if found:
                return found
        return []
