"""A worker that is made ahead: it has joined the node before anybody asks for it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from raw_session import home, is_gone

import nbactors as ray
from nbactors.local import sockets
from nbactors.testing import eventually
from nbactors.testing.leaks import node_pid


@ray.remote(num_cpus=0)
class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> tuple[int, int]:
        self.count += 1
        return self.count, os.getpid()


@pytest.fixture
def directory(own_directory: Path) -> Iterator[Path]:
    """The node's folder, with a session."""
    ray.init(num_cpus=2)
    yield home(own_directory)
    ray.shutdown()


def started() -> tuple[ray.ActorHandle, int]:
    """An actor, and the pid of its worker."""
    counter = Counter.remote()
    count, pid = ray.get(counter.add.remote(), timeout=20)
    assert count == 1
    return counter, pid


def waiting(directory: Path) -> Path:
    """The socket of the spare, once there is one that listens."""
    return eventually(lambda: [path for path in (directory / "s").iterdir() if sockets.is_alive(str(path))])[0]


def spare_of(path: Path) -> int:
    with sockets.connect(str(path), 1.0) as sock:
        return sockets.peer_pid(sock)


def test_a_spare_joins_before_its_order(directory: Path) -> None:
    first, _ = started()
    path = waiting(directory)
    pid = spare_of(path)
    second, worker = started()
    assert worker == pid
    assert not path.exists()
    assert (directory / "p" / path.name).exists()
    assert ray.get([first.add.remote(), second.add.remote()])[0][0] == 2
    assert spare_of(waiting(directory)) != pid


def test_a_spare_that_is_killed_leaves_no_socket_and_costs_no_actor(directory: Path) -> None:
    started()
    for _ in range(5):
        path = waiting(directory)
        pid = spare_of(path)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda pid=pid: not psutil.pid_exists(pid))
        _, worker = started()
        assert worker != pid
        eventually(lambda path=path: not path.exists())


@pytest.mark.parametrize("what", ["the file", "the folder"])
def test_an_actor_starts_although_the_socket_of_the_spare_was_removed(directory: Path, what: str) -> None:
    kept, _ = started()
    path = waiting(directory)
    pid = spare_of(path)
    if what == "the file":
        path.unlink()
    else:
        shutil.rmtree(path.parent)
    counter, worker = started()
    assert worker == pid
    assert ray.get(counter.add.remote(), timeout=20)[0] == 2
    assert ray.get(kept.add.remote(), timeout=20)[0] == 2
    started()
    waiting(directory)


def test_a_spare_ends_with_a_node_that_crashes(directory: Path) -> None:
    counter, _ = started()
    path = waiting(directory)
    pid = spare_of(path)
    os.kill(node_pid(), signal.SIGKILL)
    eventually(lambda: is_gone(pid))
    assert ray.get(counter.add.remote(), timeout=20)[0] == 2
    _, worker = started()
    assert worker != pid
    assert not path.exists()


def test_an_actor_goes_on_after_a_crash_of_the_node_that_has_given_it_a_spare(directory: Path) -> None:
    started()
    pid = spare_of(waiting(directory))
    counter, worker = started()
    assert worker == pid
    os.kill(node_pid(), signal.SIGKILL)
    eventually(lambda: node_pid() > 0)
    assert ray.get(counter.add.remote(), timeout=20) == (2, pid)
    assert psutil.Process(pid).ppid() != node_pid(), "its forkserver has outlived the node"


def test_a_node_that_ends_leaves_no_spare(own_directory: Path) -> None:
    ray.init(num_cpus=2)
    started()
    path = waiting(home(own_directory))
    pid = spare_of(path)
    node = node_pid()
    ray.shutdown()
    eventually(lambda: is_gone(node), timeout_s=10)
    eventually(lambda: is_gone(pid))
    assert not path.exists()
