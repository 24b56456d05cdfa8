"""Every command, where the node is hung, of another version, cut off, or none: a sentence, and never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from command import TIMEOUT_S, nbactors, program
from other_version import KEEPER, PROTOCOL, OtherVersion

from nbactors.local import sockets
from nbactors.local.access import discovery, stopping
from nbactors.local.wire.messages import PROTOCOL_VERSION
from nbactors.testing import eventually
from nbactors.testing.leaks import node_pid
from nbactors.util import state

pytestmark = pytest.mark.slow

COMMANDS = (("status",), ("status", "--json"), ("logs", "keeper"), ("logs", "-f", "keeper"))

QUICK = (
    *COMMANDS,
    ("list",),
    ("stack", "keeper"),
    ("profile", "keeper"),
    ("interrupt", "keeper"),
    ("kill", "--yes", "keeper"),
    ("cancel", "abcd-1"),
    ("metrics",),
    ("timeline", "-"),
)
"""All commands that ask the node."""


def keep_actor() -> int:
    """Have this version's node run with a detached actor; return the actor's process."""
    done = subprocess.run([sys.executable, "-c", KEEPER], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    return int(done.stdout)


def check_all_commands(said: str, status: int, others: int = 1) -> None:
    for command in COMMANDS:
        done = nbactors(*command)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == (status if command[0] == "status" else others), (command, done.stdout, done.stderr)
    assert said in nbactors("status").stdout


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class TestStopped:
    """A node that is stopped by a signal answers nobody, and takes no request to end."""

    @pytest.mark.parametrize("force", [False, True])
    def test_a_stopped_node_is_shown_and_ended(self, own_directory: Path, force: bool) -> None:
        actor = keep_actor()
        node = psutil.Process(node_pid())
        node.suspend()
        eventually(lambda: node.status() == psutil.STATUS_STOPPED)
        if not force:
            check_all_commands("It is stopped (SIGSTOP)", 1)
            assert f"{actor}  ray::Keeper" in nbactors("status").stdout
        stop = nbactors("stop", *(["--force"] if force else []))
        assert (stop.returncode, stop.stderr) == (0, "")
        assert is_gone(node.pid)
        assert is_gone(actor)

    def test_every_command_says_that_a_stopped_node_does_not_answer(self, own_directory: Path) -> None:
        keep_actor()
        psutil.Process(node_pid()).suspend()
        others = [command for command in QUICK if command not in COMMANDS]
        with ThreadPoolExecutor(len(others)) as pool:  # each waits for ten seconds
            for done in pool.map(lambda command: nbactors(*command), others):
                assert (done.returncode, done.stdout) == (1, ""), done.args
                assert done.stderr.startswith("Error: the node has not sent"), done.args
                assert "`nbactors status` tells" in done.stderr

    def test_stopped_workers_of_a_stopped_node_end(self, own_directory: Path) -> None:
        worker = psutil.Process(keep_actor())
        forkserver, node = worker.parents()[:2]
        for process in (node, forkserver, worker):
            process.suspend()
        assert nbactors("stop", "--force").returncode == 0
        assert all(map(is_gone, (node.pid, forkserver.pid, worker.pid)))

    def test_a_stopped_worker_whose_forkserver_has_died_ends(self, own_directory: Path) -> None:
        worker = psutil.Process(keep_actor())
        forkserver, node = worker.parents()[:2]
        node.suspend()
        worker.suspend()
        forkserver.kill()
        assert nbactors("stop", "--force").returncode == 0
        assert all(map(is_gone, (node.pid, worker.pid)))


class TestHung:
    """A node that neither answers nor heeds SIGTERM."""

    @pytest.fixture
    def pid(self, own_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
        hung = OtherVersion(tmp_path)
        hung.change(
            "nbactors/local/wire/messages/message.py", r"^PROTOCOL.*$", f"PROTOCOL_VERSION = 0x{PROTOCOL_VERSION:x}"
        )
        hung.change(
            "nbactors/local/node/shell/server.py",
            r"^ +while not self._leaving:$",
            "        while not time.sleep(3600):",  # for ever, as far as the test goes: it ends the node
        )
        monkeypatch.setattr(discovery, "PACKAGE", f"{hung.path}/nbactors/")
        with closing(discovery.connect_node()):
            yield node_pid()

    def test_a_hung_node_is_shown_and_killed(self, pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
        status = nbactors("status")
        assert (status.returncode, status.stderr) == (1, "")
        assert "It does not answer. `nbactors stop` ends it." in status.stdout
        monkeypatch.setattr(stopping, "ANSWER_S", 0.2)
        monkeypatch.setattr(stopping, "_TERM_S", 0.2)
        (row,) = state.stop_nodes()
        assert (row["pid"], row["was_killed"]) == (pid, True)
        assert is_gone(pid)

    def test_ctrl_c_ends_the_wait_for_a_hung_node(self, pid: int) -> None:
        command = [sys.executable, "-m", "nbactors.cli", "logs", "keeper"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as logs:
            waiting = psutil.Process(logs.pid)
            eventually(lambda: waiting.net_connections(kind="unix"), 10)
            logs.send_signal(signal.SIGINT)
            _, errors = logs.communicate(timeout=TIMEOUT_S)
        assert (logs.returncode, errors.strip()) == (130, "")


class TestOtherVersion:
    def test_a_node_of_another_version_is_shown_and_ended(self, own_directory: Path, tmp_path: Path) -> None:
        other = OtherVersion(tmp_path)
        theirs, ours = other.keep_actor(), keep_actor()
        shown = nbactors("status")
        assert shown.returncode == 0, shown.stderr
        assert f"Node {other.version}, pid " in shown.stdout
        assert f", protocol {PROTOCOL}, since 20" in shown.stdout
        assert f"only the nbactors {other.version} that has started it can list its actors" in shown.stdout
        assert f"{theirs}  ray::Keeper" in shown.stdout
        assert "keeper  Keeper  alive, detached" in shown.stdout
        rows = json.loads(nbactors("status", "--json").stdout)["nodes"]
        assert [(row["protocol"] == PROTOCOL, row["state"]) for row in rows] == [
            (True, "OTHER_PROTOCOL"),
            (False, "RUNNING"),
        ]
        stop = nbactors("stop")
        assert (stop.returncode, stop.stdout.count("Stopped: node")) == (0, 2)
        assert is_gone(theirs)
        assert is_gone(ours)
        assert nbactors("status").returncode == 3

    def test_every_command_names_the_other_protocol(self, own_directory: Path, tmp_path: Path) -> None:
        OtherVersion(tmp_path).keep_actor()
        check_all_commands("another protocol", 0, others=3)
        assert f"{own_directory}/{PROTOCOL}/logs" in nbactors("logs", "keeper").stderr

    def test_a_node_of_the_old_directory_layout_is_found_and_ended(
        self, own_directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(discovery, "node_directory", discovery.ensure_directory)
        with closing(discovery.connect_node()):
            (row,) = json.loads(nbactors("status", "--json").stdout)["nodes"]
            assert (row["directory"], row["state"]) == (str(own_directory), "RUNNING")
            assert nbactors("stop").returncode == 0
            assert is_gone(row["pid"])


@contextmanager
def babbler(path: Path, words: bytes) -> Iterator[None]:
    """Listen there as something that is no node."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with closing(sockets.listen(str(path))) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.sendall(words)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH\r\n", b""])
def test_another_program_that_listens_is_left_alone(own_directory: Path, words: bytes) -> None:
    with babbler(Path(discovery.node_directory()) / "node.sock", words):
        for command in (*QUICK, ("doctor",), ("stop",), ("stop", "--force")):
            done = nbactors(*command)
            assert "Traceback" not in done.stderr
            if command[0] == "stop":
                assert (done.returncode, "was left alone" in done.stderr) == (1, True)
                assert f"pid {os.getpid()}" in done.stderr


def test_an_unsafe_directory_is_named_and_its_node_can_be_stopped(own_directory: Path) -> None:
    actor = keep_actor()
    own_directory.chmod(0o755)
    for command in QUICK:
        done = nbactors(*command)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: the runtime directory")
        assert len(done.stderr.splitlines()) == 1
    assert nbactors("stop").returncode == 0
    assert is_gone(actor)


def test_a_node_of_another_directory_is_shown_with_all_only(
    own_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = keep_actor()
    monkeypatch.setenv("NBACTORS_DIR", str(tmp_path / "elsewhere"))
    assert nbactors("status").returncode == 3
    assert str(own_directory) in nbactors("status", "--all").stdout
    assert "nothing to stop" in nbactors("stop").stdout
    assert not is_gone(actor)
    rows = state.list_nodes(everywhere=True)
    assert str(own_directory) in [os.path.dirname(row["directory"]) for row in rows]


def _has_own_view() -> bool:
    """Whether a program can be given a view of the file system of its own, which hides all other nodes from it."""
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not shutil.which("unshare") or not _has_own_view(), reason="it would end the nodes of others")
def test_stop_all_ends_nodes_of_other_directories(own_directory: Path, tmp_path: Path) -> None:
    script = (
        'NBACTORS_DIR=$2 "$1" -c "$3" && "$1" -m nbactors.cli stop --all && NBACTORS_DIR=$2 "$1" -m nbactors.cli status'
    )
    outside = keep_actor()
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, str(own_directory / "other"), KEEPER]
    environ = {**os.environ, "NBACTORS_DIR": str(tmp_path / "empty")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (done.returncode, "Stopped." in done.stdout) == (3, True), done.stderr
    assert not is_gone(outside), "its path means a directory of another view"


class TestEnding:
    SAYS = """
@ray.remote
class Talker:
    def say(self, count):
        for number in range(count):
            print("line", number)

ray.init(num_cpus=1, log_to_driver=False)
talker = Talker.options(name="talker").remote()
ray.get(talker.say.remote(5000))
"""

    def test_ctrl_c_ends_a_command_quietly(self, own_directory: Path) -> None:
        with program(self.SAYS):
            command = [sys.executable, "-m", "nbactors.cli", "logs", "-f", "-n", "1", "talker"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as logs:
                assert logs.stdout is not None
                assert logs.stdout.readline() == "line 4999\n"
                logs.send_signal(signal.SIGINT)
                _, errors = logs.communicate(timeout=TIMEOUT_S)
            assert (logs.returncode, errors.strip()) == (130, "")

    @pytest.mark.parametrize("arguments", [["logs", "talker"], ["status"], ["--help"]])
    def test_a_closed_pipe_ends_a_command_quietly(self, own_directory: Path, arguments: list[str]) -> None:
        with program(self.SAYS):
            reader, writer = os.pipe()
            os.close(reader)
            command = [sys.executable, "-m", "nbactors.cli", *arguments]
            done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=TIMEOUT_S, check=False)
            os.close(writer)
            assert (done.returncode, done.stderr) == (1, b"")

    @pytest.mark.skipif(os.getuid() == 0, reason="root reads all files")
    def test_an_unreadable_log_is_named_in_the_error(self, own_directory: Path) -> None:
        with program(self.SAYS):
            (row,) = state.actor_logs("talker")
            os.chmod(row["log_path"], 0)
            done = nbactors("logs", "talker")
            assert (done.returncode, row["log_path"] in done.stderr) == (1, True)
            assert "Traceback" not in done.stderr

    def test_a_log_that_is_not_a_file_is_named_in_the_error(self, own_directory: Path) -> None:
        with program(self.SAYS):
            (row,) = state.actor_logs("talker")
            os.unlink(row["log_path"])
            os.mkdir(row["log_path"])
            done = nbactors("logs", "talker")
            assert (done.returncode, row["log_path"] in done.stderr) == (1, True)
            assert "Traceback" not in done.stderr
