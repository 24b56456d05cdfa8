"""The modules whose classes and functions the user has had sent by value, for whichever engine sends them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

Follower = Callable[[ModuleType, bool], None]
"""Told of each module that is sent by value from now on, or no longer."""

_modules: dict[str, ModuleType] = {}
_followers: list[Follower] = []


def register(module: ModuleType) -> None:
    """Send the classes and functions of a module by value. Any thread."""
    _modules[module.__name__] = module
    for follower in _followers:
        follower(module, True)


def unregister(module: ModuleType) -> None:
    """Undo `register`. Any thread."""
    if _modules.pop(module.__name__, None) is not None:
        for follower in _followers:
            follower(module, False)


def follow(follower: Follower) -> None:
    """Tell `follower` of what is registered now, and of all changes."""
    _followers.append(follower)
    for module in list(_modules.values()):
        follower(module, True)


def unfollow(follower: Follower) -> None:
    """Undo `follow`, and tell `follower` to undo what it was told."""
    if follower in _followers:
        _followers.remove(follower)
        for module in list(_modules.values()):
            follower(module, False)
