"""`init(address="local")`: a node that only this session has."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import nbactors as ray
from nbactors.local.access import discovery
from nbactors.local.access.next_node import mark_stopped
from nbactors.testing import eventually
from nbactors.util import state

DETACHED = """
import nbactors as ray
ray.init(num_cpus=1, namespace="shared"{more})
@ray.remote(lifetime="detached", name="{name}", num_cpus=0)
class Keeper:
    def pid(self):
        return __import__("os").getpid()
keeper = Keeper.remote()
print(ray.get(keeper.pid.remote()), ray.get_runtime_context().get_node_id(), flush=True)
{then}
"""


def program(name: str, more: str = "", then: str = "") -> list[str]:
    """Return the command of a program that makes a detached actor, and prints its pid and the id of its node."""
    return [sys.executable, "-c", DETACHED.format(name=name, more=more, then=then)]


def own_nodes(directory: Path) -> list[str]:
    """Return the directories of the nodes that only one session has."""
    return sorted(path.name for path in directory.iterdir() if path.name.startswith("own-"))


def test_a_local_session_has_a_node_that_other_sessions_do_not_see(own_directory: Path) -> None:
    told = subprocess.run(program("outside"), capture_output=True, text=True, check=True, timeout=60).stdout.split()
    ray.init(num_cpus=1, namespace="shared", address="local")

    @ray.remote
    def look() -> tuple[str, list[str], list[str]]:
        code = "import nbactors as ray; ray.init(); print(ray.get_runtime_context().get_node_id())"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        names = [row["name"] for row in state.list_actors()]
        return ray.get_runtime_context().get_node_id(), names, child.stdout.split()

    @ray.remote(lifetime="detached", name="inside", num_cpus=0)
    class Keeper:
        def pid(self) -> int:
            return os.getpid()

    keeper = Keeper.remote()
    inside, node_id = ray.get(keeper.pid.remote()), ray.get_runtime_context().get_node_id()
    assert node_id != told[1]
    with pytest.raises(ValueError, match="outside"):
        ray.get_actor("outside")
    assert [row["name"] for row in state.list_actors()] == ["inside"]
    assert len(state.list_nodes()) == 1
    assert ray.get(look.remote()) == (node_id, ["inside"], [node_id])
    (name,) = own_nodes(own_directory)
    assert stat.S_IMODE((own_directory / name).stat().st_mode) == 0o700
    assert Path(ray.get_runtime_context().get_temp_dir()).is_relative_to(own_directory / name)
    node_pid = ray.init(ignore_reinit_error=True).address_info["node_pid"]
    ray.shutdown()
    eventually(lambda: not own_nodes(own_directory), what="the directory's end")
    eventually(lambda: not psutil.pid_exists(node_pid) and not psutil.pid_exists(inside), what="the node's end")
    # The next session is where sessions were before.
    ray.init(num_cpus=1, namespace="shared")
    try:
        assert ray.get_runtime_context().get_node_id() == told[1]
        assert [row["name"] for row in state.list_actors()] == ["outside"]
    finally:
        ray.shutdown()


def test_nothing_is_left_of_a_local_session_that_is_killed(own_directory: Path) -> None:
    command = program("inside", ', address="local"', "input()")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        actor = int(session.stdout.readline().split()[0])
        (name,) = own_nodes(own_directory)
        ours = [pid for pid in psutil.pids() if str(own_directory / name) in _command(pid)]
        assert ours
        os.kill(session.pid, signal.SIGKILL)
    eventually(lambda: not own_nodes(own_directory), what="the directory's end")
    eventually(lambda: not any(map(psutil.pid_exists, [actor, *ours])), what="the processes' end")


def test_a_local_session_goes_on_when_its_node_has_crashed(own_directory: Path) -> None:
    context = ray.init(num_cpus=1, address="local")

    @ray.remote
    def double(number: int) -> int:
        return 2 * number

    assert ray.get(double.remote(1)) == 2
    assert context.address_info["address"] == ""
    os.kill(context.address_info["node_pid"], signal.SIGKILL)
    assert ray.get(double.remote(2), timeout=20) == 4
    assert len(own_nodes(own_directory)) == 1
    ray.shutdown()
    eventually(lambda: not own_nodes(own_directory), what="the directory's end")


def test_no_directory_is_left_of_a_start_that_was_interrupted(
    own_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt("in the start")

    with monkeypatch.context() as patched:
        patched.setattr(discovery, "_start", interrupt)
        with pytest.raises(KeyboardInterrupt, match="in the start"):
            ray.init(num_cpus=1, address="local")
    assert own_nodes(own_directory) == []
    with ray.init(num_cpus=1) as context:
        assert context["directory"].startswith(f"{own_directory}/")
        assert own_nodes(own_directory) == []


def test_no_directory_is_left_of_a_node_that_was_killed(own_directory: Path) -> None:
    context = ray.init(num_cpus=1, address="local")
    (name,) = own_nodes(own_directory)
    # As `nbactors stop` does with a node that hangs: no other one is started.
    mark_stopped(context["directory"], context["node_pid"])
    os.kill(context["node_pid"], signal.SIGKILL)
    with pytest.raises(ray.exceptions.RaySystemError, match="node daemon"):
        eventually(lambda: ray.cluster_resources() and None, 20)
    ray.shutdown()
    assert name not in own_nodes(own_directory)


def test_the_node_of_a_local_session_does_not_linger(own_directory: Path) -> None:
    environ = {**os.environ, "NBACTORS_LINGER_S": "3600"}
    command = program("inside", ', address="local"', "print(ray.get_runtime_context().get_temp_dir())")
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60).stdout
    assert str(own_directory / "own-") in told
    assert eventually(lambda: not own_nodes(own_directory), what="the directory's end")


def test_a_forked_child_of_a_local_session_looks_for_the_usual_node(own_directory: Path) -> None:
    ray.init(num_cpus=1, address="local")
    try:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writer, str(len(state.list_nodes())).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader) as answer:
            assert answer.read() == "0"
        os.waitpid(pid, 0)
        assert len(state.list_nodes()) == 1
    finally:
        ray.shutdown()


def _command(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""
