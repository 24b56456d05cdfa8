"""The leak guard sees what is left behind, and nothing else."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

import nbactors as ray
from nbactors.testing import LeakError, check_leaks, eventually
from nbactors.testing.leaks import _is_marked, _process_table
from nbactors.util.state import stop_node


@pytest.fixture
def mess() -> Iterator[ExitStack]:
    """Cleans up what a test leaves on purpose."""
    with ExitStack() as stack:
        yield stack


@ray.remote
class Keeper:
    def keep(self) -> bytes:
        return bytes(5_000_000)

    def pid(self) -> int:
        return os.getpid()


def test_an_empty_block_leaks_nothing() -> None:
    with check_leaks(timeout_s=0):
        pass


def test_an_open_descriptor_is_a_leak(mess: ExitStack) -> None:
    with pytest.raises(LeakError, match="descriptors: "), check_leaks(timeout_s=0):
        mess.callback(os.close, os.open(os.devnull, os.O_RDONLY))


def test_a_running_thread_is_a_leak(mess: ExitStack) -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="forgotten")
    with pytest.raises(LeakError, match=r"threads: <Thread\(forgotten"), check_leaks(timeout_s=0):
        thread.start()
        mess.callback(thread.join)
        mess.callback(done.set)


def test_a_child_process_is_a_leak(mess: ExitStack) -> None:
    with pytest.raises(LeakError, match=r"processes: pid .* sys\.stdin\.read"), check_leaks(timeout_s=0):
        command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
        child = mess.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert child.stdout is not None
        child.stdout.readline()  # the system shows no arguments of a process whose program is just being loaded


@pytest.mark.skipif(sys.platform != "linux", reason="mapped memory is listed on Linux only")
def test_mapped_shared_memory_is_a_leak(mess: ExitStack) -> None:
    with pytest.raises(LeakError, match=r"segments: .*forgotten"), check_leaks(timeout_s=0):
        descriptor = os.memfd_create("forgotten")
        os.ftruncate(descriptor, mmap.PAGESIZE)
        segment = mmap.mmap(descriptor, mmap.PAGESIZE)
        mess.callback(segment.close)
        os.close(descriptor)


def test_a_thread_that_ends_in_time_is_no_leak() -> None:
    with check_leaks(timeout_s=5):
        threading.Timer(0.01, lambda: None).start()


@pytest.mark.skipif(sys.platform != "linux", reason="the table is remembered on Linux only")
def test_the_table_of_processes_follows_a_process_whose_parent_ends(mess: ExitStack) -> None:
    command = "import os; os.fork() or (os.write(1, b'%d\\n' % os.getpid()), os.read(0, 1), os._exit(0)); os.read(0, 1)"
    parent = mess.enter_context(
        subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert _process_table()[0][child] == parent.pid
    parent.kill()
    parent.wait()
    parents, started = _process_table()
    assert parent.pid not in started
    assert parents[child] == psutil.Process(child).ppid() != parent.pid
    parent.stdin.close()
    eventually(lambda: child not in _process_table()[1])


def test_the_block_s_own_error_comes_first() -> None:
    with pytest.raises(KeyError, match="own"), check_leaks(timeout_s=0):
        raise KeyError("own")


@pytest.mark.slow
def test_a_session_that_ended_leaves_nothing() -> None:
    with check_leaks():
        ray.init(num_cpus=2)
        keepers = [Keeper.remote() for _ in range(2)]
        assert len(ray.get(keepers[0].keep.remote())) == 5_000_000
        ray.shutdown()


@pytest.mark.slow
def test_a_session_that_is_open_is_a_leak(mess: ExitStack) -> None:
    mess.callback(ray.shutdown)
    with pytest.raises(LeakError, match=r"threads: (.|\n)*sockets: "), check_leaks(timeout_s=0):
        ray.init(num_cpus=2)


@pytest.mark.slow
def test_a_detached_actor_is_a_leak(mess: ExitStack) -> None:
    mess.callback(stop_node, force=True)
    with pytest.raises(LeakError, match=r"processes: pid .*ray::Keeper"), check_leaks(timeout_s=0.1):
        ray.init(num_cpus=2)
        keeper = Keeper.options(name="keeper", namespace="leaks", lifetime="detached").remote()
        ray.get(keeper.keep.remote())
        ray.shutdown()


@pytest.mark.slow
def test_an_orphaned_worker_is_a_leak(mess: ExitStack) -> None:
    """A worker whose node has gone is nobody's child, and its title lies over its environment."""
    ray.init(num_cpus=2)
    mess.callback(ray.shutdown)
    keeper = Keeper.remote()
    worker = psutil.Process(ray.get(keeper.pid.remote()))
    assert _is_marked((worker.pid, 0.0), os.environ["NBACTORS_DIR"], {})


@pytest.mark.slow
def test_the_node_is_counted_on_demand(mess: ExitStack) -> None:
    stop_node(force=True)
    mess.callback(stop_node, force=True)
    with pytest.raises(LeakError, match=r"nbactors\.local"), check_leaks(timeout_s=0, include_node=True):
        ray.init(num_cpus=2)
        ray.shutdown()


def test_eventually_returns_what_came_true() -> None:
    values = iter([0, "", "there"])
    assert eventually(lambda: next(values)) == "there"


def test_eventually_gives_up_and_tells_the_last_value() -> None:
    with pytest.raises(TimeoutError, match=r"the bell did not come true within 0 s; the last value was \[\]"):
        eventually(list, timeout_s=0, what="the bell")
