"""The memory monitor: whom it ends, when it samples, and what the shell reads."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from node_scenario import Client, Scenario

from nbactors.local import cgroups
from nbactors.local.node.rules import events
from nbactors.local.node.rules.memory.choosing import WORTH_BYTES, Candidate, choose
from nbactors.local.node.shell.memory_sampler import MemorySampler
from nbactors.local.wire import messages

MIB = 1 << 20
TOTAL = 1000 * MIB
OLD = Candidate(b"old task", 90 * MIB, 0, lease_id=1, is_retriable=True)
NEW = Candidate(b"new task", 50 * MIB, 0, lease_id=2, is_retriable=True)
ONCE = Candidate(b"task without a retry", 90 * MIB, 0, lease_id=3)
GROWN = Candidate(b"grown actor", 60 * MIB, 50 * MIB)
LARGE = Candidate(b"large actor", 90 * MIB, 10 * MIB)
DETACHED = Candidate(b"detached actor", 99 * MIB, 99 * MIB, is_detached=True)


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([OLD, NEW, ONCE, GROWN], NEW),
        ([ONCE, GROWN, LARGE, DETACHED], GROWN),
        ([ONCE, DETACHED], ONCE),
        ([DETACHED], None),
        ([NEW._replace(used=WORTH_BYTES - 1), LARGE], LARGE),
        ([LARGE._replace(growth=0), GROWN._replace(growth=0)], LARGE._replace(growth=0)),
        ([], None),
    ],
)
def test_a_worker_is_chosen_in_this_order(candidates: list[Candidate], chosen: Candidate | None) -> None:
    found = choose(candidates)
    assert (found[0] if found is not None else None) == chosen


class Watched(Scenario):
    """A node whose memory the test tells."""

    def __init__(self) -> None:
        super().__init__(memory_threshold=0.9)

    def asked(self) -> dict[bytes, int]:
        """Return the processes of the latest request for a sample."""
        return self.take(events.SampleMemory)[-1].pids

    def sample(self, used: int, sizes: dict[Client, int] | None = None) -> None:
        """Answer a request for a sample, in MiB."""
        processes = {client.process_id: size * MIB for client, size in (sizes or {}).items()}
        self.happen(events.MemorySampled(used * MIB, TOTAL, processes))


@pytest.fixture
def watched() -> Watched:
    return Watched()


def lease(session: Client, node: Scenario, is_retriable: bool = True) -> Client:
    session.send(messages.RequestLease(node.rid(), {"CPU": 1.0}, None, "f", [], b"", 0, is_retriable))
    worker = node.start_worker()
    session.one(messages.LeaseGranted)
    return worker


def test_nothing_is_sampled_before_there_is_a_worker_and_after_the_last_one(watched: Watched) -> None:
    session = watched.session()
    watched.pass_time(5)
    assert not watched.take(events.SampleMemory)
    _, worker = session.create_alive()
    watched.pass_time(1)
    assert watched.take(events.SampleMemory)
    watched.end_worker(worker)
    watched.sample(10)
    watched.pass_time(5)
    assert not watched.take(events.SampleMemory)


def test_far_below_the_threshold_samples_are_rare_and_those_of_workers_more_so(watched: Watched) -> None:
    session = watched.session()
    _, worker = session.create_alive()
    requests = []
    for _ in range(30):
        watched.pass_time(1)
        asked = watched.take(events.SampleMemory)
        requests += asked
        for one in asked:
            watched.sample(100, {worker: 10} if one.pids else None)
    assert len(requests) in (10, 11)
    assert 2 <= sum(bool(one.pids) for one in requests) <= 3


def test_close_to_the_threshold_workers_are_sampled_often(watched: Watched) -> None:
    _, worker = watched.session().create_alive()
    watched.pass_time(1)
    watched.take(events.SampleMemory)
    count = 0
    for _ in range(20):
        watched.sample(895, {worker: 10})
        watched.pass_time(0.1)
        count += len(watched.take(events.SampleMemory))
    assert count >= 18


def test_above_the_threshold_an_actor_ends_with_an_error_that_names_each_process(watched: Watched) -> None:
    session = watched.session()
    actor_id, large = session.create_alive(class_name="Large")
    _, small = session.create_alive(class_name="Small")
    watched.pass_time(1)
    watched.sample(950)
    watched.pass_time(0.1)
    assert set(watched.asked()) == {session.process_id, large.process_id, small.process_id}
    watched.sample(950, {large: 500, small: 10, session: 20})
    assert watched.killed() == [large.process_id]
    watched.end_worker(large, -signal.SIGKILL)
    (down,) = [down for down in session.got(messages.ActorDown) if down.actor_id == actor_id]
    assert down.kind == "out_of_memory"
    for part in ("950.0 MiB of 1000.0 MiB", "90%", "Large (pid", "500.0 MiB", "Small (pid", "session (pid", "20.0 MiB"):
        assert part in down.text


def test_one_process_is_ended_at_a_time(watched: Watched) -> None:
    session = watched.session(num_cpus=4.0)
    workers = [session.create_alive()[1] for _ in range(2)]
    sizes = {workers[0]: 300, workers[1]: 200}
    watched.pass_time(1)
    watched.sample(950, sizes)
    watched.sample(950, sizes)
    assert watched.killed() == [workers[0].process_id]
    watched.end_worker(workers[0], -signal.SIGKILL)
    watched.sample(950, {workers[1]: 200})
    assert watched.killed() == [workers[1].process_id]


def test_a_chosen_process_that_does_not_end_holds_the_others_up_for_a_moment_only(watched: Watched) -> None:
    session = watched.session()
    first, second = (session.create_alive()[1] for _ in range(2))
    watched.pass_time(1)
    watched.sample(950, {first: 300, second: 200})
    watched.pass_time(3)
    watched.sample(950, {first: 300, second: 200})
    assert watched.killed() == [first.process_id, second.process_id]


def test_a_task_that_can_be_retried_ends_before_an_actor_and_its_session_is_warned(watched: Watched) -> None:
    session = watched.session()
    actor = session.create_alive()[1]
    task = lease(session, watched)
    watched.pass_time(1)
    watched.sample(950, {actor: 500, task: 100})
    assert watched.killed() == [task.process_id]
    assert "newest task that can be retried" in session.one(messages.Warn).text
    watched.end_worker(task, -signal.SIGKILL)
    lost = session.one(messages.LeaseLost)
    assert lost.kind == "out_of_memory"
    assert "memory was nearly full" in lost.text


def test_an_idle_task_worker_and_a_detached_actor_are_left(watched: Watched) -> None:
    session = watched.session()
    detached = session.create_alive(detached=True, name="a")[1]
    task = lease(session, watched)
    session.send(messages.ReturnLease(1))
    watched.pass_time(1)
    watched.sample(950, {detached: 500, task: 100})
    assert watched.killed() == []


def test_an_actor_that_may_restart_does_so(watched: Watched) -> None:
    session = watched.session()
    actor_id, actor = session.create_alive(max_restarts=1)
    watched.pass_time(1)
    watched.sample(950, {actor: 500})
    watched.end_worker(actor, -signal.SIGKILL)
    assert "memory was nearly full" in session.one(messages.ActorRestarting).text
    watched.start_worker().send(messages.ActorConstructed(actor_id))
    assert session.states() == ["ALIVE"]


@pytest.mark.parametrize("by_kernel", [True, False])
def test_a_kill_by_the_kernels_oom_killer_is_told_as_such(node: Scenario, by_kernel: bool) -> None:
    session = node.session()
    _, worker = session.create_alive()
    worker.leave()
    node.happen(events.Exited(worker.process_id, -signal.SIGKILL, by_kernel))
    node.happen(events.OutputEnded(worker.process_id, ""))
    (down,) = session.got(messages.ActorDown)
    assert ("the kernel's OOM killer" in down.text) is by_kernel
    assert down.kind == "crashed"


class TestTheSampler:
    @pytest.fixture
    def groups(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        """The directory of the only cgroup."""
        monkeypatch.setattr(cgroups, "own_cgroups", lambda controller: [] if controller else [str(tmp_path)])
        return tmp_path

    @staticmethod
    def write(directory: Path, **files: Any) -> None:
        for name, text in files.items():
            (directory / name.replace("_", ".", 1)).write_text(str(text))

    def test_the_machine_and_this_process_use_some_memory(self) -> None:
        seen = MemorySampler().sample({b"me": os.getpid(), b"none": 0})
        assert 0 < seen.used < seen.total
        assert 1 * MIB < seen.processes[b"me"] < seen.total
        assert seen.processes[b"none"] == 0

    def test_files_that_can_be_dropped_do_not_count_in_a_cgroup(self, groups: Path) -> None:
        self.write(groups, memory_max=100, memory_current=99, memory_stat="anon 9\ninactive_file 1\n")
        seen = MemorySampler().sample({})
        assert (seen.used, seen.total) == (98, 100)

    def test_the_machine_counts_where_it_is_fuller_than_the_cgroup(self, groups: Path) -> None:
        self.write(groups, memory_max=1 << 50, memory_current=1)
        assert MemorySampler().sample({}).total < 1 << 50

    def test_a_cgroup_without_a_limit_does_not_count(self, groups: Path) -> None:
        self.write(groups, memory_max="max", memory_current=99)
        assert MemorySampler().sample({}).total > 100

    def test_the_oom_killer_has_struck_when_its_counter_has_risen(self, groups: Path) -> None:
        self.write(groups, memory_events="oom 0\noom_kill 4\n")
        sampler = MemorySampler()
        assert not sampler.has_struck()
        self.write(groups, memory_events="oom 1\noom_kill 5\n")
        sampler.sample({})
        assert sampler.has_struck()

    def test_a_strike_of_long_ago_does_not_count(self, groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nbactors.local.node.shell.memory_sampler.RECENT_S", 0.0)
        self.write(groups, memory_events="oom_kill 4\n")
        sampler = MemorySampler()
        self.write(groups, memory_events="oom_kill 5\n")
        assert not sampler.has_struck()

    def test_without_any_file_no_memory_is_in_use(self, groups: Path) -> None:
        sampler = MemorySampler(str(groups / "none"))
        seen = sampler.sample({b"a": 1})
        assert (seen.used, seen.processes) == (0, {b"a": 0})
        assert not sampler.has_struck()
