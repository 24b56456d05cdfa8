"""Finding the node, and starting it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from raw_session import RawSession, home, is_gone

from nbactors.exceptions import NodeMissingError, RaySystemError
from nbactors.local import sockets
from nbactors.local.access import discovery
from nbactors.local.access.control import ControlClient
from nbactors.local.wire import messages
from nbactors.local.wire.framing import control_codec
from nbactors.testing import eventually
from nbactors.testing.leaks import node_pid


class TestDirectory:
    def test_the_variable_names_the_directory_which_is_made_private(self, own_directory: Path) -> None:
        own_directory.rmdir()
        assert discovery.runtime_directory() == own_directory
        assert own_directory.stat().st_mode & 0o777 == 0o700

    def test_without_the_variable_the_directory_lies_in_xdg_runtime_dir(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("NBACTORS_DIR", raising=False)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        assert discovery.runtime_directory() == tmp_path / "nbactors"

    def test_without_xdg_runtime_dir_the_directory_lies_among_the_temporary_files(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("NBACTORS_DIR", raising=False)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        assert discovery.runtime_directory() == tmp_path / f"nbactors-{os.getuid()}"

    def test_a_directory_that_others_may_enter_is_refused(self, own_directory: Path) -> None:
        own_directory.chmod(0o750)
        with pytest.raises(PermissionError, match=r"is open to others \(mode 750\).*chmod 700"):
            discovery.runtime_directory()

    def test_a_symbolic_link_is_refused(
        self, own_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = tmp_path / "link"
        link.symlink_to(own_directory)
        monkeypatch.setenv("NBACTORS_DIR", str(link))
        with pytest.raises(PermissionError, match="is a symbolic link"):
            discovery.runtime_directory()

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
    def test_a_directory_of_another_user_is_refused(self, own_directory: Path) -> None:
        os.chown(own_directory, 12345, -1)
        try:
            with pytest.raises(PermissionError, match="belongs to user id 12345, not to 0"):
                discovery.runtime_directory()
        finally:
            os.chown(own_directory, 0, -1)

    def test_a_directory_that_cannot_be_made_is_explained(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("NBACTORS_DIR", str(tmp_path / "file" / "below"))
        with pytest.raises(OSError, match=r"cannot be made.*set NBACTORS_DIR"):
            discovery.runtime_directory()

    def test_a_directory_with_too_long_a_path_is_explained(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("NBACTORS_DIR", str(tmp_path / ("x" * 100)))
        with pytest.raises(OSError, match=r"unix sockets allow 103: set NBACTORS_DIR to a directory with a shorter"):
            discovery.connect_node()


class TestPeer:
    def test_a_process_of_the_same_user_is_let_in(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(b"hello")
            sockets.check_peer(ours)
            assert ours.recv(5) == b"hello"

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
    def test_a_process_of_another_user_is_refused(self, own_directory: Path) -> None:
        path = str(own_directory / "s")
        with closing(sockets.listen(path)) as listener:
            os.chmod(path, 0o666)
            own_directory.chmod(0o755)
            pid = os.fork()
            if pid == 0:
                try:
                    os.setuid(12345)
                    socket.socket(socket.AF_UNIX).connect(path)
                finally:
                    os._exit(0)
            connection, _ = listener.accept()
            os.waitpid(pid, 0)
            own_directory.chmod(0o700)
            with connection, pytest.raises(PermissionError, match="belongs to user id 12345, this one to 0"):
                sockets.check_peer(connection)


class TestStart:
    def test_looking_for_a_node_starts_none(self, own_directory: Path) -> None:
        assert discovery.find_node() is None
        with pytest.raises(NodeMissingError, match="no node runs"):
            ControlClient.find()
        assert node_pid() == 0

    @pytest.mark.parametrize("has_asked", [False, True])
    def test_a_node_that_leaves_while_it_is_asked_is_missing(self, own_directory: Path, has_asked: bool) -> None:
        with RawSession(), ControlClient.find() as client:
            query = messages.Query(client.next_rid(), "actors")
            node = psutil.Process(client.welcome.pid)
            node.suspend()
            eventually(lambda: node.status() == psutil.STATUS_STOPPED)
            if has_asked:
                # What lies unread in its socket makes the end of the connection a reset, not an end of the stream.
                client.send(query)
            node.kill()
            with pytest.raises(NodeMissingError, match="the node has just left"):
                if has_asked:
                    client.receive(messages.Listing)
                else:
                    client.request(query)

    def test_twenty_threads_at_once_start_one_node(self, own_directory: Path) -> None:
        with ThreadPoolExecutor(20) as threads:
            found = list(threads.map(lambda _: discovery.connect_node(), range(20)))
        clients = [ControlClient(sock) for sock in found]
        assert len({client.welcome.pid for client in clients}) == 1
        for client in clients:
            client.close()

    def test_the_node_is_no_child_of_the_process_that_starts_it(self, own_directory: Path) -> None:
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        with closing(discovery.connect_node()):
            node = psutil.Process(node_pid())
            assert os.getsid(node.pid) == node.pid
            assert os.getpgid(node.pid) == node.pid
            assert node.pid not in [child.pid for child in psutil.Process().children(recursive=True)]
            assert node.cwd() == "/"
            # The pipe ends when its last writer is gone: the node has none.
            os.close(writer)
            assert os.read(reader, 1) == b""
        os.close(reader)

    def test_the_node_takes_little_memory(self, own_directory: Path) -> None:
        with closing(discovery.connect_node()):
            assert psutil.Process(node_pid()).memory_info().rss < 25 << 20

    def test_a_child_that_is_forked_while_a_node_starts_does_not_keep_the_lock(self, own_directory: Path) -> None:
        path = str(own_directory / "start.lock")
        reader, writer = os.pipe()
        with discovery._locked(path, time.monotonic() + 10):
            child = os.fork()
            if child == 0:
                os.close(writer)
                os.read(reader, 1)
                os._exit(0)
        with discovery._locked(path, time.monotonic()):
            assert psutil.pid_exists(child)
        os.close(writer)
        os.waitpid(child, 0)
        os.close(reader)

    @pytest.mark.parametrize("content", ["a socket of a node that was killed", "a file"])
    def test_the_files_of_a_dead_node_are_removed(self, own_directory: Path, content: str) -> None:
        with RawSession() as session:
            up = session.create_up()
            first = node_pid()
            os.kill(up.pid, signal.SIGKILL)  # it would start the next node
            os.kill(first, signal.SIGKILL)
            # A dying process closes what it has in turn: its worker may be gone before nobody listens any more.
            eventually(lambda: is_gone(up.pid) and is_gone(first))
        if content == "a file":
            (home(own_directory) / "node.sock").unlink()
            (home(own_directory) / "node.sock").touch()
        stale = home(own_directory) / "p" / "0123456789abcdef"
        sockets.listen(str(stale)).close()
        with closing(discovery.connect_node()):
            assert node_pid() not in (0, first)
            assert list((home(own_directory) / "p").iterdir()) == []

    def test_an_interpreter_that_fails_is_an_error_with_the_nodes_log(
        self, own_directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = own_directory / "python"
        program.write_text("#!/bin/sh\necho something is wrong >&2\nexit 3\n")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        with pytest.raises(RaySystemError, match=r"(?s)it ended before it was ready.*node\.log:\nsomething is wrong"):
            discovery.connect_node()

    def test_without_a_known_interpreter_no_node_is_started(
        self, own_directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "executable", "")
        with pytest.raises(RaySystemError, match=r"sys\.executable is ''"):
            discovery.connect_node()


def _three(node: psutil.Process) -> list[int]:
    """Return the processes below a node if they are three."""
    below = [child.pid for child in node.children(recursive=True)]
    return below if len(below) == 3 else []


class TestLeaving:
    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch: pytest.MonkeyPatch, own_directory: Path) -> Iterator[None]:
        monkeypatch.setenv("NBACTORS_LINGER_S", "0")
        yield
        eventually(lambda: not node_pid())

    def test_after_the_last_session_nothing_is_left_but_locks(self, own_directory: Path) -> None:
        with RawSession() as session:
            session.create_up()
            node = psutil.Process(node_pid())
            # The forkserver, the actor's worker, and the next one.
            family = [node.pid, *eventually(lambda: _three(node))]
        eventually(lambda: all(map(is_gone, family)))
        left = {path.name for path in home(own_directory).rglob("*")}
        assert left - {"p"} == {"node.lock", "start.lock"}

    @pytest.mark.slow
    def test_a_session_that_opens_while_the_node_leaves_is_served(self, own_directory: Path) -> None:
        for _ in range(15):
            with RawSession() as session:
                answer = session.request(messages.Query(session.next_rid(), "status"))
                assert isinstance(answer, messages.Listing)
                assert answer.facts["sessions"] == "1"


class TestMalformed:
    @pytest.mark.parametrize(
        "rubbish",
        [
            pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
            pytest.param(b"\xff\xff\xff\xff", id="a length without bounds"),
            pytest.param(b"\0\0\0\1\xc1", id="no msgpack"),
            pytest.param(control_codec().encode([messages.Query(1, "status")]), id="no hello"),
        ],
    )
    def test_malformed_bytes_end_their_connection_and_no_other(self, own_directory: Path, rubbish: bytes) -> None:
        with RawSession() as session, closing(discovery.connect_node()) as bad:
            bad.sendall(rubbish)
            bad.settimeout(5)
            assert bad.recv(100) == b""
            assert isinstance(session.request(messages.Query(session.next_rid(), "status")), messages.Listing)

    def test_an_unknown_message_in_the_first_frame_does_not_hide_the_hello(self, own_directory: Path) -> None:
        import msgspec

        hello = messages.Hello(messages.PROTOCOL_VERSION + 1, b"p" * 16, 1, "session", "9.9")
        body = msgspec.msgpack.encode([hello, [250, "a message that nobody knows yet"]])
        with closing(discovery.connect_node()) as sock:
            sock.sendall(len(body).to_bytes(4, "big") + body)
            sock.settimeout(5)
            (answer,) = control_codec().decode(sock.recv(4000)[4:])
            assert isinstance(answer, messages.Refused)
            assert answer.kind == "version"
            assert sock.recv(1) == b""


def test_a_node_starts_although_the_last_one_removes_its_logs_just_then(
    own_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder = discovery.make_folder

    def make_and_lose(directory: str) -> None:
        make_folder(directory)
        if not discovery.find(directory):  # as a node does that leaves
            (Path(directory) / "logs").rmdir()

    monkeypatch.setattr(discovery, "make_folder", make_and_lose)
    with closing(discovery.connect_node()):
        assert (own_directory / str(messages.PROTOCOL_VERSION) / "logs" / "node.log").is_file()
