"""What each actor does, gathered from the event stream."""

from __future__ import annotations

from typing import Any

from nbactors.jupyter.panels.activity import Activity
from nbactors.util.state import TaskChanges


def call(number: int, state: str = "RUNNING", actor: str = "a", **more: Any) -> dict[str, Any]:
    times = [float(number), 0.0, number + 0.5 if state == "RUNNING" else 0.0, 0.0]
    return {
        "task_id": f"t{number}",
        "actor_id": actor,
        "type": "ACTOR_TASK",
        "state": state,
        "name": "A.f",
        "error_type": None,
        "error_message": None,
        "waits_for": None,
        "times": times,
        **more,
    }


def changes(
    *tasks: dict[str, Any],
    removed: tuple[str, ...] = (),
    is_snapshot: bool = False,
    totals: tuple[dict[str, Any], ...] = (),
) -> TaskChanges:
    return TaskChanges(1, is_snapshot, list(tasks), list(removed), [], [], {}, totals)


def totals(finished: int, failed: int, cancelled: int, actor: str = "a") -> dict[str, Any]:
    return {"actor_id": actor, "finished": finished, "failed": failed, "cancelled": cancelled}


def failed(number: int, kind: str = "TASK_EXECUTION_EXCEPTION", text: str = "trace\nValueError: no") -> dict[str, Any]:
    return call(number, "FAILED", error_type=kind, error_message=text)


def test_running_calls_come_in_the_order_of_their_begin_and_waiting_ones_in_that_of_submission() -> None:
    activity = Activity()
    activity.apply(changes(call(3), call(1), call(5, "PENDING_ARGS_AVAIL"), call(4, "PENDING_ARGS_AVAIL")))
    assert [row["task_id"] for row in activity.of("a").running] == ["t1", "t3"]
    assert [row["task_id"] for row in activity.of("a").queued] == ["t4", "t5"]


def test_an_error_counts_once_however_often_it_is_told() -> None:
    activity = Activity()
    activity.apply(changes(call(1)))
    for _ in range(2):
        activity.apply(changes(call(1, "FINISHED"), failed(2), failed(3, "TASK_CANCELLED")))
    actor = activity.of("a")
    assert (dict(activity.errors), actor.live) == ({"ValueError: no": 1}, {})
    assert actor.error is not None
    assert actor.error["task_id"] == "t2"


def test_a_failed_call_that_is_tried_again_is_live_again() -> None:
    activity = Activity()
    activity.apply(changes(failed(1)))
    activity.apply(changes(call(1)))
    assert list(activity.of("a").live) == ["t1"]
    activity.apply(changes(failed(1)))
    assert activity.errors == {"ValueError: no": 2}


def test_the_totals_are_the_nodes_whatever_rows_have_come() -> None:
    activity = Activity()
    assert activity.apply(changes(call(1, "FINISHED"), totals=(totals(20_000, 2, 1),))) == {"a"}
    actor = activity.of("a")
    assert (actor.done, actor.failed, actor.cancelled) == (20_000, 2, 1)
    version = actor.version
    assert activity.apply(changes(totals=(totals(20_001, 2, 1),))) == {"a"}
    assert (actor.done, actor.version != version) == (20_001, True)


def test_the_construction_is_no_call() -> None:
    activity = Activity()
    activity.apply(changes(call(1, type="ACTOR_CREATION_TASK", waits_for="2 CPU")))
    assert activity.of("a").creation is not None
    assert not activity.of("a").live


def test_a_forgotten_call_is_live_no_more_but_stays_counted() -> None:
    activity = Activity()
    activity.apply(changes(call(1), call(2, "FINISHED"), totals=(totals(1, 0, 0),)))
    assert activity.apply(changes(removed=("t1", "t2"))) == {"a"}
    assert (activity.of("a").live, activity.of("a").done) == ({}, 1)


def test_a_snapshot_replaces_everything() -> None:
    activity = Activity()
    activity.apply(changes(call(1), failed(2)))
    activity.apply(changes(call(3, actor="b"), is_snapshot=True))
    assert not activity.of("a").live
    assert not activity.errors
    assert list(activity.of("b").live) == ["t3"]


def test_errors_are_counted_by_their_text_without_the_cancelled_ones() -> None:
    activity = Activity()
    activity.apply(
        changes(failed(1), failed(2), failed(3, "TASK_CANCELLED"), failed(4, "OUT_OF_MEMORY", "it was ended"))
    )
    assert activity.errors == {"ValueError: no": 2, "it was ended": 1}


def test_only_actors_whose_calls_have_changed_are_told_and_get_a_new_version() -> None:
    activity = Activity()
    activity.apply(changes(call(1), call(2, actor="b")))
    before = activity.of("a").version, activity.of("b").version
    assert activity.apply(changes(call(1, "FINISHED"))) == {"a"}
    assert activity.of("a").version != before[0]
    assert activity.of("b").version == before[1]


def test_nothing_is_known_of_an_unknown_actor_and_tasks_belong_to_none() -> None:
    activity = Activity()
    activity.apply(changes(call(1, actor="")))
    assert not activity.of("nobody").live
    assert not activity.of("").live


def test_an_error_is_counted_by_the_line_that_names_the_exception_whatever_lines_follow() -> None:
    activity = Activity()
    trace = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: no\nsecond line\n\nthird line'
    activity.apply(changes(failed(1, text=trace), failed(2, text="")))
    assert activity.errors == {"ValueError: no": 1, "TASK_EXECUTION_EXCEPTION": 1}
