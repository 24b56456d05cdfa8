"""Blocks that a forked child has mapped are free after its end: the hooks are called here as `os.fork` calls them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from nbactors.local.store import forks as forks_module
from nbactors.local.store.forks import Forks
from nbactors.local.store.room import Room
from nbactors.local.store.segments import SegmentStore, Stored


class Watched:
    """Forks whose children end when the test says so.

    Attributes:
        ends: What is called at the end of each child that is watched, by its descriptor.
    """

    def __init__(self) -> None:
        self.ends: dict[int, Callable[[], None]] = {}
        self.forks = Forks(self.ends.__setitem__, self._unwatch)

    def _unwatch(self, fd: int) -> None:
        del self.ends[fd]

    def fork(self) -> int:
        """Fork, and return the descriptor that ends with the child."""
        self.forks.before()
        self.forks.in_parent()
        return max(self.ends)


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.forks.close()


@pytest.fixture
def store(watched: Watched) -> Iterator[SegmentStore]:
    made = SegmentStore(lambda action: action(), Room(64 << 20), forks=watched.forks)
    yield made
    made.close()


def stored(store: SegmentStore) -> Stored:
    return store.write(bytes(200_000), ())


def place(value: Stored) -> int:
    return value.hold.block.start


def test_a_block_of_the_time_of_a_fork_is_reused_after_the_child_s_end(watched: Watched, store: SegmentStore) -> None:
    value = stored(store)
    first = place(value)
    child = watched.fork()
    del value
    other = stored(store)
    assert place(other) != first
    watched.ends[child]()
    assert watched.ends == {}
    assert place(stored(store)) == first


def test_what_is_stored_after_a_fork_is_no_matter_of_the_child(watched: Watched, store: SegmentStore) -> None:
    watched.fork()
    value = stored(store)
    first = place(value)
    del value
    assert place(stored(store)) == first


def test_all_children_have_to_end(watched: Watched, store: SegmentStore) -> None:
    value = stored(store)
    first = place(value)
    children = [watched.fork(), watched.fork()]
    del value
    for child in children:
        assert place(stored(store)) != first
        watched.ends[child]()
    assert place(stored(store)) == first


def test_a_received_block_is_given_back_after_the_child_s_end(watched: Watched, store: SegmentStore) -> None:
    given_back: list[int] = []
    sender = SegmentStore(lambda action: action(), Room(64 << 20))
    value = stored(sender)
    arena = value.hold.block.arena
    received = store.receive(arena, place(value), value.size, value.spans, lambda: given_back.append(1))
    child = watched.fork()
    del received
    assert given_back == []
    watched.ends[child]()
    assert given_back == [1]
    del value
    sender.close()


def test_what_another_thread_frees_during_a_fork_is_kept_for_the_child(watched: Watched, store: SegmentStore) -> None:
    value = stored(store)
    first = place(value)
    watched.forks.before()
    del value
    during = stored(store)
    second = place(during)
    watched.forks.in_parent()
    del during
    other = stored(store)
    assert len({first, second, place(other)}) == 3
    watched.ends[max(watched.ends)]()
    later = [stored(store), stored(store)]
    assert {place(value) for value in later} == {first, second}


def test_the_end_of_a_child_may_come_while_a_block_is_kept_for_it(watched: Watched) -> None:
    done: list[str] = []
    child = watched.fork()
    [kept] = watched.forks.children
    ends = watched.ends[child]

    class Ending(type(kept.actions)):  # type: ignore[misc]
        def append(self, action: Callable[[], None]) -> None:
            ends()
            super().append(action)

    kept.actions = Ending()
    assert watched.forks.guards(0, lambda: done.append("done"))
    assert done == ["done"]


def test_without_a_descriptor_for_the_pipe_the_child_never_ends(
    watched: Watched, store: SegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def pipe(self) -> None:
            raise OSError("no descriptor is left")

    value = stored(store)
    first = place(value)
    monkeypatch.setattr(forks_module, "os", Full())
    watched.forks.before()
    watched.forks.in_parent()
    del value
    assert place(stored(store)) != first


def test_a_child_closes_the_pipes_of_the_parent_s_other_children(watched: Watched) -> None:
    other = watched.fork()
    watched.forks.before()
    [first, second] = watched.forks.children
    copies = [os.dup(first.end), os.dup(second.end), os.dup(second.write_end)]
    watched.forks.in_child()
    for fd in (first.end, second.end):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
    os.fstat(second.write_end)
    os.close(second.write_end)
    for fd in copies:
        os.close(fd)
    with suppress(KeyError):
        del watched.ends[other]
