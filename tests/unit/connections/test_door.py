"""The socket where other processes connect: it stays open, whatever happens to its file and to descriptors."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stepped_reactor import SteppedReactor

from nbactors.local import sockets
from nbactors.local.connections import door as door_module
from nbactors.local.connections.door import BREATHER_S, Door
from nbactors.local.membership import Membership

PROCESS_ID = bytes(range(16))


class Listener:
    """A listening socket whose next `accept` fails."""

    def __init__(self, sock: socket.socket, error: OSError) -> None:
        self._sock = sock
        self._errors = [error]

    def accept(self) -> Any:
        if self._errors:
            raise self._errors.pop()
        return self._sock.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Visitors:
    """Processes that connect to a door, and the sockets that the door admits."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.admitted: list[socket.socket] = []
        self._outside: list[socket.socket] = []
        door.admit = self.admitted.append

    def connect(self) -> socket.socket:
        """Connect to the door; return the connecting side's socket."""
        sock = self._door.reach(PROCESS_ID, 1)
        self._outside.append(sock)
        return sock

    def close(self) -> None:
        for sock in (*self.admitted, *self._outside):
            sock.close()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the door's socket. A relative path, since a socket's path has a hundred bytes at most."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    (tmp_path / "s").mkdir()
    return Path(sockets.process_socket_path("", PROCESS_ID))


@pytest.fixture
def door(reactor: SteppedReactor, path: Path) -> Iterator[Door]:
    made = Door(reactor, Membership(PROCESS_ID))
    yield made
    made.close()


@pytest.fixture
def visitors(door: Door) -> Iterator[Visitors]:
    made = Visitors(door)
    yield made
    made.close()


def test_a_process_that_connects_is_admitted(door: Door, visitors: Visitors, reactor: SteppedReactor) -> None:
    door.open()
    outside = [visitors.connect() for _ in range(3)]
    reactor.settle()
    assert len(visitors.admitted) == 3
    for number, sock in enumerate(outside):
        sock.sendall(bytes([number]))
    assert [sock.recv(1) for sock in visitors.admitted] == [b"\0", b"\1", b"\2"]


def test_only_this_user_may_connect_to_the_file(door: Door, path: Path) -> None:
    door.open()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_process_that_does_not_listen_cannot_be_reached(door: Door) -> None:
    with pytest.raises(FileNotFoundError, match="No such file"):
        door.reach(PROCESS_ID, 1)


def test_a_process_of_another_user_is_refused(
    door: Door, visitors: Visitors, reactor: SteppedReactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.open()
    sock = visitors.connect()

    def refuse(sock: socket.socket) -> None:
        raise PermissionError("another user's")

    monkeypatch.setattr(sockets, "check_peer", refuse)
    reactor.settle()
    assert visitors.admitted == []
    assert sock.recv(1) == b""


def fail_next_accept(door: Door, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    monkeypatch.setattr(door, "_listener", Listener(door._listener, error))  # type: ignore[arg-type]


def test_an_aborted_connection_is_skipped(
    door: Door, visitors: Visitors, reactor: SteppedReactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.open()
    fail_next_accept(door, monkeypatch, ConnectionAbortedError(errno.ECONNABORTED, "gone"))
    visitors.connect()
    reactor.settle()
    assert len(visitors.admitted) == 1


def test_without_a_free_descriptor_the_door_pauses(
    door: Door, visitors: Visitors, reactor: SteppedReactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.open()
    fail_next_accept(door, monkeypatch, OSError(errno.EMFILE, "Too many open files"))
    visitors.connect()
    reactor.settle()
    assert visitors.admitted == [], "the reactor has found rest: it is not woken without end"
    reactor.pass_time(BREATHER_S)
    assert len(visitors.admitted) == 1


def test_a_door_that_was_closed_in_the_pause_stays_closed(
    door: Door, visitors: Visitors, reactor: SteppedReactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.open()
    fail_next_accept(door, monkeypatch, OSError(errno.EMFILE, "Too many open files"))
    visitors.connect()
    reactor.settle()
    door.close()
    reactor.pass_time(BREATHER_S)
    assert visitors.admitted == []


# --------------------------------------------------------------------------------------------------- the socket's file


def test_a_file_that_was_removed_is_made_anew(
    door: Door, visitors: Visitors, reactor: SteppedReactor, path: Path
) -> None:
    door.open()
    visitors.connect()
    path.unlink()
    door.open_again()
    assert len(visitors.admitted) == 1, "who has connected to the old file is let in, too"
    visitors.connect()
    reactor.settle()
    assert len(visitors.admitted) == 2


def test_the_file_of_a_spare_is_moved_when_it_becomes_a_worker(
    door: Door, visitors: Visitors, reactor: SteppedReactor, path: Path
) -> None:
    door.open(is_spare=True)
    first = Path(sockets.spare_socket_path("", PROCESS_ID))
    assert first.exists()
    assert not path.exists()
    first.rename(path)
    listener = door._listener
    door.open_again()
    assert door._listener is listener, "the file is the door's own"
    visitors.connect()
    reactor.settle()
    assert len(visitors.admitted) == 1
    door.close()
    assert not path.exists()


def test_a_worker_listens_although_its_file_was_removed_while_it_was_a_spare(
    door: Door, visitors: Visitors, reactor: SteppedReactor, path: Path
) -> None:
    door.open(is_spare=True)
    Path(sockets.spare_socket_path("", PROCESS_ID)).unlink()
    door.open_again()
    assert path.exists()
    visitors.connect()
    reactor.settle()
    assert len(visitors.admitted) == 1


def test_a_file_that_another_has_replaced_is_made_anew(
    door: Door, visitors: Visitors, reactor: SteppedReactor, path: Path
) -> None:
    door.open()
    path.unlink()
    path.touch()
    door.open_again()
    visitors.connect()
    reactor.settle()
    assert len(visitors.admitted) == 1


def test_a_file_that_exists_is_kept(door: Door, path: Path) -> None:
    door.open()
    before = path.stat().st_ino
    listener = door._listener
    door.open_again()
    assert path.stat().st_ino == before
    assert door._listener is listener


def test_a_door_that_was_not_opened_or_is_closed_is_not_opened_again(door: Door, path: Path) -> None:
    door.open_again()
    assert not path.exists()
    door.open()
    door.close()
    door.open_again()
    assert not path.exists()


def test_a_file_that_cannot_be_made_is_made_the_next_time(
    door: Door, visitors: Visitors, reactor: SteppedReactor, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node tells again."""
    door.open()
    path.unlink()

    def fail(path: str) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(sockets, "listen", fail)
        door.open_again()
    assert not path.exists()
    door.open_again()
    visitors.connect()
    reactor.settle()
    assert len(visitors.admitted) == 1


@pytest.mark.parametrize("step", ["listen", "identity"])
def test_an_exception_from_outside_in_the_making_is_made_good_by_the_next_call(
    door: Door, visitors: Visitors, reactor: SteppedReactor, path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    door.open()
    old = door._listener
    assert old is not None
    path.unlink()
    real: Callable[[str], Any] = getattr(sockets, step)
    opened: list[Any] = []

    def torn(path: str) -> Any:
        opened.append(real(path))
        if step == "listen" or len(opened) == 2:  # the second one is asked in `open`
            raise LookupError("from outside")
        return opened[-1]

    with monkeypatch.context() as patch:
        patch.setattr(door_module.sockets, step, torn)
        with pytest.raises(LookupError, match="from outside"):
            door.open_again()
    door.open_again()
    visitors.connect()
    reactor.settle()
    assert len(visitors.admitted) == 1
    old.close()
    if step == "listen":
        opened[0].close()


def test_a_path_that_no_socket_can_have_fails_at_once(reactor: SteppedReactor, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="set NBACTORS_DIR to"):
        Door(reactor, Membership(PROCESS_ID, str(tmp_path / ("x" * 120)))).open()


def test_closing_removes_the_file_and_may_come_twice(door: Door, path: Path) -> None:
    door.open()
    assert path.exists()
    door.close()
    door.close()
    assert not path.exists()


def test_closing_bears_that_the_file_is_gone(door: Door, path: Path) -> None:
    door.open()
    path.unlink()
    door.close()
    assert door._listener is None


def test_a_forked_child_leaves_the_file_to_its_parent(door: Door, path: Path, reactor: SteppedReactor) -> None:
    door.forget()
    door.open()
    copy = door._listener
    assert copy is not None
    door._listener = copy.dup()
    door.forget()
    assert path.exists()
    reactor.unregister(copy.fileno())
    copy.close()
    os.unlink(path)
    door._listener = None
