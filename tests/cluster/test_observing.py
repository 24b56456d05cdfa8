"""What a session on a Ray cluster sees of it: listings, stacks, interrupts by an id, changes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.subjects import async_latches, counter, latches
from nbactors.testing import eventually


@pytest.fixture
def state(ray: Any) -> Any:
    from nbactors.util import state

    return state


@pytest.fixture
def actor(ray: Any) -> Any:
    actor = ray.remote(counter()).remote()
    ray.get(actor.add.remote())
    return actor


@pytest.fixture
def running(actor: Any, tmp_path: Path) -> Any:
    """A call of the actor that has begun, and sleeps."""
    mark = tmp_path / "begun"
    ref = actor.sleep.remote(60, str(mark))
    eventually(mark.exists)
    return ref


def id_of(actor: Any) -> str:
    return str(actor._actor_id.hex())


def rows_of(state: Any, actor: Any) -> dict[str, Any]:
    rows = state.list_tasks(filters=[("actor_id", "=", id_of(actor))], detail=True, limit=1000)
    return {row["name"]: row for row in rows}


def row_that(state: Any, actor: Any, name: str, wanted: str) -> Any:
    """Return the row of a call, once it is in a state."""
    found: list[Any] = []

    def is_there() -> bool:
        row = rows_of(state, actor).get(name)
        found[:] = [row]
        return row is not None and row["state"] == wanted

    eventually(is_there)
    return found[0]


# ------------------------------------------------------------------------------------------------------------- actors


def test_actors_nodes_and_processes_are_listed(ray: Any, state: Any, actor: Any) -> None:
    row = state.get_actor(id_of(actor))
    assert (row["class_name"], row["state"], row["has_session"], row["is_here"]) == ("Counter", "ALIVE", True, True)
    assert row["required_resources"] == {}
    assert row["pid"] in [worker["pid"] for worker in state.list_workers()]
    assert os.getpid() in [worker["pid"] for worker in state.list_workers(filters=[("worker_type", "=", "DRIVER")])]
    assert state.node_status()["resources"]["CPU"] == 4
    assert [(node["state"], node["is_head_node"]) for node in state.list_nodes()] == [("ALIVE", True)]
    assert ray.get_runtime_context().get_job_id() in [job["job_id"] for job in state.list_jobs()]
    assert "Hub" not in [row["class_name"] for row in state.list_actors(limit=1000)]
    assert state.summarize_actors()["cluster"]["summary"]["Counter"]["state_counts"]["ALIVE"] >= 1


def test_an_actor_that_waits_for_resources_is_pending(ray: Any, state: Any) -> None:
    waiting = ray.remote(counter()).options(resources={"widget": 99}).remote()
    row = eventually(lambda: state.get_actor(id_of(waiting)))
    assert (row["state"], row["pid"], row["required_resources"]) == (
        "PENDING_CREATION",
        0,
        {"CPU": 1.0, "widget": 99.0},
    )
    with pytest.raises(ValueError, match="no process yet"):
        state.stack(waiting)
    ray.kill(waiting)


def kill_by_signal(ray: Any, state: Any, actor: Any) -> None:
    os.kill(state.get_actor(id_of(actor))["pid"], signal.SIGKILL)


def kill_by_verb(ray: Any, state: Any, actor: Any) -> None:
    ray.kill(actor)


def let_exit(ray: Any, state: Any, actor: Any) -> None:
    actor.__ray_call__.remote(lambda counter: ray.actor.exit_actor())


@pytest.mark.parametrize(
    ("kill", "cause"),
    [
        (kill_by_signal, "process has died"),
        (let_exit, "it has called exit_actor"),
        (kill_by_verb, "killed by `ray.kill`"),
    ],
)
def test_a_dead_actor_is_told_without_a_call(
    ray: Any, state: Any, actor: Any, kill: Callable[..., None], cause: str
) -> None:
    kill(ray, state, actor)
    eventually(lambda: actor._link.facts().state == "dead")
    assert cause in actor._link.facts().cause
    assert "dead" in repr(actor)
    row = state.get_actor(id_of(actor))
    assert row["state"] == "DEAD"
    assert cause in row["death_cause"]
    with pytest.raises(ray.exceptions.RayActorError, match=cause):
        state.stack(actor)


def test_an_actor_whose_constructor_fails_is_told_to_be_dead_though_nothing_has_called_it(ray: Any, state: Any) -> None:
    @ray.remote
    class Broken:
        def __init__(self) -> None:
            raise ValueError("no such model")

    broken = Broken.remote()
    # A worker of Ray takes a second to start, and several on a busy machine.
    eventually(lambda: broken._link.facts().state == "dead", timeout_s=30)
    assert "no such model" in broken._link.facts().cause
    assert "no such model" in state.get_actor(id_of(broken))["death_cause"]


# -------------------------------------------------------------------------------------------------------------- calls


def test_calls_wait_run_and_end_in_listings(ray: Any, state: Any, actor: Any, running: Any) -> None:
    behind = actor.fail.remote()
    row = row_that(state, actor, "Counter.sleep", "RUNNING")
    assert (row["type"], row["worker_pid"], row["times"][3]) == ("ACTOR_TASK", state.get_actor(id_of(actor))["pid"], 0)
    assert 0 < row["times"][0] <= row["times"][2]
    assert state.get_task(running)["task_id"] == row["task_id"] == running.task_id().hex()
    assert rows_of(state, actor)["Counter.fail"]["state"] == "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"
    assert rows_of(state, actor)["Counter.__init__"]["type"] == "ACTOR_CREATION_TASK"
    assert rows_of(state, actor)["Counter.add"]["state"] == "FINISHED"
    ray.cancel(running, interrupt=True)
    with pytest.raises(ValueError, match="no"):
        ray.get(behind, timeout=30)
    failed = row_that(state, actor, "Counter.fail", "FAILED")
    assert failed["error_type"] == "TASK_EXECUTION_EXCEPTION"
    assert failed["error_message"].strip().endswith("ValueError: no")
    assert row_that(state, actor, "Counter.sleep", "FAILED")["error_type"] == "TASK_CANCELLED"
    assert state.summarize_tasks()["cluster"]["summary"]["Counter.fail"]["state_counts"]["FAILED"] >= 1


def test_tasks_are_listed_with_what_they_have_called(ray: Any, state: Any, tmp_path: Path) -> None:
    mark, end = tmp_path / "begun", tmp_path / "end"

    @ray.remote(num_cpus=0)
    def inner() -> None:
        from time import sleep

        mark.touch()
        while not end.exists():
            sleep(0.01)

    @ray.remote(num_cpus=0)
    def outer() -> Any:
        return ray.get(inner.remote())

    @ray.remote(resources={"widget": 99})
    def never() -> None: ...

    waiting = never.remote()
    ref = outer.remote()
    eventually(mark.exists, timeout_s=30)  # Ray starts two workers

    def states() -> dict[str, Any]:
        rows = state.list_tasks(filters=[("type", "=", "NORMAL_TASK")], detail=True, limit=1000)
        return {row["name"]: row for row in rows}

    eventually(lambda: "inner" in states() and "outer" in states())
    rows = states()
    assert [rows[name]["state"] for name in ("inner", "outer")] == ["RUNNING", "RUNNING"]
    assert rows["never"]["state"] == "PENDING_NODE_ASSIGNMENT"
    assert rows["inner"]["parent_task_id"] == rows["outer"]["task_id"]
    end.touch()
    ray.get(ref, timeout=30)
    eventually(lambda: states()["inner"]["state"] == states()["outer"]["state"] == "FINISHED")
    ray.cancel(waiting)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_constructor_is_the_caller_of_what_it_has_called(ray: Any, state: Any, is_async: bool) -> None:
    @ray.remote(num_cpus=0)
    def called() -> None: ...

    class Calling:
        def __init__(self) -> None:
            self.ref = called.options(name=f"called {is_async}").remote()

    class AsyncCalling(Calling):
        async def wait(self) -> None: ...

    actor = ray.remote(AsyncCalling if is_async else Calling).remote()
    ray.get(actor.__ray_ready__.remote(), timeout=60)

    def caller() -> str | None:
        rows = state.list_tasks(filters=[("name", "=", f"called {is_async}")], detail=True)
        return rows[0]["parent_task_id"] if rows else None

    made = row_that(state, actor, f"{'AsyncCalling' if is_async else 'Calling'}.__init__", "FINISHED")
    eventually(lambda: caller() == made["task_id"])
    ray.kill(actor)


def test_a_call_without_events_is_not_listed(ray: Any, state: Any, actor: Any, tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    ref = actor.sleep.options(enable_task_events=False).remote(60, str(mark))
    queued = actor.fail.options(enable_task_events=False).remote()
    after = actor.add.options(name="after").remote()
    eventually(mark.exists)
    assert "Counter.fail" not in rows_of(state, actor)
    ray.cancel(ref, interrupt=True)
    ray.get(after, timeout=30)
    row_that(state, actor, "after", "FINISHED")  # what was to be told before is told by now
    assert set(rows_of(state, actor)) == {"Counter.__init__", "Counter.add", "after"}
    assert ray.wait([queued], timeout=30)[0] == [queued]


def test_calls_of_a_killed_actor_have_failed(ray: Any, state: Any, actor: Any, running: Any) -> None:
    row_that(state, actor, "Counter.sleep", "RUNNING")
    ray.kill(actor)
    assert row_that(state, actor, "Counter.sleep", "FAILED")["error_type"] == "ACTOR_DIED"
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(running, timeout=30)


def test_a_reader_gets_a_snapshot_and_then_what_changes(ray: Any, state: Any, actor: Any) -> None:
    row_that(state, actor, "Counter.add", "FINISHED")
    changes = state.follow()
    assert changes.next(0).is_snapshot
    ref = actor.add.options(name="one more").remote()
    seen: list[Any] = []

    def is_told() -> bool:
        news = changes.next(1)
        seen.extend(news.tasks if news is not None else ())
        return ("one more", "FINISHED") in [(row["name"], row["state"]) for row in seen]

    eventually(is_told)
    assert "Counter.__init__" not in [row["name"] for row in seen]
    assert ray.get(ref) == 2
    ray.kill(actor)
    moments: list[Any] = []

    def is_dead() -> bool:
        news = changes.next(1)
        moments.extend(news.actors if news is not None else ())
        return (id_of(actor), "DEAD") in [(moment["actor_id"], moment["state"]) for moment in moments]

    eventually(is_dead)
    changes.close()


def test_many_short_calls_are_counted(ray: Any, state: Any, actor: Any) -> None:
    ray.get([actor.add.remote() for _ in range(500)])
    actor_id = id_of(actor)

    def counted() -> int:
        totals = state.follow().next(0).totals
        return sum(each["finished"] for each in totals if each["actor_id"] == actor_id)

    eventually(lambda: counted() == 501)
    assert len(state.list_tasks(filters=[("actor_id", "=", actor_id)], limit=10_000)) < 501


# ------------------------------------------------------------------------------------------------------------- orders


def test_an_actor_is_inspected_and_interrupted_by_its_id(ray: Any, state: Any, actor: Any, running: Any) -> None:
    from nbactors.util.calls import interrupt_actor

    assert "time.sleep(seconds)" in state.stack(id_of(actor))
    assert "_private" not in state.stack(actor)
    told = state.inspect_actor(actor)
    assert [call["name"] for call in told["running"]] == ["Counter.sleep"]
    assert told["memory"] > 1 << 20
    assert told["since"] < told["running"][0]["since"] <= told["at"]
    assert interrupt_actor(id_of(actor)) == 1
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(running, timeout=30)
    assert interrupt_actor(actor) == 0
    assert ray.get(actor.add.remote(), timeout=30) == 2


@pytest.mark.parametrize("kind", [latches, async_latches])
def test_an_actor_tells_the_arguments_groups_and_frames_of_what_runs(ray: Any, state: Any, kind: Any) -> None:
    actor = ray.remote(concurrency_groups={"others": 3}, max_concurrency=2, num_cpus=0)(kind()).remote()
    sync = actor.sync.remote(7, text="seven")
    stream = actor.stream.options(concurrency_group="others").remote(8)
    ray.get(actor.__ray_ready__.options(concurrency_group="others").remote())
    eventually(lambda: len(state.inspect_actor(actor)["running"]) == 2, 30)
    told = state.inspect_actor(actor)
    assert state.stack(actor).count("self.opened.wait") == 2
    calls = {call["name"].split(".")[1]: call for call in told["running"]}
    assert calls["sync"]["arguments"] == [("number", "7"), ("text", "'seven'")]
    assert calls["stream"]["arguments"] == [("number", "8")]
    assert {name: call["group"] for name, call in calls.items()} == {"sync": "", "stream": "others"}
    assert [(group["name"], group["size"], group["running"]) for group in told["groups"]] == [
        ("", 2, [calls["sync"]["task_id"]]),
        ("others", 3, [calls["stream"]["task_id"]]),
    ]
    ray.get([actor.open.options(concurrency_group="others").remote(), sync])
    assert ray.get(next(stream)) == 8


@pytest.mark.parametrize("by", ["id", "reference"])
def test_a_call_is_cancelled_by_its_id(ray: Any, state: Any, actor: Any, running: Any, by: str) -> None:
    from nbactors.util.calls import cancel_call

    row = row_that(state, actor, "Counter.sleep", "RUNNING")
    given = {"id": row["task_id"], "reference": running}[by]
    assert cancel_call(given, interrupt=True) == "CANCELLED"
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(running, timeout=30)
    assert cancel_call(given) == "ENDED"


def test_a_call_of_another_worker_is_cancelled_by_its_id(ray: Any, state: Any, actor: Any, tmp_path: Path) -> None:
    from nbactors.util.calls import cancel_call

    mark = tmp_path / "begun"

    @ray.remote(num_cpus=0)
    def caller(actor: Any) -> None:
        ray.get(actor.sleep.remote(60, str(mark)))

    ref = caller.remote(actor)
    eventually(mark.exists)
    row = row_that(state, actor, "Counter.sleep", "RUNNING")
    assert cancel_call(row["task_id"], interrupt=True) == "CANCELLED"
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(ref, timeout=30)
    with pytest.raises(ValueError, match="there is no call"):
        cancel_call("0" * 48)


def test_an_actor_is_killed_by_its_id_or_name_also_without_a_handle(ray: Any, state: Any) -> None:
    from nbactors.util.calls import kill_actor

    @ray.remote(num_cpus=0)
    class Owner:
        def make(self, cls: Any) -> Any:
            self.made = cls.remote()
            ray.get(self.made.add.remote())
            return self.made._actor_id.hex()

    owner = Owner.remote()
    nameless = ray.get(owner.make.remote(ray.remote(counter())), timeout=30)
    kill_actor(nameless)
    eventually(lambda: state.get_actor(nameless)["state"] == "DEAD")
    kill_actor(nameless)
    named = ray.remote(counter()).options(name="to be killed").remote()
    ray.get(named.add.remote())
    kill_actor("to be killed")
    eventually(lambda: state.get_actor(id_of(named))["state"] == "DEAD")
    with pytest.raises(ValueError, match="there is no actor"):
        kill_actor("nobody")
    with pytest.raises(TypeError, match="takes a handle"):
        kill_actor(7)


# ------------------------------------------------------------------------------------------------------- what shows it


def test_a_panel_shows_a_running_call_and_its_buttons_work(ray: Any, state: Any, actor: Any, running: Any) -> None:
    from nbactors.jupyter.panels.actor_panel import ActorSource
    from nbactors.jupyter.panels.feed import Feed
    from nbactors.jupyter.panels.session_panel import SessionSource

    queued = actor.add.remote()
    feed = Feed(lambda: False)
    job_id = ray.get_runtime_context().get_job_id()
    panel = ActorSource(feed, id_of(actor), state.get_actor(id_of(actor)), job_id)

    def shows(mark: str) -> bool:
        feed.look()
        asked = panel.ask()
        if asked is not None:
            asked.result(timeout=30)
        return bool(panel.state()["mark"] == mark)

    eventually(lambda: shows("busy"))
    shown = panel.state()
    assert {call["name"]: call["mark"] for call in shown["calls"]} == {"Counter.sleep": "busy", "Counter.add": "queued"}
    assert shown["memory"]
    assert [call["name"] for call in panel.state()["calls"] if call["mark"] == "busy"] == ["Counter.sleep"]
    session = SessionSource(feed, job_id, "")
    eventually(lambda: shows("busy") and session.state()["rows"][id_of(actor)]["mark"] == "busy")
    assert session.state()["cpu"][1] == 4
    assert "time.sleep" in panel.do({"what": "stack", "actor": id_of(actor)}).text
    assert panel.do({"what": "interrupt", "actor": id_of(actor)}).text == "1 interrupted"
    assert ray.get(queued, timeout=30) == 2
    eventually(lambda: shows("idle"))
    assert panel.do({"what": "kill", "actor": id_of(actor)}).ok
    eventually(lambda: state.get_actor(id_of(actor))["state"] == "DEAD")
    assert shows("ended")
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(running, timeout=30)


def test_the_table_of_actors_shows_what_runs(ray: Any, state: Any, actor: Any, running: Any) -> None:
    from nbactors.jupyter.magics.actor_table import Roster
    from nbactors.util import calls

    row_that(state, actor, "Counter.sleep", "RUNNING")
    rows = [row for row in state.list_actors(detail=True, limit=1000) if row["actor_id"] == id_of(actor)]
    text = repr(Roster(rows, calls.pending_calls(), {id_of(actor): "actor"}, {}, "", state.list_tasks(limit=1000)))
    heads, line = text.splitlines()
    assert heads.split()[:5] == ["name", "variable", "class", "state", "pid"]
    assert line.split()[1:6] == ["actor", "Counter", "alive", str(rows[0]["pid"]), "sleep"]
    ray.kill(actor)
    rows = eventually(lambda: [row for row in [state.get_actor(id_of(actor))] if row["state"] == "DEAD"])
    assert "dead: it was killed by `ray.kill`" in repr(Roster(rows, [], {}, {}, ""))
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(running, timeout=30)


def test_the_timeline_has_the_calls(ray: Any, state: Any, actor: Any, tmp_path: Path) -> None:
    row_that(state, actor, "Counter.add", "FINISHED")
    path = tmp_path / "trace.json"
    ray.timeline(str(path))
    events = json.loads(path.read_text())
    slices = [event for event in events if event["ph"] == "X" and event["name"] == "Counter.add"]
    assert slices
    assert all(event["dur"] >= 0 and event["pid"] and event["ts"] > 1e15 for event in slices)


def test_a_worker_lists_actors_and_says_why_it_lists_no_calls(ray: Any, actor: Any) -> None:
    @ray.remote(num_cpus=0)
    def look() -> Any:
        from nbactors.util import state

        try:
            state.list_tasks()
        except ray.exceptions.RaySystemError as error:
            return len(state.list_actors()), str(error)

    count, why = ray.get(look.remote(), timeout=30)
    assert count >= 1
    assert "only the session knows the calls" in why


def test_what_a_cluster_cannot_tell_is_refused_with_a_reason(ray: Any, state: Any, actor: Any) -> None:
    from nbactors.util.metrics import prometheus_text

    with pytest.raises(ray.exceptions.RaySystemError, match="ray stop"):
        state.stop_nodes()
    with pytest.raises(ray.exceptions.RaySystemError, match="ray memory"):
        state.list_objects()
    with pytest.raises(ray.exceptions.RaySystemError, match="stack"):
        ray.profile(actor, seconds=1)
    with pytest.raises(ray.exceptions.RaySystemError, match="MetricsExportPort"):
        prometheus_text()


def test_logs_grow_and_stay_after_the_death_of_the_actor(ray: Any, state: Any) -> None:
    @ray.remote
    class Speaker:
        def say(self, word: str) -> None:
            import os

            print(word)
            os.system(f"echo {word} from a shell")

    speaker = Speaker.options(name="speaker").remote()
    ray.get(speaker.say.remote("one"))
    (row,) = state.actor_logs("speaker")
    assert Path(row["log_path"]).read_text() == "one\none from a shell\n"
    ray.get(speaker.say.remote("two"))
    for name in ("Speaker", str(row["pid"]), row["actor_id"][:12]):
        (again,) = state.actor_logs(name)
        assert again["log_path"] == row["log_path"]
    assert Path(row["log_path"]).read_text().splitlines()[2:] == ["two", "two from a shell"]
    ray.kill(speaker)
    eventually(lambda: state.actor_logs("speaker")[-1]["state"] == "DEAD")
    assert "two from a shell" in Path(state.actor_logs("speaker")[-1]["log_path"]).read_text()
    assert state.actor_logs("nobody") == []


def test_the_logs_go_with_the_session_also_where_ray_was_shut_down_before(fresh: Any) -> None:
    import ray as rays

    from nbactors.util import state

    class Printer:
        def write(self) -> None:
            print("spoken")

    fresh.init(engine="ray", num_cpus=1)
    printer = fresh.remote(Printer).options(name="printer").remote()
    fresh.get(printer.write.remote(), timeout=60)
    folder = Path(state.actor_logs("printer")[-1]["log_path"]).parent
    assert folder.is_dir()
    rays.shutdown()
    fresh.shutdown()
    assert not folder.exists()
