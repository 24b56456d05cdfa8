"""The table of a session's calls on a cluster: states, bounds, readers that are behind."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from nbactors.cluster.common.call_report import KNOWN
from nbactors.cluster.observing import task_table
from nbactors.cluster.observing.task_table import Pending, TaskTable

ACTOR = "ab" * 16


def number(index: int) -> bytes:
    return index.to_bytes(24, "little")


def batch(*calls: Any, **changes: Any) -> dict[str, Any]:
    facts = {"actor_id": ACTOR, "node_id": "n", "worker_id": "w", "pid": 7, "calls": calls, "unlisted": {}}
    return {**facts, "totals": {}, **changes}


def call(index: int, ended: float = 0.0, error: str = "", kind: str = "ACTOR_TASK") -> tuple[Any, ...]:
    return (number(index), "C.f", "C.f", kind, 3, b"", 5.0, 10.0, ended, error, "why" if error else "")


def states(table: TaskTable) -> list[str]:
    return [row["state"] for row in table.changes(0).tasks]


def test_a_call_waits_runs_and_ends_in_one_row() -> None:
    table = TaskTable("job")
    table.pending([Pending(number(1), "C.f", ACTOR, 3, 5.0)], 6.0)
    assert states(table) == ["PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"]
    table.take(batch(call(1)))
    assert states(table) == ["RUNNING"]
    table.take(batch(call(1, 12.0)))
    (row,) = table.changes(0).tasks
    assert (row["state"], row["times"], row["worker_pid"], row["cell"]) == ("FINISHED", [5.0, 10.0, 10.0, 12.0], 7, 3)


def test_the_session_knows_when_its_calls_were_submitted() -> None:
    table = TaskTable()
    table.submissions.note(number(1), 4.0)
    table.pending([Pending(number(2), "C.f", ACTOR, 3, 5.0)], 6.0)
    table.take(batch(*((*call(index)[:6], KNOWN, *call(index)[7:]) for index in (1, 2, 3))))
    times = {row["task_id"]: row["times"][:2] for row in table.changes(0).tasks}
    assert times == {number(1).hex(): [4.0, 10.0], number(2).hex(): [5.0, 10.0], number(3).hex(): [10.0, 10.0]}


@pytest.mark.parametrize(("begins", "kinds"), [(False, []), (True, ["WORKER_DIED"])])
def test_a_call_that_ends_without_a_report_has_failed_if_it_had_begun(begins: bool, kinds: list[str]) -> None:
    table = TaskTable()
    table.pending([Pending(number(1), "C.f", ACTOR, 0, 1.0)], 1.0)
    seq = table.changes(0).seq
    if begins:
        table.take(batch(call(1)))
    table.pending([], 20.0)
    assert len(states(table)) == 1
    table.pending([], 20.0 + task_table.SILENT_S)
    assert [row["error_type"] for row in table.changes(0).tasks] == kinds
    assert table.changes(seq).removed == ([] if begins else [number(1).hex()])


def actor_row(state: str, worker_id: str | None = "w") -> dict[str, Any]:
    facts = {"actor_id": ACTOR, "class_name": "C", "name": "", "at": 9.0, "pid": 7, "job_id": "job"}
    return {**facts, "state": state, "worker_id": worker_id}


def test_changes_of_actors_are_told_once() -> None:
    table = TaskTable()
    table.actors([actor_row("PENDING_CREATION", None)], 9.0)
    first = table.changes(0)
    table.actors([actor_row("PENDING_CREATION", None)], 9.5)
    assert not table.wait(first.seq, 0)
    table.actors([actor_row("ALIVE")], 10.0)
    assert [moment["state"] for moment in table.changes(first.seq).actors] == ["ALIVE"]
    assert [moment["state"] for moment in table.changes(0).actors] == ["PENDING_CREATION", "ALIVE"]


def test_a_call_in_a_process_that_its_actor_has_no_more_has_failed() -> None:
    table = TaskTable()
    table.take(batch(call(1)))
    table.actors([actor_row("ALIVE", "next")], 30.0)
    assert [row["error_type"] for row in table.changes(0).tasks] == ["WORKER_DIED"]


def test_a_task_in_a_worker_that_has_ended_has_failed() -> None:
    table = TaskTable()
    table.take(batch(call(1, kind="NORMAL_TASK"), actor_id=""))
    table.ended_workers(lambda worker_id: worker_id != "w", 30.0)
    assert states(table) == ["RUNNING"]
    table.ended_workers(lambda worker_id: worker_id == "w", 30.0)
    assert [row["error_type"] for row in table.changes(0).tasks] == ["WORKER_DIED"]


def test_a_call_knows_its_caller() -> None:
    table = TaskTable()
    made = (*call(2)[:5], number(1), *call(2)[6:])
    table.take(batch(call(1, kind="ACTOR_CREATION_TASK"), made))
    construction, callee = table.changes(0).tasks
    assert callee["parent_task_id"] == construction["task_id"]


def test_functions_and_actors_that_are_counted_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_table, "FUNCTIONS_KEPT", 2)
    monkeypatch.setattr(task_table, "ACTORS_KEPT", 2)
    table = TaskTable()
    for index in range(4):
        table.take(batch(unlisted={f"C.f{index}": 1}, totals={"finished": 1}, actor_id=f"a{index}"))
    assert table.changes(0).unlisted == {"C.f0": 1, "C.f1": 1}
    assert [each["actor_id"] for each in table.changes(0).totals] == ["a2", "a3"]


def test_calls_of_a_dead_actor_have_failed() -> None:
    table = TaskTable()
    table.take(batch(call(1), call(2, 11.0)))
    table.actors([actor_row("DEAD")], 30.0)
    assert {row["task_id"]: row["error_type"] for row in table.changes(0).tasks} == {
        number(1).hex(): "ACTOR_DIED",
        number(2).hex(): None,
    }


def test_a_reader_gets_what_has_changed_and_a_late_one_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_table, "KEPT", 2)
    monkeypatch.setattr(task_table, "REMOVED_KEPT", 3)
    table = TaskTable()
    table.take(batch(call(1, 11.0)))
    first = table.changes(0)
    assert first.is_snapshot
    table.take(batch(call(2, 11.0), call(3, 11.0), unlisted={"C.f": 4}, totals={"finished": 6}))
    news = table.changes(first.seq)
    assert not news.is_snapshot
    assert [row["task_id"] for row in news.tasks] == [number(2).hex(), number(3).hex()]
    assert news.removed == [number(1).hex()]
    assert (news.unlisted, [each["finished"] for each in news.totals]) == ({"C.f": 4}, [6])
    table.take(batch(*(call(index, 11.0) for index in range(4, 12))))
    late = table.changes(first.seq)
    assert late.is_snapshot
    assert len(late.tasks) == 2


@pytest.mark.parametrize("ended", [0.0, 12.0])
@pytest.mark.parametrize("is_late", [False, True])
def test_the_caller_tells_of_the_calls_that_it_has_made(is_late: bool, ended: float) -> None:
    table = TaskTable()
    times = array("d", [4.0, 4.5]).tobytes()
    told = [(number(100), number(1)[:8] + number(2)[:8], times)]
    of_caller = batch(worker_id="other", submitted=told)
    of_callee = batch(*((*call(index, ended)[:6], KNOWN, *call(index, ended)[7:]) for index in (1, 2)))
    for each in (of_callee, of_caller) if is_late else (of_caller, of_callee):
        table.take(each)
    rows = table.changes(0).tasks
    assert [(row["times"], row["parent_task_id"]) for row in rows] == [
        ([submitted, 10.0, 10.0, ended], number(100).hex()) for submitted in (4.0, 4.5)
    ]
    assert {(row["state"], row["worker_id"]) for row in rows} == {("FINISHED" if ended else "RUNNING", "w")}


def test_what_the_caller_has_told_of_a_running_call_stays_at_its_end() -> None:
    table = TaskTable()
    running, ended = (batch((*call(1, at)[:6], KNOWN, *call(1, at)[7:])) for at in (0.0, 12.0))
    table.take(running)
    table.take(batch(submitted=[(number(100), number(1)[:8], array("d", [4.0]).tobytes())]))
    table.take(ended)
    (row,) = table.changes(0).tasks
    assert (row["times"], row["parent_task_id"], row["state"]) == (
        [4.0, 10.0, 10.0, 12.0],
        number(100).hex(),
        "FINISHED",
    )


def test_calls_whose_caller_has_not_told_of_them_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_table, "KEPT", 3)
    table = TaskTable()
    table.take(batch(*((*call(index)[:6], KNOWN, *call(index)[7:]) for index in range(1, 10))))
    assert len(table._orphans) == 3
    times = array("d", range(1, 10)).tobytes()
    table.take(batch(submitted=[(number(100), b"".join(number(index)[:8] for index in range(1, 10)), times)]))
    found = {row["task_id"]: row["parent_task_id"] for row in table.changes(0).tasks}
    assert [bool(found[number(index).hex()]) for index in range(1, 10)] == [False] * 6 + [True] * 3
