"""A reader of changes that goes on with the session of another engine."""

from __future__ import annotations

from typing import Any

from nbactors.engine.observer import Following, TaskChanges
from nbactors.engine.session_following import NOTHING, SessionFollowing


class Told(Following):
    """A reader that has these changes."""

    def __init__(self, *news: TaskChanges | None) -> None:
        self._news = list(news)
        self.is_closed = False

    def next(self, timeout: float) -> TaskChanges | None:
        return self._news.pop(0) if self._news else None

    def close(self) -> None:
        self.is_closed = True


class Observer:
    """An observer with one reader."""

    def __init__(self, told: Told) -> None:
        self.follow = lambda: told


SNAPSHOT = TaskChanges(3, True, [], [], [], [], {})


def test_it_goes_on_with_the_reader_of_another_engine_and_tells_that_all_is_new() -> None:
    place: Any = None
    readers = {None: Told(None, SNAPSHOT), "cluster": Told(SNAPSHOT), "next": Told()}
    following = SessionFollowing(lambda: place, lambda: Observer(readers[place]))  # type: ignore[arg-type, return-value]
    assert following.next(0) is None
    assert following.next(0) is SNAPSHOT
    place = "cluster"
    assert following.next(0) is SNAPSHOT
    assert readers[None].is_closed
    assert following.next(0) is None
    place = "next"
    assert following.next(0) == NOTHING
    assert following.next(0) is None
    following.close()
    assert readers["next"].is_closed
