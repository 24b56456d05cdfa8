"""The search for the node that follows a crashed one. `tests/runtime/test_crashed_node.py` runs it with real nodes."""

from __future__ import annotations

import fcntl
import os
import queue
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbactors.local import sockets
from nbactors.local.access import discovery
from nbactors.local.access.next_node import NextNode, mark_stopped
from nbactors.local.membership import Membership

WAIT_S = 10.0
LAST_PID = 77


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nbn-", dir="/tmp") as path:
        yield Path(path)


class Search(NextNode):
    def __init__(self, directory: Path) -> None:
        super().__init__(Membership(b"", str(directory)))
        self.results: queue.Queue[socket.socket | None] = queue.Queue()

    def result(self) -> socket.socket | None:
        return self.results.get(timeout=WAIT_S)


def test_the_search_finds_a_node_that_another_process_has_started(directory: Path) -> None:
    with sockets.listen(str(directory / discovery.NODE_SOCKET)):
        search = Search(directory)
        search.begin(LAST_PID, search.results.put)
        found = search.result()
        assert found is not None
        found.close()


def test_the_search_waits_for_a_process_that_starts_a_node(directory: Path) -> None:
    lock = os.open(directory / discovery.START_LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert discovery.find_or_start(str(directory)) is None
    search = Search(directory)
    search.begin(LAST_PID, search.results.put)
    with sockets.listen(str(directory / discovery.NODE_SOCKET)):
        found = search.result()
        assert found is not None
        found.close()
    os.close(lock)


def test_the_search_tells_that_the_node_was_stopped(directory: Path) -> None:
    mark_stopped(str(directory), LAST_PID)
    search = Search(directory)
    search.begin(LAST_PID, search.results.put)
    assert search.result() is None


def test_the_mark_of_another_node_does_not_count(directory: Path) -> None:
    mark_stopped(str(directory), LAST_PID + 1)
    assert not discovery.was_stopped(str(directory), LAST_PID)


def test_a_mark_that_cannot_be_made_is_left_out(directory: Path) -> None:
    mark_stopped(str(directory / "missing"), LAST_PID)
    assert not discovery.was_stopped(str(directory / "missing"), LAST_PID)


def test_a_process_that_leaves_searches_no_more(directory: Path) -> None:
    search = Search(directory)
    search._membership.has_left = True
    search._search(LAST_PID, search.results.put)
    assert search.results.empty()
    assert list(directory.iterdir()) == [], "no node was started"
