"""`nbactors.util.state`: rows about actors, calls, workers and sessions."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Iterator

import pytest

import nbactors as ray
from nbactors.testing import eventually
from nbactors.util import state


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    ray.init(num_cpus=4, namespace="state")
    yield
    ray.shutdown()


@ray.remote
class Greeter:
    def greet(self, name: str) -> str:
        return f"hello {name}"

    def fail(self) -> None:
        raise ValueError("no greeting")


def own(*filters: state.Filter) -> list[state.Filter]:
    return [*filters, ("job_id", "=", ray.get_runtime_context().get_job_id())]


def listed(name: str) -> state.Rows:
    """Return the rows of the calls of this name, as soon as all have ended."""

    def ended() -> state.Rows:
        rows = state.list_tasks(filters=own(("name", "=", name)))
        return rows if all(row.state in ("FINISHED", "FAILED") for row in rows) else state.Rows()

    return eventually(ended)


def test_a_row_is_read_by_attribute_and_by_key() -> None:
    greeter = Greeter.options(name="greeter").remote()
    ref = greeter.greet.remote("you")
    ray.get(ref)
    (row,) = listed("Greeter.greet")
    assert row.state == row["state"] == row.get("state") == "FINISHED"
    assert row.get("no such column", 3) == 3
    assert (row.type, row.func_or_class_name, row.attempt_number) == ("ACTOR_TASK", "Greeter.greet", 0)
    assert row.actor_id == greeter._actor_id.hex()
    with pytest.raises(AttributeError, match="no column 'colour'"):
        _ = row.colour
    assert state.get_task(ref) == state.get_task(row.task_id)
    assert state.get_actor(row.actor_id).name == "greeter"
    assert state.get_task("00") is None
    with pytest.raises(TypeError, match=r"get_task\(\) takes an id or a reference. Got: 7"):
        state.get_task(7)


def test_a_failed_call_tells_its_error_with_detail() -> None:
    ref = Greeter.remote().fail.remote()
    with pytest.raises(ValueError, match="no greeting"):
        ray.get(ref)
    (brief,) = listed("Greeter.fail")
    assert "error_message" not in brief
    row = state.get_task(brief.task_id)
    assert (row.state, row.error_type) == ("FAILED", "TASK_EXECUTION_EXCEPTION")
    assert "ValueError: no greeting" in row.error_message
    assert 0 < row.creation_time_ms <= row.start_time_ms <= row.end_time_ms <= time.time() * 1000 + 1
    submitted, arrived, started, ended = row.times
    assert submitted <= arrived <= started <= ended


def test_filters_and_the_limit_choose_rows() -> None:
    greeter = Greeter.remote()
    ray.get([greeter.greet.remote("you") for _ in range(5)])
    eventually(lambda: len(listed("Greeter.greet")) == 5)
    assert len(state.list_tasks(filters=own(("type", "=", "actor_task")), limit=3)) == 3
    assert state.list_tasks(filters=own(("state", "=", "FAILED"))) == []
    with pytest.raises(ValueError, match="no task can be filtered by 'colour'"):
        state.list_tasks(filters=[("colour", "=", "red")])
    with pytest.raises(ValueError, match="operator"):
        state.list_tasks(filters=[("name", "<", "a")])
    with pytest.raises(ValueError, match="no task can be filtered by 'colour'"):
        state.list_tasks(filters=[("name", "=", "no such call"), ("colour", "=", "red")])
    with pytest.raises(ValueError, match=r"a list of \(key, '=' or '!=', value\). One of them is: 'name'"):
        state.list_tasks(filters=("name", "=", "a"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="operator"):
        state.list_objects(filters=[("object_id", "<", "a")])


def test_calls_and_actors_are_summarized() -> None:
    greeter = Greeter.remote()
    ray.get([greeter.greet.remote("you") for _ in range(3)])
    eventually(lambda: len(listed("Greeter.greet")) == 3)
    tasks = state.summarize_tasks()["cluster"]
    assert tasks["summary"]["Greeter.greet"]["state_counts"]["FINISHED"] >= 3
    assert tasks["total_actor_tasks"] >= 3
    actors = state.summarize_actors()["cluster"]["summary"]["Greeter"]
    assert actors["state_counts"]["ALIVE"] >= 1


def test_workers_and_sessions_are_listed() -> None:
    greeter = Greeter.remote()
    ray.get(greeter.greet.remote("you"))
    job_id = ray.get_runtime_context().get_job_id()
    (driver,) = state.list_workers(filters=own(("worker_type", "=", "driver")), detail=True)
    assert driver.worker_id == ray.get_runtime_context().get_worker_id()
    workers = state.list_workers(filters=[("actor_id", "=", greeter._actor_id.hex())], detail=True)
    assert [row.is_alive for row in workers] == [True]
    assert state.get_worker(driver.worker_id).pid == driver.pid
    assert state.get_job(job_id).status == "RUNNING"
    (node,) = [row for row in state.list_nodes() if row.is_own]
    own_node = [("node_id", "=", node.node_id)]
    assert [row.pid for row in state.list_nodes(None, own_node, 100, 30, True, True)] == [node.pid]
    assert [row.pid for row in state.list_nodes(address="auto", filters=own_node, timeout=10)] == [node.pid]
    assert state.get_node(node.node_id).state == "ALIVE"
    assert node in state.list_nodes(filters=[("state", "=", "ALIVE")])
    assert state.list_nodes(filters=[("state", "=", "DEAD")]) == []
    assert state.list_placement_groups() == []


def test_an_object_is_listed_for_each_process_that_has_it() -> None:
    @ray.remote
    class Keeper:
        def keep(self, refs: list[ray.ObjectRef[int]]) -> None:
            self.refs = refs

    ref = ray.put(b"x" * 1000)
    keeper = Keeper.remote()
    ray.get(keeper.keep.remote([ref]))
    driver, worker = sorted(state.get_objects(ref.hex()), key=lambda row: row.type)
    assert (driver.type, driver.pid, driver.reference_type) == ("DRIVER", os.getpid(), "LOCAL_REFERENCE")
    assert 1000 <= driver.object_size < 1200
    assert (worker.type, worker.object_size, worker.task_status) == ("WORKER", -1, "PENDING_NODE_ASSIGNMENT")
    assert driver.owner_id == worker.owner_id == driver.worker_id
    summary = state.summarize_objects()["cluster"]
    assert summary["total_objects"] >= 2
    assert summary["summary"]["disabled"]["task_state_counts"]["FINISHED"] >= 1


def test_a_pending_object_is_listed_until_its_last_reference_goes() -> None:
    @ray.remote(num_cpus=1000)
    def large() -> None:
        pass

    ref = large.remote()
    oid = ref.hex()
    (row,) = state.list_objects(filters=[("object_id", "=", oid)])
    assert row.task_status == "PENDING_NODE_ASSIGNMENT"
    ray.cancel(ref)
    with pytest.raises(ray.exceptions.TaskCancelledError, match="cancelled"):
        ray.get(ref)
    assert [row.task_status for row in state.get_objects(oid)] == ["FAILED"]
    del ref
    gc.collect()
    assert state.get_objects(oid) == []


def test_a_process_that_does_not_answer_costs_the_others_no_row() -> None:
    greeter = Greeter.remote()
    ray.get(greeter.greet.remote("you"))
    (worker,) = state.list_workers(filters=[("actor_id", "=", greeter._actor_id.hex())], detail=True)
    ref = ray.put(1)
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        unanswered = f"process {worker.pid} has not answered within 0.5 seconds"
        with pytest.warns(RuntimeWarning, match=unanswered) as warned:
            rows = state.list_objects(limit=10_000, timeout=0.5)
        assert warned[0].filename == __file__
        assert ref.hex() in [row.object_id for row in rows]
        with pytest.raises(TimeoutError, match="not complete"):
            state.list_objects(timeout=0.5, raise_on_missing_output=True)
    finally:
        os.kill(worker.pid, signal.SIGCONT)


def test_dead_actors_of_ended_sessions_are_listed_on_request_only() -> None:
    greeter = Greeter.remote()
    ray.get(greeter.greet.remote("you"))
    actor_id = greeter._actor_id.hex()
    del greeter
    ray.shutdown()
    ray.init(num_cpus=4, namespace="state")
    assert actor_id not in [row.actor_id for row in state.list_actors(limit=1000)]
    assert actor_id in [row.actor_id for row in state.list_actors(limit=1000, ended_sessions=True)]


@pytest.mark.parametrize(("kind", "package"), [("arrow", "pyarrow"), ("pandas", "pandas"), ("polars", "polars")])
def test_rows_become_a_table(kind: str, package: str) -> None:
    pytest.importorskip(package, reason=f"as_table({kind!r}) needs {package}, which nbactors does not")
    greeter = Greeter.remote()
    ref = greeter.greet.remote("you")
    assert ray.get(ref) == "hello you"
    for rows in (listed("Greeter.greet"), state.list_actors(detail=True), state.list_objects(), state.list_workers()):
        table = rows.as_table(kind)
        names = table.column_names if kind == "arrow" else list(table.columns)
        assert (len(table), names) == (len(rows), list(rows[0]))
    table = listed("Greeter.greet").as_table(kind)
    assert [str(state) for state in table["state"]] == ["FINISHED"]


def test_a_table_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="as_table"):
        state.Rows().as_table("paper")


def test_a_follower_gets_a_snapshot_and_then_each_change() -> None:
    greeter = Greeter.remote()
    ray.get(greeter.greet.remote("you"))
    listed("Greeter.greet")
    changes = state.follow()
    try:
        first = changes.next(timeout=5)
        assert first is not None
        assert first.is_snapshot
        assert "Greeter.greet" in [task["name"] for task in first.tasks]
        ref = greeter.fail.remote()
        seen: list[str] = []
        while "Greeter.fail" not in seen:
            news = changes.next(timeout=5)
            assert news is not None
            assert not news.is_snapshot
            assert news.seq > first.seq
            seen += [task["name"] for task in news.tasks]
        assert "Greeter.greet" not in seen
        with pytest.raises(ValueError, match="no greeting"):
            ray.get(ref)
    finally:
        changes.close()
