"""The serializers that the user has registered in this process, for whichever engine sends values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Serializer(NamedTuple):
    """How instances of a class are sent.

    Attributes:
        serializer: Returns what stands for an instance.
        deserializer: Makes an instance of that.
    """

    serializer: Callable[[Any], Any]
    deserializer: Callable[[Any], Any]


Follower = Callable[[type, "Serializer | None"], None]
"""Told of each class whose serializer has changed; None if it has none any more."""

_registered: dict[type, Serializer] = {}
_followers: list[Follower] = []


def register(kind: type, serializer: Callable[[Any], Any], deserializer: Callable[[Any], Any]) -> None:
    """Send instances of a class as what `serializer` makes of them. Any thread."""
    made = _registered[kind] = Serializer(serializer, deserializer)
    for follower in _followers:
        follower(kind, made)


def deregister(kind: type) -> None:
    """Undo `register`. Any thread."""
    if _registered.pop(kind, None) is not None:
        for follower in _followers:
            follower(kind, None)


def follow(follower: Follower) -> None:
    """Tell `follower` of what is registered now, and of all changes."""
    _followers.append(follower)
    for kind, made in list(_registered.items()):
        follower(kind, made)


def unfollow(follower: Follower) -> None:
    """Undo `follow`."""
    if follower in _followers:
        _followers.remove(follower)
