"""The runtime directory, or what lies in it, is removed under living nodes, workers and sessions."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import pytest
from raw_session import RawSession, home, is_gone

import nbactors as ray
from nbactors import engine
from nbactors.local import sockets
from nbactors.local.access import discovery
from nbactors.local.node.shell.premises import LOOK_NOW
from nbactors.testing import eventually
from nbactors.testing.leaks import node_pid
from nbactors.util import state

pytestmark = pytest.mark.slow


@ray.remote
class Echo:
    def say(self, value: str) -> str:
        print(value, flush=True)
        return value


@pytest.fixture
def session(own_directory: Path) -> Iterator[engine.Engine]:
    ray.init(num_cpus=2, namespace="echo", log_to_driver=False)
    yield engine.current()
    ray.shutdown()


def look_now(node: int) -> None:
    """Have the node look at once, as it does every two seconds."""
    os.kill(node, LOOK_NOW)


class TestNode:
    @pytest.mark.parametrize("what", ["node.sock", "node.lock", "p", "logs", ""])
    def test_the_node_makes_removed_files_anew(self, own_directory: Path, what: str) -> None:
        with RawSession() as session:
            session.create_up()
            node = node_pid()
            path = home(own_directory) / what
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            look_now(node)
            eventually(path.exists)
            assert eventually(node_pid) == node
            assert session.create_up().pid
            assert home(own_directory).stat().st_mode & 0o777 == 0o700

    def test_an_actor_is_created_before_the_node_has_noticed(self, own_directory: Path) -> None:
        with RawSession() as session:
            session.create_up()
            for _ in range(3):
                shutil.rmtree(own_directory)
                assert session.create_up(placement={}).pid

    def test_the_node_notices_by_itself(self, own_directory: Path) -> None:
        with RawSession():
            node = node_pid()
            shutil.rmtree(own_directory)
            assert eventually(lambda: own_directory.exists() and node_pid()) == node
            assert own_directory.stat().st_mode & 0o777 == 0o700

    def test_a_session_that_opens_meanwhile_gets_the_living_node(self, own_directory: Path) -> None:
        with RawSession() as session:
            up, node = session.create_up(detached=True, name="keeper"), node_pid()
            for _ in range(5):
                shutil.rmtree(own_directory)
                with RawSession() as other:
                    assert other.welcome.pid == node
            assert psutil.Process(up.pid).is_running()
            eventually(lambda: len(state.list_nodes()) == 1)

    def test_a_replaced_node_ends(self, own_directory: Path) -> None:
        with RawSession() as session:
            up, first = session.create_up(), psutil.Process(node_pid())
            first.suspend()
            eventually(lambda: first.status() == psutil.STATUS_STOPPED)
            shutil.rmtree(own_directory)
            with RawSession() as other:
                assert other.welcome.pid != first.pid
                first.resume()
                eventually(lambda: is_gone(first.pid) and is_gone(up.pid))
                assert node_pid() == other.welcome.pid
                assert other.create_up().pid
                assert (home(own_directory) / "logs").exists()

    @pytest.mark.parametrize("is_stopped", [False, True])
    def test_stop_finds_a_node_without_a_socket(self, own_directory: Path, is_stopped: bool) -> None:
        with RawSession() as session:
            up, node = session.create_up(detached=True), psutil.Process(node_pid())
            if is_stopped:
                node.suspend()
            shutil.rmtree(own_directory)
            assert state.stop_node() is True
            assert is_gone(node.pid)
            assert is_gone(up.pid)

    def test_the_node_continues_its_log_in_a_new_file(self, own_directory: Path) -> None:
        log = home(own_directory) / "logs" / "node.log"
        with RawSession():
            log.unlink()
            look_now(node_pid())
            eventually(log.exists)
            (home(own_directory) / "node.sock").unlink()
            look_now(node_pid() or eventually(node_pid))
            eventually(lambda: "was removed, and was made anew" in log.read_text())


class TestMembers:
    def test_sessions_and_workers_are_reached_again(self, session: engine.Engine, own_directory: Path) -> None:
        echo = Echo.options(name="echo", lifetime="detached").remote()
        assert ray.get(echo.say.remote("before")) == "before"
        node = node_pid()
        shutil.rmtree(own_directory)
        look_now(node)
        process = session.process  # type: ignore[attr-defined]
        (row,) = eventually(lambda: _rows(own_directory), what="the node listens again")
        eventually(lambda: len(list((home(own_directory) / "p").iterdir())) == 2 or look_now(node))
        sockets.connect(sockets.process_socket_path(process.directory, process.process_id), 1.0).close()
        # From another session: it makes a connection of its own.
        source = (
            "import nbactors as ray; ray.init(namespace='echo', log_to_driver=False);"
            "print(ray.get(ray.get_actor('echo').say.remote('after')))"
        )
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=False)
        assert done.stdout == "after\n", done.stderr
        assert row["state"] == "ALIVE"

    def test_lines_that_are_printed_afterwards_are_logged(self, session: engine.Engine) -> None:
        echo = Echo.remote()
        ray.get(echo.say.remote("before"))
        (row,) = eventually(lambda: [row for row in state.list_actors(detail=True) if row["log_path"]])
        log = Path(row["log_path"])
        eventually(lambda: log.read_text() == "before\n")
        shutil.rmtree(log.parent)
        ray.get(echo.say.remote("after"))
        eventually(lambda: log.exists() and log.read_text() == "after\n")


def _rows(directory: Path) -> list[dict[str, object]]:
    return state.list_actors() if (home(directory) / "node.sock").exists() else []


def test_a_new_node_starts_where_a_killed_node_left_its_lock(own_directory: Path) -> None:
    """Nodes are looked for by their processes only where there was no lock: that is for the rare case."""
    with closing(discovery.connect_node()):
        first = node_pid()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: is_gone(first))
    with closing(discovery.connect_node()):
        assert node_pid() not in (0, first)


class TornError(Exception):
    """Comes from outside."""


def torn_at(place: int, function: Callable[[], None]) -> bool:
    """Call a function and raise at its n-th bytecode, those of its file that it calls included; say whether it has."""
    left = place

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename != function.__code__.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise TornError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except TornError:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_an_exception_at_any_place_of_listening_again_loses_nothing(session: engine.Engine) -> None:
    peers, door = session.process.peers, session.process.door  # type: ignore[attr-defined]
    for place in itertools.count():
        os.unlink(door._path)
        if not torn_at(place, door.open_again):
            break
        door.open_again()
        with sockets.connect(door._path, 1.0):
            (connection,) = eventually(lambda: list(peers._incoming))
        eventually(lambda: not peers._incoming)
        assert connection.closed
    assert place > 50, "each bytecode was one"
