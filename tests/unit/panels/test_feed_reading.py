"""How the feed reads the event stream: once for the first state and its thread, and on from there after a pause."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("IPython")

from nbactors.engine.observer import Following, TaskChanges
from nbactors.jupyter.panels.feed import Feed
from nbactors.testing.polling import eventually
from nbactors.util import state


class Stream(Following):
    """A stream with one call at the beginning, and a new one for each later read."""

    def __init__(self) -> None:
        self.snapshots = 0
        self.reads = 0
        self.is_open = False

    def next(self, timeout: float) -> TaskChanges | None:
        self.is_open = True
        self.reads += 1
        self.snapshots += self.reads == 1
        return TaskChanges(self.reads, self.reads == 1, [], [], [], [], {"f": self.reads})

    def close(self) -> None:
        self.is_open = False


class Taker:
    """A reader that closes after some changes."""

    def __init__(self, count: int) -> None:
        self.is_open = True
        self.numbers: list[int] = []
        self._count = count

    def take(self, changes: TaskChanges | None) -> None:
        assert changes is not None
        self.numbers.append(changes.seq)
        self.is_open = len(self.numbers) < self._count


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[Stream]:
    made: list[Stream] = []

    def follow() -> Stream:
        made.append(Stream())
        return made[-1]

    monkeypatch.setattr(state, "follow", follow)
    monkeypatch.setattr(state, "list_actors", lambda **_: [])
    return made


def run(feed: Feed, count: int) -> list[int]:
    """Have a reader take some changes, wait for the end of the thread, and return the changes' numbers."""
    taker: Any = Taker(count)
    feed.read(taker)
    eventually(lambda: feed._thread is None, 10, "the end of the feed's thread")
    return taker.numbers


def test_a_look_and_the_thread_take_one_snapshot_and_a_pause_loses_nothing(streams: list[Stream]) -> None:
    feed = Feed(lambda: False)
    feed.look()
    assert (feed.unlisted, streams[0].is_open) == ({"f": 1}, False)
    assert run(feed, 2) == [2, 3]
    assert not streams[0].is_open
    feed.look()
    assert run(feed, 1) == [5]
    assert [stream.snapshots for stream in streams] == [1]


def test_a_look_while_the_thread_reads_takes_no_change_from_the_readers(streams: list[Stream]) -> None:
    feed = Feed(lambda: False)
    taker: Any = Taker(3)
    feed.read(taker)
    feed.look()
    assert feed.unlisted is not None
    eventually(lambda: feed._thread is None, 10, "the end of the feed's thread")
    assert taker.numbers == [1, 2, 3]
