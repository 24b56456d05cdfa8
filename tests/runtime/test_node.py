"""A real node with real workers, asked by hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from raw_session import RawSession, environment, home, is_gone

from nbactors.local import sockets
from nbactors.local.access.control import ControlClient
from nbactors.local.wire import messages
from nbactors.testing import eventually
from nbactors.testing.leaks import node_pid
from nbactors.util import state


class TestActors:
    def test_a_worker_listens_until_its_session_closes(self, runtime_directory: Path) -> None:
        with RawSession() as session:
            up = session.create_up()
            assert psutil.Process(up.pid).is_running()
            assert os.getsid(up.pid) == up.pid
            path = sockets.process_socket_path(str(home(runtime_directory)), up.process_id)
            sockets.connect(path, 1.0).close()
            answer = session.request(messages.CloseSession(session.next_rid()))
            assert isinstance(answer, messages.Done)
            assert is_gone(up.pid)
            assert not os.path.exists(path)

    def test_a_worker_that_is_no_longer_waited_for_ends_silently(self, own_directory: Path) -> None:
        """Its actor was killed while the process began: all is well, and the program need not be told."""
        with RawSession() as session:
            late = (
                "from nbactors.local.worker import main; worker = main.make(); worker.begin(bytes(16), sys.argv[1]); "
                "main.run(worker, '', None)"
            )
            worker = subprocess.run(
                [sys.executable, "-c", f"import sys; {late}", str(home(own_directory))],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            assert (worker.returncode, worker.stdout, worker.stderr) == (1, "", "")
            session.create_up()

    def test_a_request_kills_an_actor(self) -> None:
        with RawSession() as session:
            up = session.create_up()
            answer = session.request(messages.KillActor(session.next_rid(), up.actor_id, True))
            assert isinstance(answer, messages.Done)
            assert session.receive(messages.ActorDown).kind == "killed"
            eventually(lambda: is_gone(up.pid))

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
    def test_an_actor_that_a_signal_kills_is_reported_as_crashed(self, number: signal.Signals) -> None:
        with RawSession() as session:
            up = session.create_up()
            os.kill(up.pid, number)
            down = session.receive(messages.ActorDown, timeout_s=2)
            assert down.kind == "crashed"
            assert f"(pid {up.pid}) was killed by {number.name}" in down.text

    def test_actors_end_with_their_killed_session(self) -> None:
        code = (
            "import sys; sys.path[:0] = ['tests/runtime'];"
            "from raw_session import RawSession; s = RawSession(); up = s.create_up(); s.create_up();"
            "print(up.pid, flush=True); sys.stdin.read()"
        )
        driver = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert driver.stdout is not None
        assert driver.stdin is not None
        pid = int(driver.stdout.readline())
        driver.kill()
        driver.communicate()
        eventually(lambda: is_gone(pid), 5.0)

    def test_a_detached_actor_stays_and_is_found_by_the_next_session(self) -> None:
        with RawSession() as first:
            actor_id = first.create(rid=first.next_rid(), name="keeper", detached=True)
            up = first.receive(messages.ActorUp)
        with RawSession() as second:
            named = second.request(messages.GetActor(second.next_rid(), "keeper", ""))
            assert isinstance(named, messages.ActorNamed)
            assert named.actor_id == actor_id
            assert second.receive(messages.ActorUp).pid == up.pid
            second.request(messages.KillActor(second.next_rid(), actor_id, True))
            eventually(lambda: is_gone(up.pid))


class TestForkservers:
    def test_equal_environments_share_a_forkserver_and_others_have_their_own(self) -> None:
        with ExitStack() as stack:
            ups = []
            for facts in (environment(), environment(), environment(cwd=b"/")):
                session = stack.enter_context(RawSession(facts))
                ups.append(session.create_up())
            parents = [psutil.Process(up.pid).ppid() for up in ups]
            assert parents[0] == parents[1] != parents[2]
            assert {psutil.Process(parent).ppid() for parent in parents} == {node_pid()}

    def test_when_a_forkserver_dies_its_workers_live_and_the_next_request_starts_another(self) -> None:
        with RawSession() as session:
            first = session.create_up()
            parent = psutil.Process(first.pid).parent()
            assert parent is not None
            parent.kill()
            eventually(lambda: is_gone(parent.pid))
            second = session.create_up()
            assert psutil.Process(second.pid).ppid() != parent.pid
            assert psutil.Process(first.pid).is_running()
            os.kill(first.pid, signal.SIGKILL)
            assert "has ended; how is not known" in session.receive(messages.ActorDown, timeout_s=2).text

    def test_an_interpreter_that_does_not_exist_is_explained(self) -> None:
        with RawSession(environment(executable=b"/no/such/python")) as session:
            session.create()
            down = session.receive(messages.ActorDown)
            assert "'/no/such/python' cannot be started (No such file or directory)" in down.text

    def test_an_interpreter_without_our_packages_is_explained(self) -> None:
        with RawSession(environment(environ={**os.environb, b"PYTHONHOME": b"/nowhere"})) as session:
            session.create()
            text = session.receive(messages.ActorDown).text
            assert "the process that forks workers has ended" in text
            assert "encodings" in text, "the interpreter's own words, from the log"


class TestTasks:
    def test_the_death_of_a_leased_worker_is_reported_to_its_session(self) -> None:
        with RawSession() as session:
            rid = session.next_rid()
            granted = session.request(messages.RequestLease(rid, {"CPU": 1.0}, None, "f", [], b""))
            assert isinstance(granted, messages.LeaseGranted)
            os.kill(granted.pid, signal.SIGKILL)
            lost = session.receive(messages.LeaseLost, timeout_s=2)
            assert lost.lease_id == granted.lease_id
            assert "was killed by SIGKILL" in lost.text


class TestState:
    def test_without_a_node_there_is_no_state(self, own_directory: Path) -> None:
        assert state.node_status() is None
        assert state.list_actors() == []
        assert state.stop_node() is False

    def test_the_state_lists_the_sessions_workers_and_actors_of_a_node(self, own_directory: Path) -> None:
        with RawSession() as session:
            up = session.create_up(name="n", rid=session.next_rid())
            status = state.node_status()
            assert status is not None
            assert status["pid"] == node_pid()
            assert (status["sessions"], status["workers"]) == (1, 1)
            assert [row["name"] for row in status["actors"]] == ["n"]
            (row,) = state.list_actors(filters=[("state", "!=", "dead"), ("name", "=", "n")])
            assert (row["actor_id"], row["pid"]) == (up.actor_id.hex(), up.pid)
            assert state.list_actors(filters=[("name", "=", "other")]) == []
            with pytest.raises(ValueError, match="no actor can be filtered by 'colour': the keys are actor_id"):
                state.list_actors(filters=[("colour", "=", "red")])
            with pytest.raises(ValueError, match="a filter's operator is '=' or '!=', not '<'"):
                state.list_actors(filters=[("pid", "<", 3)])

    @pytest.mark.parametrize("force", [False, True])
    def test_stopping_the_node_leaves_nothing(self, own_directory: Path, force: bool) -> None:
        with RawSession() as session:
            up = session.create_up(detached=True)
            node = psutil.Process(node_pid())
            family = [node.pid, *(child.pid for child in node.children(recursive=True))]
            assert state.stop_node(force=force) is True
            eventually(lambda: all(map(is_gone, family)), 2.0)
            assert session.receive(messages.ActorDown).kind == "node_stopped"
            assert is_gone(up.pid)
        assert {path.name for path in home(own_directory).rglob("*")} <= {"p", "node.lock", "start.lock"}

    def test_sigterm_stops_the_node_and_its_workers(self, own_directory: Path) -> None:
        with RawSession() as session:
            up = session.create_up()
            node = psutil.Process(node_pid())
            node.terminate()
            assert session.receive(messages.ActorDown).kind == "node_stopped"
            eventually(lambda: is_gone(node.pid) and is_gone(up.pid))


class TestOutput:
    LINES = 150_000

    TALK = f"""
import sys
import nbactors as ray

ray.init(num_cpus=1)

@ray.remote
class Talker:
    def listen(self):
        pass

    def talk(self):
        for number in range({LINES}):
            print(number, "x" * 48)

talker = Talker.remote()
ray.get(talker.listen.remote())
done = talker.talk.remote()
ray.wait([done], timeout=0.01)
print("started", flush=True)
sys.stdin.readline()
ray.get(done)
ray.shutdown()
"""

    @pytest.mark.slow
    def test_a_session_that_does_not_take_its_lines_gets_all_of_them_later(self, own_directory: Path) -> None:
        """About 8 MB: more than the pipes and sockets between them hold."""
        output = own_directory / "driver.out"
        with output.open("w") as stdout:
            driver = subprocess.Popen([sys.executable, "-c", self.TALK], stdin=subprocess.PIPE, stdout=stdout)
        assert driver.stdin is not None
        try:
            eventually(lambda: "started" in output.read_text(), 20)
            driver.send_signal(signal.SIGSTOP)
            (talker,) = eventually(lambda: state.list_actors(filters=[("pid", "!=", 0)], detail=True), 10)
            worker = psutil.Process(talker["pid"])
            eventually(lambda: is_waiting(worker), 20)
            # It waits in `print`: what it has printed so far is in the log, and that is not all.
            assert Path(talker["log_path"]).stat().st_size < 6_000_000
            driver.send_signal(signal.SIGCONT)
            driver.communicate(b"\n", timeout=30)
        finally:
            driver.kill()
            driver.communicate()
        numbers = [int(line.split()[2]) for line in output.read_text().splitlines() if "pid=" in line]
        assert numbers == list(range(self.LINES))


def is_waiting(process: psutil.Process) -> bool:
    """Whether a process that had been busy has used no time for a little while."""
    before = process.cpu_times()
    with ControlClient.find() as client:
        for _ in range(200):
            client.request(messages.Query(client.next_rid(), "status"))
    return process.cpu_times() == before and before.user > 0
