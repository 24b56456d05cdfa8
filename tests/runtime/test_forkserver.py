"""The forkserver by itself: orders in, processes out."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from raw_session import environment, is_gone

from nbactors.local.wire import messages
from nbactors.local.wire.framing import MAX_CONTROL_FRAME, Codec, FrameBuffer, fork_codec
from nbactors.local.wire.os_bytes import encode_all
from nbactors.testing import eventually

BOOT = """
import sys
sys.path.insert(0, sys.argv[2])
from nbactors.local.forkserver import main
main(int(sys.argv[1]), "stand_in")
"""

STAND_IN = textwrap.dedent("""
    import json, os, signal, stat, sys, random
    IMPORTED_BY = os.getpid()
    inherited = set()
    def prepare():
        pass
    def before_forks():
        inherited.update(sys.modules)
    class Worker:
        def __init__(self):
            self.made_by = os.getpid()
        def begin(self, process_id, directory):
            self.process_id, self.directory = process_id.hex(), directory
            if directory == "no worker":
                raise OSError("no descriptor is left")
            if directory == "no spare" and int(self.process_id, 16) > 1 and not os.path.exists(self.process_id):
                open(self.process_id, "w").close()
                raise OSError("no descriptor is left")
        def join_as_spare(self):
            pass
        def take_order(self, readers):
            self.readers = readers
            self.can_read = [stat.S_ISFIFO(os.fstat(reader).st_mode) for reader in readers]
    make = Worker
    def run(worker, title, runtime_env):
        directory = worker.directory
        facts = {
            "pid": os.getpid(), "sid": os.getsid(0), "imported by": IMPORTED_BY, "cwd": os.getcwd(), "title": title,
            "path": sys.path[:1], "directory": directory, "random": random.random(), "process_id": worker.process_id,
            "SIGINT is ignored": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
            "SIGCHLD": int(signal.getsignal(signal.SIGCHLD)), "descriptors": sorted(map(int, os.listdir("/dev/fd"))),
            "made by": worker.made_by, "pipes": worker.can_read, "bytecode": sys.dont_write_bytecode,
            "variable": os.environ.get("PYTHONDONTWRITEBYTECODE"),
        }
        print(json.dumps(facts), flush=True)
        if title == "child":
            pid = os.fork()
            if pid == 0:
                signal.pause()
            print(pid, flush=True)
        exec("" if directory == "no spare" else directory)
""")


class ForkServer:
    """A forkserver under test, with the stand-in for a worker."""

    def __init__(self, place: Path, facts: messages.Environment) -> None:
        self.place = place
        (place / "stand_in.py").write_text(STAND_IN)
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(10)
        command = [sys.executable, "-c", BOOT, str(theirs.fileno()), str(place)]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True)
        theirs.close()
        self.sock.sendall(Codec[Any](messages.Environment, MAX_CONTROL_FRAME).encode([facts]))
        self.frames = FrameBuffer(MAX_CONTROL_FRAME)
        self.inbox: list[Any] = []
        self.spares: list[messages.SpareMade] = []

    def fork(self, number: int, code: str = "", title: str = "t", **changes: Any) -> tuple[Any, Any]:
        """Have a worker forked that runs `code`; return files for its stdout and stderr."""
        out, err = os.pipe(), os.pipe()
        facts: dict[str, Any] = {"sys_path": [], "cwd": b"", "runtime_env": None}
        order = messages.Fork(number.to_bytes(16, "big"), code.encode(), title, **{**facts, **changes})
        socket.send_fds(self.sock, [fork_codec().encode([order])], [out[1], err[1], out[0], err[0]])
        os.close(out[1])
        os.close(err[1])
        return open(out[0]), open(err[0])

    def next(self) -> Any:
        """Return the next message about a worker."""
        while True:
            message = self.any()
            if not isinstance(message, messages.SpareMade):
                return message
            self.spares.append(message)

    def spare(self) -> tuple[int, int]:
        """Wait for a spare; return the number for an order to it, and its pid."""
        return self.spare_number(), max(self.children())

    def spare_number(self) -> int:
        """Wait for a spare; return the number for an order to it."""
        while not self.spares:
            message = self.any()
            if isinstance(message, messages.SpareMade):
                self.spares.append(message)
        return int.from_bytes(self.spares.pop(0).process_id, "big")

    def children(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def any(self) -> Any:
        while not self.inbox:
            data = self.sock.recv(65536)
            assert data, "the forkserver has gone"
            for body in self.frames.feed(data):
                self.inbox += fork_codec().decode(body)
        return self.inbox.pop(0)

    def close(self) -> None:
        self.sock.close()
        self.process.wait(5)
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkServer]:
    made = ForkServer(tmp_path, environment(sys_path=encode_all(["/first", *sys.path]), cwd=bytes(tmp_path)))
    yield made
    made.close()


def first_line(streams: tuple[Any, Any]) -> Any:
    """Return what the stand-in says of itself, and close its pipes."""
    out, err = streams
    with out, err:
        return json.loads(out.readline())


def test_a_worker_is_a_fork_that_shares_no_descriptor_and_no_terminal_session(
    server: ForkServer, tmp_path: Path
) -> None:
    out, err = server.fork(7)
    forked = server.next()
    assert (forked.process_id, forked.text) == ((7).to_bytes(16, "big"), "")
    exited = server.next()
    assert exited == messages.Exited(forked.process_id, forked.pid, 0)
    with out, err:
        facts = json.loads(out.read())
        assert err.read() == ""
    assert facts["pid"] == facts["sid"] == forked.pid
    assert facts["imported by"] == facts["made by"] == server.process.pid
    assert facts["process_id"] == forked.process_id.hex()
    assert facts["SIGINT is ignored"]
    assert facts["SIGCHLD"] == signal.SIG_DFL
    assert facts["cwd"] == str(tmp_path)
    assert facts["path"] == ["/first"]
    # Nothing but its three streams, the read ends of two of them, and the listing of this directory itself.
    assert len(facts["descriptors"]) == 6


def test_the_read_ends_are_the_worker_s_alone(server: ForkServer) -> None:
    """A program that a worker runs does not get them."""
    code = "import subprocess; print(*[os.get_inheritable(reader) for reader in worker.readers], flush=True)"
    out, err = server.fork(1, code)
    with out, err:
        assert out.read().splitlines()[1] == "False False"


def test_the_forkserver_of_a_crashed_node_stays_until_its_last_worker_has_ended(server: ForkServer) -> None:
    code = "import signal; signal.pause()"
    (out, err), (other_out, other_err) = server.fork(1, code), server.fork(2, code)
    pids = [json.loads(stream.readline())["pid"] for stream in (out, other_out)]
    server.sock.close()
    os.kill(pids[0], signal.SIGTERM)
    assert out.read() == ""
    eventually(lambda: not psutil.pid_exists(pids[0]))
    assert server.process.poll() is None, "it has reaped the worker, and waits for the other one"
    os.kill(pids[1], signal.SIGTERM)
    assert server.process.wait(10) == 0
    for stream in (out, err, other_out, other_err):
        stream.close()


def test_a_worker_gets_its_own_path_and_directory(server: ForkServer) -> None:
    facts = first_line(server.fork(1, sys_path=encode_all(["/second", *sys.path]), cwd=b"/"))
    assert (facts["path"], facts["cwd"]) == (["/second"], "/")


def asked_before_and_after_an_import(server: ForkServer, ask: str) -> list[str]:
    """Return what three workers print, of which the second one is ordered with the module `colorsys`."""
    found = []
    for number, modules in enumerate([[], ["colorsys"], []]):
        out, err = server.fork(number, ask, modules=modules)
        with out, err:
            out.readline()
            found.append(out.readline().strip())
    return found


def test_modules_are_imported_before_the_fork_once_for_all(server: ForkServer) -> None:
    found = asked_before_and_after_an_import(server, "print('colorsys' in sys.modules, flush=True)")
    assert found == ["False", "True", "True"]


def test_workers_are_told_of_the_modules_that_they_inherit(server: ForkServer) -> None:
    ask = "print('colorsys' in inherited, set(sys.modules) - inherited, flush=True)"
    found = asked_before_and_after_an_import(server, ask)
    assert found == ["False set()", "True set()", "True set()"]


def test_a_module_that_cannot_be_imported_stops_nothing(server: ForkServer) -> None:
    assert first_line(server.fork(1, modules=["no_such_module"]))["process_id"] == (1).to_bytes(16, "big").hex()


def test_a_module_that_exits_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "a_script.py").write_text("import sys; sys.exit(3)")
    server = ForkServer(tmp_path, environment(sys_path=encode_all([str(tmp_path), *sys.path])))
    assert first_line(server.fork(1, modules=["a_script"]))["process_id"] == (1).to_bytes(16, "big").hex()
    server.close()


def test_workers_draw_different_random_numbers(server: ForkServer) -> None:
    numbers = {first_line(server.fork(number))["random"] for number in range(3)}
    assert len(numbers) == 3


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("os._exit(3)", 3),
        ("sys.exit(4)", 4),
        ("sys.exit()", 1),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
        ("raise ValueError('left alone')", 1),
    ],
)
def test_a_worker_s_exit_status_is_reported(server: ForkServer, code: str, status: int) -> None:
    out, err = server.fork(1, code)
    assert server.next().pid
    assert server.next().status == status
    with out, err:
        assert ("ValueError: left alone" in err.read()) == ("ValueError" in code)


def test_twenty_workers_at_once_keep_their_own_pipes(server: ForkServer) -> None:
    streams = [server.fork(number, f"print({number}, flush=True)") for number in range(20)]
    for number, (out, err) in enumerate(streams):
        with out, err:
            facts, printed = out.read().splitlines()
            assert int(printed) == number
            assert int(json.loads(facts)["process_id"], 16) == number


def test_children_of_a_worker_end_with_the_worker(server: ForkServer) -> None:
    out, err = server.fork(1, title="child")
    with out, err:
        out.readline()
        child = int(out.readline())
        # Reading ends with the last process that has the pipe.
        assert out.read() == ""
    # The pipe closes a moment before the process is gone.
    eventually(lambda: is_gone(child), timeout_s=5)


def test_the_forkserver_ends_with_the_node(server: ForkServer) -> None:
    server.sock.close()
    assert server.process.wait(5) == 0


def test_the_forkserver_writes_bytecode_although_its_workers_may_not(tmp_path: Path) -> None:
    facts = environment(environ={**os.environb, b"PYTHONDONTWRITEBYTECODE": b"1"})
    server = ForkServer(tmp_path, facts)
    told = first_line(server.fork(1))
    assert (told["bytecode"], told["variable"]) == (True, "1")
    server.close()


def test_a_removed_working_directory_is_noted_and_ends_nothing(tmp_path: Path) -> None:
    server = ForkServer(tmp_path, environment(cwd=bytes(tmp_path / "gone")))
    assert first_line(server.fork(1))["pid"]
    server.sock.close()
    _, notes = server.process.communicate(timeout=5)
    assert "cannot be entered (No such file or directory)" in notes


def test_a_worker_that_cannot_begin_says_why_on_its_own_stderr(server: ForkServer) -> None:
    out, err = server.fork(1, "no worker")
    forked, exited = server.next(), server.next()
    assert exited == messages.Exited(forked.process_id, forked.pid, 1)
    with out, err:
        assert "OSError: no descriptor is left" in err.read(), "the node tells it to the actor's creator"


class TestSpares:
    """After a worker the forkserver forks a child that becomes the next one, if that has its id."""

    @pytest.fixture
    def spare(self, server: ForkServer) -> tuple[int, int]:
        """The number of an order to a spare, and the spare's pid."""
        first_line(server.fork(1, "pass"))  # there is none before the first order, which has the directory
        forked, exited = server.next(), server.next()
        assert (forked.pid, exited.status) == (exited.pid, 0)
        return server.spare()

    def test_a_spare_becomes_the_worker_with_its_id(self, server: ForkServer, spare: tuple[int, int]) -> None:
        number, pid = spare
        facts = first_line(server.fork(number, "pass", sys_path=encode_all(["/second", *sys.path]), cwd=b"/"))
        assert (facts["pid"], facts["sid"], int(facts["process_id"], 16)) == (pid, pid, number)
        assert (facts["path"], facts["cwd"], len(facts["descriptors"])) == (["/second"], "/", 6)
        assert facts["pipes"] == [True, True]
        assert server.next() == messages.Forked(number.to_bytes(16, "big"), pid, "")
        assert server.next() == messages.Exited(number.to_bytes(16, "big"), pid, 0)
        assert server.spare()[0] != number

    @pytest.mark.parametrize(
        "changes",
        [
            {"modules": ["colorsys"]},
            {"runtime_env": messages.RuntimeEnv({}, b"", [], b"", b"")},
            {"title": "t" * 100_000},
            {"code": "1"},
        ],
        ids=["a module that it lacks", "a runtime_env", "a long order", "another node's directory"],
    )
    def test_a_spare_ends_that_does_not_fit(
        self, server: ForkServer, spare: tuple[int, int], changes: dict[str, Any]
    ) -> None:
        number, pid = spare
        facts = first_line(server.fork(**{"number": number, "code": "pass", **changes}))
        assert facts["pid"] != pid
        assert int(facts["process_id"], 16) == number
        eventually(lambda: not psutil.pid_exists(pid))

    def test_a_spare_waits_on_while_others_are_ordered(self, server: ForkServer, spare: tuple[int, int]) -> None:
        number, pid = spare
        for other in (7, 8):
            assert first_line(server.fork(other, "pass"))["pid"] != pid
        facts = first_line(server.fork(number, "pass"))
        assert (facts["pid"], int(facts["process_id"], 16)) == (pid, number)

    def test_a_spare_ends_with_a_forkserver_whose_other_workers_live(
        self, server: ForkServer, spare: tuple[int, int]
    ) -> None:
        _, pid = spare
        out, err = server.fork(7, "import signal; signal.pause()")
        worker = json.loads(out.readline())["pid"]
        server.process.kill()
        server.process.wait(5)
        eventually(lambda: is_gone(pid), timeout_s=5)
        assert not is_gone(worker)
        os.kill(worker, signal.SIGKILL)
        with out, err:
            assert out.read() == ""

    def test_the_death_of_a_spare_fails_no_worker(self, server: ForkServer, spare: tuple[int, int]) -> None:
        number, pid = spare
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not psutil.pid_exists(pid))
        facts = first_line(server.fork(number, "pass"))
        assert facts["pid"] != pid
        assert server.spare()[1] != pid

    def test_there_is_another_spare_after_an_order_that_came_right_after_the_death_of_one(
        self, server: ForkServer, spare: tuple[int, int]
    ) -> None:
        """The forkserver reads the order before it hears of the death, and the node has given another id."""
        number, pid = spare
        os.kill(server.process.pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        out, err = server.fork(7, "pass")
        os.kill(server.process.pid, signal.SIGCONT)
        with out, err:
            assert json.loads(out.readline())["pid"] != pid
        another, other_pid = server.spare()
        assert another != number
        assert other_pid != pid

    def test_a_spare_that_cannot_begin_fails_no_worker(self, tmp_path: Path) -> None:
        server = ForkServer(tmp_path, environment(sys_path=encode_all(sys.path), cwd=bytes(tmp_path)))
        first_line(server.fork(1, "no spare"))
        number = server.spare_number()
        eventually(lambda: not server.children())
        facts = first_line(server.fork(number, "no spare"))
        assert int(facts["process_id"], 16) == number
        server.close()

    @pytest.mark.parametrize("how", ["the node closes the socket", "it is killed"])
    def test_a_spare_ends_with_the_forkserver(self, server: ForkServer, spare: tuple[int, int], how: str) -> None:
        _, pid = spare
        if how == "it is killed":
            server.process.kill()
        else:
            server.sock.close()
        server.process.wait(5)
        eventually(lambda: is_gone(pid), timeout_s=5)
        assert is_gone(pid)
