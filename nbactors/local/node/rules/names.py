"""Named actors: the actor of each name in each namespace. Only living actors have names."""

from __future__ import annotations

from collections.abc import Iterator


class Names:
    """The names of all namespaces."""

    def __init__(self) -> None:
        self._actors: dict[tuple[str, str], bytes] = {}

    def find(self, namespace: str, name: str) -> bytes | None:
        """Return the id of the actor with that name, None if the name is free."""
        return self._actors.get((namespace, name))

    def claim(self, namespace: str, name: str, actor_id: bytes) -> None:
        """Give the actor a free name.

        Raises:
            ValueError: The name is taken; the text is for the user, and begins as Ray's.
        """
        if (namespace, name) in self._actors:
            raise ValueError(
                f"The name {name} (namespace={namespace}) is already taken. Please use a different name or get the "
                f"existing actor using ray.get_actor('{name}', namespace='{namespace}')"
            )
        self._actors[namespace, name] = actor_id

    def free(self, namespace: str, name: str, actor_id: bytes) -> None:
        """Free the name, unless another actor has claimed it since."""
        if self._actors.get((namespace, name)) == actor_id:
            del self._actors[namespace, name]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._actors)

    def __len__(self) -> int:
        return len(self._actors)


def missing(name: str) -> str:
    """Return Ray's text for a name that no actor has."""
    return (
        f"Failed to look up actor with name '{name}'. This could because 1. You are trying to look up a named actor "
        "you didn't create. 2. The named actor died. 3. You did not use a namespace matching the namespace of the "
        "actor."
    )
