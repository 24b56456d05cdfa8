"""The node's folder: what the node creates again, what it cannot create, and the times of files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nbactors.local import sockets
from nbactors.local.node.shell import premises
from nbactors.local.node.shell.door import Door
from nbactors.local.node.shell.loop import Loop
from nbactors.local.wire.messages import PROTOCOL_VERSION


@pytest.fixture
def outer() -> Iterator[Path]:
    """A runtime directory with a short path, because the paths of sockets must be short."""
    path = Path(tempfile.mkdtemp(prefix="nbu-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


@pytest.fixture
def taken(outer: Path) -> Iterator[premises.Premises]:
    folder = outer / str(PROTOCOL_VERSION)
    folder.mkdir(mode=0o700)
    own = premises.Premises(str(folder))
    assert own.take()
    yield own
    os.close(own._lock)
    os.close(own._kept)


@pytest.fixture
def door(taken: premises.Premises) -> Iterator[Door]:
    loop = Loop()
    made = Door(loop, os.path.join(taken.directory, "node.sock"), lambda sock: sock.close())
    yield made
    made.shut()
    os.close(made._spare)
    loop.close()


def test_everything_that_was_removed_is_created_again(outer: Path, taken: premises.Premises, door: Door) -> None:
    shutil.rmtree(outer)
    assert taken.look_after(door, 0.0) == ""
    assert taken.is_ours()
    assert door.is_there()
    assert sockets.is_alive(os.path.join(taken.directory, "node.sock"))


def test_the_node_gives_up_when_the_folder_cannot_be_created_for_a_while(
    outer: Path, taken: premises.Premises, door: Door
) -> None:
    shutil.rmtree(outer)
    outer.touch()
    assert taken.look_after(door, 100.0) == ""
    assert taken.look_after(door, 100.0 + premises.GIVE_UP_S / 2) == ""
    assert "was removed and cannot be made anew" in taken.look_after(door, 100.0 + premises.GIVE_UP_S)


def test_a_directory_that_other_users_may_enter_is_not_used(outer: Path, taken: premises.Premises, door: Door) -> None:
    shutil.rmtree(outer)
    outer.mkdir(mode=0o700)
    outer.chmod(0o777)
    assert taken.look_after(door, 0.0) == ""
    assert "is open to others" in taken.look_after(door, premises.GIVE_UP_S)


def test_a_failure_that_passes_does_not_count_later(outer: Path, taken: premises.Premises, door: Door) -> None:
    outer.chmod(0o777)
    assert taken.look_after(door, 0.0) == ""
    outer.chmod(0o700)
    assert taken.look_after(door, 1.0) == ""
    outer.chmod(0o777)
    assert taken.look_after(door, premises.GIVE_UP_S) == ""


def test_a_node_ends_when_another_node_has_locked_its_folder(outer: Path, taken: premises.Premises, door: Door) -> None:
    shutil.rmtree(taken.directory)
    os.mkdir(taken.directory, 0o700)
    other = premises.Premises(taken.directory)
    assert other.take()
    try:
        assert taken.look_after(door, 0.0) == "", "it does not listen yet"
        with closing(sockets.listen(os.path.join(taken.directory, "node.sock"))):
            assert f"another node (pid {os.getpid()}) has been started" in taken.look_after(door, 1.0)
        assert not taken.is_ours()
    finally:
        os.close(other._lock)
        os.close(other._kept)


def test_the_times_of_files_are_updated_now_and_then(taken: premises.Premises, door: Door) -> None:
    paths = [taken.directory, *(os.path.join(taken.directory, name) for name in ("node.sock", "node.lock", "p"))]
    taken.look_after(door, 0.0)
    for due, is_set in ((1.0, False), (premises.TOUCH_S, True)):
        for path in paths:
            os.utime(path, (0, 0))
        taken.look_after(door, due)
        assert [os.stat(path).st_mtime > 0 for path in paths] == [is_set] * len(paths)


def test_the_runtime_directory_is_locked_against_cleaners(outer: Path, taken: premises.Premises) -> None:
    import fcntl

    descriptor = os.open(outer, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError, match="temporarily unavailable"):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)
