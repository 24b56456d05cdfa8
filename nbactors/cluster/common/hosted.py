"""What an engine asks of the host of its worker's actor."""

from __future__ import annotations

from typing import Protocol

from nbactors.definitions.metadata import ActorMeta


class Hosted(Protocol):
    """The host of the actor that runs the calling code. Methods: any thread."""

    def actor_meta(self) -> ActorMeta:
        """Return the metadata of the user's class."""

    def actor_class(self) -> type | None:
        """Return the user's class, None before its object is constructed."""

    def is_stopped(self, number: bytes) -> bool:
        """Return whether the running call with this number is to end."""
