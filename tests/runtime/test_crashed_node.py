"""A node that crashes takes nothing with it: sessions and workers go on, and return to the next node."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from raw_session import home, is_gone

import nbactors as ray
from nbactors import engine
from nbactors.testing import eventually
from nbactors.util.state import list_actors

SOON_S = 2.0
"""How long, in seconds, a crash of a node may hold up what needs one."""

WAIT_S = 20.0


@pytest.fixture
def session() -> Iterator[None]:
    ray.init(num_cpus=4, namespace="crashes")
    yield
    ray.shutdown()


def started(gate: Path) -> int:
    """Return how many processes run `wait_for`."""
    return len(list(gate.parent.glob(f"{gate.name}-*")))


def node_pid() -> int:
    running = engine.running()
    assert running is not None
    pid: int = running.describe()["node_pid"]
    return pid


def crash() -> int:
    """Kill the node; return its pid when it is gone."""
    pid = node_pid()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: is_gone(pid), timeout_s=5)
    return pid


@ray.remote
class Counter:
    def __init__(self) -> None:
        self.value = 0

    def add(self) -> int:
        self.value += 1
        return self.value

    def pid(self) -> int:
        return os.getpid()

    def run(self, function: Callable[[], Any]) -> Any:
        return function()

    def say(self, text: str) -> None:
        print(text, flush=True)

    def wait_for(self, path: str) -> int:
        eventually(lambda: os.path.exists(path), timeout_s=WAIT_S)
        return self.add()

    def keep(self, handles: list[Any]) -> None:
        self.handles = handles

    def kept(self) -> int:
        return ray.get(self.handles[0].add.remote())

    def drop(self) -> None:
        self.handles = []


@ray.remote
def note(directory: str, name: str) -> str:
    with open(os.path.join(directory, name), "a") as file:
        file.write("run\n")
    return name


@ray.remote
def wait_for(path: str) -> int:
    with open(f"{path}-{os.getpid()}", "w"):
        pass
    eventually(lambda: os.path.exists(path), timeout_s=WAIT_S)
    return os.getpid()


@pytest.mark.usefixtures("session")
class TestWhatGoesOn:
    def test_a_running_call_and_the_queue_behind_it(self, tmp_path: Path) -> None:
        counter = Counter.remote()
        pid = ray.get(counter.pid.remote())
        gate = tmp_path / "gate"
        refs = [counter.wait_for.remote(str(gate)), *(counter.add.remote() for _ in range(3))]
        crash()
        gate.touch()
        assert ray.get(refs, timeout=WAIT_S) == [1, 2, 3, 4]
        assert ray.get(counter.pid.remote()) == pid

    def test_a_call_does_not_wait_for_the_next_node(self) -> None:
        counter = Counter.remote()
        ray.get(counter.add.remote())
        os.kill(node_pid(), signal.SIGKILL)
        assert ray.get([counter.add.remote() for _ in range(100)], timeout=WAIT_S) == list(range(2, 102))

    def test_running_and_queued_tasks_run_once(self, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        running = [wait_for.remote(str(gate)) for _ in range(4)]
        eventually(lambda: started(gate) == 4, timeout_s=WAIT_S)
        queued = [note.remote(str(tmp_path), f"task-{number}") for number in range(20)]
        crash()
        gate.touch()
        assert len(set(ray.get(running, timeout=WAIT_S))) == 4
        assert ray.get(queued, timeout=WAIT_S) == [f"task-{number}" for number in range(20)]
        assert {(tmp_path / name).read_text() for name in ray.get(queued)} == {"run\n"}

    def test_tasks_of_tasks_while_nodes_crash(self) -> None:
        """Workers lease workers, so that the next node may hear of a lease before it hears of the holder."""

        @ray.remote
        def leaves(depth: int) -> int:
            return 1 if depth == 0 else sum(ray.get([leaves.remote(depth - 1) for _ in range(2)]))

        for number in range(4):
            ref = leaves.remote(4)
            ray.wait([ref], timeout=0.04 * number)
            crash()
            assert ray.get(ref, timeout=WAIT_S) == 16
        eventually(lambda: ray.available_resources()["CPU"] == 4, timeout_s=WAIT_S)

    def test_actors_that_are_just_being_created(self) -> None:
        before = [Counter.remote() for _ in range(3)]
        os.kill(node_pid(), signal.SIGKILL)
        after = [Counter.remote() for _ in range(3)]
        named = Counter.options(name="made at the crash").remote()
        assert ray.get([actor.add.remote() for actor in [*before, *after, named]], timeout=WAIT_S) == [1] * 7

    def test_names_and_listings(self) -> None:
        Counter.options(name="kept", lifetime="detached").remote()
        ray.get(ray.get_actor("kept").add.remote())
        crash()
        assert ray.get(ray.get_actor("kept").add.remote()) == 2
        assert ray.util.list_named_actors() == ["kept"]
        with pytest.raises(ValueError, match="already taken"):
            Counter.options(name="kept").remote()
        ray.kill(ray.get_actor("kept"))
        with pytest.raises(ValueError, match="Failed to look up actor"):
            ray.get_actor("kept")

    def test_resources_are_held_by_the_same_actors_and_tasks(self, tmp_path: Path) -> None:
        holder = Counter.options(num_cpus=2).remote()
        ray.get(holder.add.remote())
        gate = tmp_path / "gate"
        task = wait_for.remote(str(gate))
        eventually(lambda: started(gate) == 1, timeout_s=WAIT_S)
        crash()
        assert ray.available_resources()["CPU"] == 1
        gate.touch()
        ray.get(task)
        eventually(lambda: ray.available_resources()["CPU"] == 2, timeout_s=WAIT_S)
        ray.kill(holder)
        eventually(lambda: ray.available_resources()["CPU"] == 4, timeout_s=WAIT_S)

    def test_what_an_actor_prints_while_no_node_lives(self, capfd: pytest.CaptureFixture[str]) -> None:
        counter = Counter.remote()
        ray.get(counter.add.remote())
        os.kill(node_pid(), signal.SIGKILL)
        ray.get([counter.say.remote(f"line {number}") for number in range(50)])
        printed: list[str] = []

        def has_come() -> bool:
            printed.append(capfd.readouterr().out)
            return "line 49" in "".join(printed)

        eventually(has_come, timeout_s=WAIT_S)
        lines = [line.partition(") ")[2] for line in "".join(printed).splitlines()]
        assert lines == [f"line {number}" for number in range(50)]

    def test_a_process_that_returns_late(self) -> None:
        """It is stopped when the node crashes, as a process is whose native code holds the interpreter's lock."""
        counter = Counter.options(name="late", num_cpus=1).remote()
        pid = ray.get(counter.pid.remote())
        os.kill(pid, signal.SIGSTOP)
        try:
            crash()
            ref = counter.add.remote()
            ready, _ = ray.wait([ref], timeout=1.5)  # longer than the next node waits for processes
            assert ready == []
            assert ray.available_resources()["CPU"] == 3
        finally:
            os.kill(pid, signal.SIGCONT)
        assert ray.get(ref, timeout=WAIT_S) == 1
        assert ray.get(ray.get_actor("late").pid.remote()) == pid

    def test_handles_that_other_processes_hold(self) -> None:
        inner, keeper = Counter.remote(), Counter.remote()
        pid = ray.get(inner.pid.remote())
        ray.get(keeper.keep.remote([inner]))
        del inner
        crash()
        assert ray.get(keeper.kept.remote()) == 1
        assert not is_gone(pid)
        ray.get(keeper.drop.remote())
        eventually(lambda: is_gone(pid), timeout_s=WAIT_S)

    def test_weak_handles_keep_no_actor_on_the_next_node_either(self) -> None:
        counter, keeper = Counter.options(name="weakly held").remote(), Counter.remote()
        pid = ray.get(counter.pid.remote())
        weak = ray.get_actor("weakly held")
        ray.get(keeper.keep.remote([weak]))
        crash()
        assert ray.get(keeper.kept.remote()) == 1
        assert ray.get(weak.add.remote()) == 2
        assert ray.get_actor("weakly held") == counter
        del counter
        eventually(lambda: is_gone(pid), timeout_s=WAIT_S)
        with pytest.raises(ray.exceptions.ActorDiedError, match="weak handle"):
            ray.get(weak.add.remote(), timeout=WAIT_S)
        with pytest.raises(ray.exceptions.RayTaskError, match="weak handle"):
            ray.get(keeper.kept.remote(), timeout=WAIT_S)

    def test_a_handle_that_is_on_its_way(self, tmp_path: Path) -> None:
        """The node that has counted it is gone, so its receiver has it counted again."""
        inner, keeper = Counter.remote(), Counter.remote()
        ray.get(inner.add.remote())
        pid = ray.get(keeper.pid.remote())
        os.kill(pid, signal.SIGSTOP)
        ref = keeper.keep.remote([inner])
        crash()
        del inner
        assert len(ray.util.list_named_actors()) == 0, "the next node runs"
        os.kill(pid, signal.SIGCONT)
        ray.get(ref, timeout=WAIT_S)
        assert ray.get(keeper.kept.remote(), timeout=WAIT_S) == 2

    def test_many_crashes(self) -> None:
        counters = [Counter.remote() for _ in range(3)]
        for done in range(1, 6):
            crash()
            assert ray.get([counter.add.remote() for counter in counters], timeout=WAIT_S) == [done] * 3
            assert ray.get(ray.remote(lambda: 1).remote(), timeout=WAIT_S) == 1

    def test_two_crashes_at_once(self) -> None:
        counter = Counter.remote()
        ray.get(counter.add.remote())
        first = crash()
        second = eventually(lambda: next((pid for pid in nodes() if pid != first), None), timeout_s=WAIT_S)
        os.kill(second, signal.SIGKILL)
        assert ray.get(Counter.remote().add.remote(), timeout=WAIT_S) == 1
        assert ray.get(counter.add.remote()) == 2


def nodes() -> list[int]:
    from nbactors.local.access import sightings

    return [sighting.pid for sighting in sightings.within(os.environ["NBACTORS_DIR"]) if sighting.listens]


@pytest.mark.usefixtures("session")
class TestWhatEndsWithIt:
    def test_a_worker_that_dies_while_no_node_lives_restarts(self) -> None:
        actor = Counter.options(max_restarts=1, max_task_retries=-1).remote()
        pid = ray.get(actor.pid.remote())
        os.kill(node_pid(), signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        assert ray.get(actor.pid.remote(), timeout=WAIT_S) != pid
        os.kill(ray.get(actor.pid.remote()), signal.SIGKILL)
        with pytest.raises(ray.exceptions.ActorDiedError, match="killed by SIGKILL"):
            ray.get(actor.pid.remote(), timeout=WAIT_S)

    def test_a_worker_that_dies_while_no_node_lives_ends_the_waits_for_it(self) -> None:
        actor = Counter.remote()
        pid = ray.get(actor.pid.remote())
        ref = actor.wait_for.remote("/nowhere")
        os.kill(node_pid(), signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        begin = time.monotonic()
        with pytest.raises(ray.exceptions.ActorDiedError, match="has ended"):
            ray.get(ref, timeout=WAIT_S)
        assert time.monotonic() - begin < 2 * SOON_S

    def test_a_task_s_worker_that_dies_while_no_node_lives(self, tmp_path: Path) -> None:
        gate = tmp_path / "gate"

        @ray.remote(max_retries=1)
        def die_once() -> int:
            if not gate.exists():
                gate.touch()
                os.kill(node, signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
            return 1

        node = node_pid()
        assert ray.get(die_once.remote(), timeout=WAIT_S) == 1

    def test_an_actor_without_handles_ends(self) -> None:
        counter = Counter.remote()
        pid = ray.get(counter.pid.remote())
        os.kill(node_pid(), signal.SIGKILL)
        del counter
        eventually(lambda: is_gone(pid), timeout_s=WAIT_S)


DRIVER = """
import sys, time
import nbactors as ray

@ray.remote
class Actor:
    def pid(self):
        import os
        return os.getpid()

    def spoil(self):
        import os
        os.environ["LEFT_BY_A_WORKER"] = "1"

ray.init(num_cpus=2, namespace="crashes")
plain, kept = Actor.remote(), Actor.options(name="kept", lifetime="detached").remote()
from nbactors import engine
print(engine.running().describe()["node_pid"], ray.get(plain.pid.remote()), ray.get(kept.pid.remote()), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def driver(own_directory: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def pids_of(driver: subprocess.Popen[str]) -> list[int]:
    assert driver.stdout is not None
    return [int(pid) for pid in driver.stdout.readline().split()]


class TestWithoutItsSession:
    def test_the_actors_of_a_session_that_dies_with_the_node_end_and_detached_ones_stay(
        self, driver: subprocess.Popen[str]
    ) -> None:
        node, plain, kept = pids_of(driver)
        driver.kill()
        os.kill(node, signal.SIGKILL)
        eventually(lambda: is_gone(plain), timeout_s=5)
        ray.init(namespace="crashes")
        try:
            assert ray.get(ray.get_actor("kept").pid.remote()) == kept
        finally:
            ray.shutdown()

    def test_they_end_also_where_no_node_can_be_started(
        self, driver: subprocess.Popen[str], own_directory: Path
    ) -> None:
        node, plain, kept = pids_of(driver)
        with no_next_node(home(own_directory)):
            driver.kill()
            os.kill(node, signal.SIGKILL)
            eventually(lambda: is_gone(plain), timeout_s=5)
            assert not is_gone(kept)
        eventually(lambda: bool(nodes()), timeout_s=WAIT_S)
        ray.init(namespace="crashes")
        try:
            assert ray.get(ray.get_actor("kept").pid.remote()) == kept
        finally:
            ray.shutdown()

    def test_stop_ends_them_also_without_a_node(self, driver: subprocess.Popen[str], own_directory: Path) -> None:
        from nbactors.util.state import stop_nodes

        node, plain, kept = pids_of(driver)
        with no_next_node(home(own_directory)):
            os.kill(node, signal.SIGKILL)
            eventually(lambda: is_gone(node), timeout_s=5)
            (stopped,) = stop_nodes()
            assert stopped["pid"] == 0
            assert is_gone(plain)
            assert is_gone(kept)
        assert stop_nodes() == []
        assert nodes() == [], "the driver searches for no other node"


STANDSTILL = """
import fcntl, os, signal, sys, time
session, node, lock = int(sys.argv[1]), int(sys.argv[2]), os.open(sys.argv[3], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
os.kill(node, signal.SIGKILL)
time.sleep(0.3)
os.kill(session, signal.SIGSTOP)
time.sleep(2.5)
os.close(lock)
os.kill(session, signal.SIGCONT)
"""
"""The session begins its search, and is stopped for longer than it waits for the next node."""


@pytest.mark.usefixtures("session")
def test_a_session_that_stands_still_during_its_search_fails_nothing(runtime_directory: Path) -> None:
    arguments = [str(os.getpid()), str(node_pid()), str(home(runtime_directory) / "start.lock")]
    with subprocess.Popen([sys.executable, "-c", STANDSTILL, *arguments]):
        eventually(lambda: not nodes(), timeout_s=WAIT_S)
        assert ray.get(Counter.remote().add.remote(), timeout=WAIT_S) == 1


class no_next_node:
    """Keeps processes from starting a node, as one does that has the lock and hangs."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "start.lock"

    def __enter__(self) -> None:
        import fcntl

        self._lock = os.open(self._path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)


@pytest.mark.usefixtures("session")
def test_a_worker_that_was_used_up_while_no_node_lived_runs_no_more_tasks(
    runtime_directory: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    once = ray.remote(max_calls=1)(wait_for._function)
    running = once.remote(str(gate))
    eventually(lambda: started(gate) == 1, timeout_s=WAIT_S)
    with no_next_node(home(runtime_directory)):
        crash()
        gate.touch()
        used_up = ray.get(running, timeout=WAIT_S)
    eventually(lambda: bool(nodes()), timeout_s=WAIT_S)
    assert used_up not in ray.get([once.remote(str(gate)) for _ in range(3)], timeout=WAIT_S)
    eventually(lambda: is_gone(used_up), timeout_s=WAIT_S)


@pytest.mark.usefixtures("session")
class TestWithoutANextNode:
    def test_what_needs_a_node_fails_soon_and_running_actors_go_on(
        self, runtime_directory: Path, tmp_path: Path
    ) -> None:
        counter = Counter.remote()
        ray.get(counter.add.remote())
        gate = tmp_path / "gate"
        blockers = [wait_for.remote(str(gate)) for _ in range(4)]
        eventually(lambda: started(gate) == 4, timeout_s=WAIT_S)
        queued = wait_for.remote(str(gate))
        with no_next_node(home(runtime_directory)):
            crash()
            begin = time.monotonic()
            created = Counter.remote()
            for failing in (
                lambda: ray.get(created.add.remote()),
                lambda: ray.get_actor("nobody"),
                lambda: ray.get(queued),
                ray.cluster_resources,
            ):
                with pytest.raises(
                    (ray.exceptions.RaySystemError, ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError),
                    match="no other one could be started",
                ):
                    failing()
            assert time.monotonic() - begin < 2 * SOON_S
            assert ray.get(counter.add.remote(), timeout=WAIT_S) == 2
            gate.touch()
            assert len(ray.get(blockers, timeout=WAIT_S)) == 4
        eventually(lambda: bool(nodes()), timeout_s=WAIT_S)
        assert ray.get(eventually(lambda: created_when_there_is_a_node(), timeout_s=WAIT_S).add.remote()) == 1
        assert ray.get(counter.add.remote()) == 3


def created_when_there_is_a_node() -> Any:
    try:
        return Counter.remote()
    except ray.exceptions.RaySystemError:
        return None


class TestANodeThatWasToldToStop:
    @pytest.mark.parametrize("way", ["asked", "asked and hanging", "SIGTERM"])
    def test_it_has_not_crashed(self, own_directory: Path, way: str) -> None:
        from nbactors.util.state import stop_node

        ray.init(num_cpus=2, namespace="crashes")
        try:
            counter = Counter.options(lifetime="detached", name="ended").remote()
            node, pid = node_pid(), ray.get(counter.pid.remote())
            if way == "SIGTERM":
                os.kill(node, signal.SIGTERM)
            else:
                if way == "asked and hanging":
                    os.kill(node, signal.SIGSTOP)
                stop_node(force=way != "asked")
            eventually(lambda: is_gone(node) and is_gone(pid), timeout_s=WAIT_S)
            with pytest.raises(ray.exceptions.RaySystemError, match=r"Call shutdown\(\) and then init\(\)"):
                eventually(ray.cluster_resources, timeout_s=WAIT_S)
            with pytest.raises(ray.exceptions.ActorDiedError, match="stopped"):
                ray.get(counter.pid.remote())
            assert nodes() == []
        finally:
            ray.shutdown()


class TestTheStartOfTheNextNode:
    @pytest.mark.usefixtures("session")
    def test_by_a_session_with_more_descriptors_than_select_takes(self) -> None:
        taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        try:
            crash()
            assert ray.cluster_resources()["CPU"] == 4
        finally:
            for descriptor in taken:
                os.close(descriptor)

    @pytest.mark.usefixtures("session")
    def test_by_the_session_rather_than_by_a_worker_that_user_code_has_restricted(self) -> None:
        def restrict() -> None:
            os.nice(5)
            os.environ["LEFT_BY_A_WORKER"] = "1"

        counters = [Counter.remote() for _ in range(4)]
        ray.get([counter.run.remote(restrict) for counter in counters])
        for _ in range(3):
            crash()
            assert ray.cluster_resources()["CPU"] == 4
            node = psutil.Process(node_pid())
            assert node.nice() == psutil.Process().nice()
            assert "LEFT_BY_A_WORKER" not in node.environ()

    def test_by_a_worker_without_its_session(self, driver: subprocess.Popen[str]) -> None:
        last, _, kept = pids_of(driver)
        driver.kill()
        driver.wait()
        ray.init(namespace="crashes")
        actor = ray.get_actor("kept")
        ray.get(actor.spoil.remote())
        ray.shutdown()
        os.kill(last, signal.SIGKILL)
        node = eventually(lambda: next((pid for pid in nodes() if pid != last), None), timeout_s=WAIT_S)
        assert "LEFT_BY_A_WORKER" not in psutil.Process(node).environ()
        ray.init(namespace="crashes")
        assert ray.get(ray.get_actor("kept").pid.remote()) == kept
        ray.shutdown()

    def test_in_a_removed_directory(self, own_directory: Path) -> None:
        umask = os.umask(0o022)
        try:
            ray.init(num_cpus=2)
            counter = Counter.remote()
            pid = ray.get(counter.pid.remote())
            shutil.rmtree(own_directory)
            crash()
            assert ray.cluster_resources()["CPU"] == 2
            assert own_directory.stat().st_mode & 0o777 == 0o700
            assert ray.get(counter.pid.remote(), timeout=WAIT_S) == pid
            assert [row["state"] for row in list_actors()] == ["ALIVE"]
        finally:
            os.umask(umask)
            ray.shutdown()


@pytest.mark.usefixtures("session")
def test_nothing_is_lost_and_nothing_runs_twice_while_nodes_crash_under_load(tmp_path: Path) -> None:
    """Calls, tasks, and actors that come and go, while the node is killed at any time."""
    over = threading.Event()
    dice = random.Random(1)
    crashes: list[int] = []

    def kill_nodes() -> None:
        while not over.wait(dice.random() * 0.3):
            pid = next((pid for pid in nodes() if pid not in crashes), None)
            if pid is not None and rounds > len(crashes):
                os.kill(pid, signal.SIGKILL)
                crashes.append(pid)

    counters = [Counter.remote() for _ in range(2)]
    killer = threading.Thread(target=kill_nodes)
    rounds = 0
    killer.start()
    try:
        while len(crashes) < 8:
            rounds += 1
            tasks = [note.remote(str(tmp_path), f"{rounds}-{number}") for number in range(4)]
            fresh = Counter.remote()
            assert ray.get([counter.add.remote() for counter in counters], timeout=WAIT_S) == [rounds] * 2
            assert ray.get(fresh.add.remote(), timeout=WAIT_S) == 1
            ray.get(tasks, timeout=WAIT_S)
    finally:
        over.set()
        killer.join()
    assert {path.read_text() for path in tmp_path.iterdir()} == {"run\n"}
    del fresh
    eventually(lambda: [row["state"] for row in list_actors()].count("ALIVE") == 2, timeout_s=WAIT_S)
    eventually(lambda: ray.available_resources()["CPU"] == 4, timeout_s=WAIT_S)
