"""References that are taken when they are ready: behind `as_completed`, `map_unordered` and similar functions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any


class UnreadySet(ABC):
    """References and generators that are taken when they are ready. One thread, which takes blocks."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many references were added and not taken."""

    @abstractmethod
    def add(self, ref: Any) -> None:
        """Add a reference that is not in the set."""

    @abstractmethod
    def take(self, count: int, timeout: float | None, fetch_local: bool) -> list[Any]:
        """Wait until `count` references are ready, and take them: the first ready ones, in the order of the additions.

        Args:
            count: A number from 1 to the length of the set.
            timeout: Seconds to wait at most; None waits without limit. After it, those that are ready are taken.
            fetch_local: See `nbactors.wait`.
        """

    @abstractmethod
    def close(self) -> None:
        """Forget all references. Called once."""


class WaitedSet(UnreadySet):
    """A set of an engine that has nothing better than `wait`, which looks at all references each time.

    Args:
        wait: The engine's method.
    """

    def __init__(self, wait: Callable[[list[Any], int, float | None, bool], tuple[list[Any], list[Any]]]) -> None:
        self._wait = wait
        self._refs: list[Any] = []

    def __len__(self) -> int:
        return len(self._refs)

    def add(self, ref: Any) -> None:
        """See the base class."""
        self._refs.append(ref)

    def take(self, count: int, timeout: float | None, fetch_local: bool) -> list[Any]:
        """See the base class."""
        ready, self._refs = self._wait(self._refs, count, timeout, fetch_local)
        return ready

    def close(self) -> None:
        """See the base class."""
        self._refs = []
