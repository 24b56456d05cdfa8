"""`Registry`: what the user has registered in this process, for whatever has to know of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Registry(Generic[Key, Value]):
    """Values by key, and followers, which are told of each. Any thread.

    A follower is called with a key and its value, or with the key and None when the key is not registered any more.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entries: dict[Key, Value] = {}
        self._followers: list[Callable[[Key, Value | None], None]] = []

    def register(self, key: Key, value: Value) -> None:
        """Register a value, in place of the one that the key has."""
        with self._lock:
            self._entries[key] = value
            for follower in self._followers:
                follower(key, value)

    def deregister(self, key: Key) -> None:
        """Undo `register`, if the key is registered."""
        with self._lock:
            if self._entries.pop(key, None) is not None:
                for follower in self._followers:
                    follower(key, None)

    def follow(self, follower: Callable[[Key, Value | None], None]) -> None:
        """Tell a follower of what is registered now, and of all changes."""
        with self._lock:
            self._followers.append(follower)
            for key, value in self._entries.items():
                follower(key, value)

    def unfollow(self, follower: Callable[[Key, Value | None], None]) -> None:
        """Undo `follow`, and tell the follower to forget what is registered now."""
        with self._lock:
            if follower in self._followers:
                self._followers.remove(follower)
                for key in self._entries:
                    follower(key, None)
