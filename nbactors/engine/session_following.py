"""`SessionFollowing`: a reader of changes that goes on with the engine of the next session."""

from __future__ import annotations

from collections.abc import Callable

from nbactors.engine.observer import Following, Observer, TaskChanges

NOTHING = TaskChanges(0, True, [], [], [], [], {})
"""The changes of a reader that goes on elsewhere, where nothing is known yet."""


class SessionFollowing(Following):
    """Reads what the observer of the present session tells.

    Args:
        followed: Returns what stands for the place where calls are told: it changes with the engine of the session.
        observe: Returns the observer of the present session.
    """

    def __init__(self, followed: Callable[[], object], observe: Callable[[], Observer]) -> None:
        self._current = followed
        self._observe = observe
        self._followed: object = None
        self._following: Following | None = None

    def next(self, timeout: float) -> TaskChanges | None:
        """See the base class. After a change of the engine a snapshot comes, which may be empty."""
        current = self._current()
        before = self._following
        if before is None or current != self._followed:
            self.close()
            self._followed, self._following = current, self._observe().follow()
            news = self._following.next(timeout if before is None else 0.0)
            return news if before is None else news or NOTHING
        return before.next(timeout)

    def close(self) -> None:
        """See the base class."""
        if self._following is not None:
            self._following.close()
