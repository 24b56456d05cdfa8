"""Which calls belong to a trace, and when it is over."""

from __future__ import annotations

from typing import Any

import pytest

from nbactors.engine.observer import TaskChanges
from nbactors.jupyter.panels import trace_spans
from nbactors.jupyter.panels.trace_spans import LOST_S, SETTLE_S, TraceSpans

CELL = 7
BEGAN = 1000.0


def row(task_id: str, state: str = "RUNNING", **facts: Any) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "parent_task_id": "",
        "job_id": "01",
        "cell": CELL,
        "name": "work",
        "actor_id": None,
        "state": state,
        "error_type": None,
        "waits_for": None,
        "times": [1001.0, 0.0, 1002.0, 1005.0 if state in ("FINISHED", "FAILED") else 0.0],
        **facts,
    }


def news(*tasks: dict[str, Any], unlisted: dict[str, int] | None = None, is_snapshot: bool = False) -> TaskChanges:
    return TaskChanges(1, is_snapshot, list(tasks), [], [], [], unlisted or {})


@pytest.fixture
def spans() -> TraceSpans:
    spans = TraceSpans(CELL, BEGAN)
    spans.jobs.add("01")
    return spans


def test_a_trace_has_the_calls_of_its_cell_and_session_only(spans: TraceSpans) -> None:
    before = row("before", times=[BEGAN - 1, 0.0, 0.0, 0.0])
    assert spans.apply(news(row("own"), row("later", cell=8), row("other", job_id="02"), before), 1003.0)
    assert list(spans.calls) == ["own"]


def test_a_callee_belongs_to_the_trace_of_its_caller_whatever_its_cell_says(spans: TraceSpans) -> None:
    spans.apply(news(row("caller"), row("callee", cell=0, parent_task_id="caller", name="leaf")), 1003.0)
    assert spans.calls["callee"].parent == "caller"


def test_in_a_terminal_the_calls_of_the_time_of_the_cell_count() -> None:
    spans = TraceSpans(0, BEGAN)
    spans.jobs.add("01")
    spans.cell_ended = 1003.0
    after = [1004.0, 0.0, 0.0, 0.0]
    callee = row("callee", cell=0, parent_task_id="own", times=after)
    spans.apply(news(row("own", cell=0), row("next", cell=0, times=after), callee), 1005.0)
    assert list(spans.calls) == ["own", "callee"]


def test_a_trace_is_over_when_the_cell_and_all_calls_have_ended_and_no_news_comes(spans: TraceSpans) -> None:
    spans.apply(news(row("a")), 1003.0)
    assert not spans.is_over(2000.0)
    spans.cell_ended = 1004.0
    assert not spans.is_over(2000.0)
    spans.apply(news(row("a", "FINISHED")), 2000.0)
    assert not spans.is_over(2000.0 + SETTLE_S / 2)
    assert spans.is_over(2000.0 + SETTLE_S)
    assert spans.ended == 1005.0


def test_a_cell_without_calls_is_over_after_the_time_that_events_take(spans: TraceSpans) -> None:
    spans.cell_ended = 1004.0
    assert not spans.is_over(1004.0)
    assert spans.is_over(1004.0 + SETTLE_S)
    assert spans.ended == 1004.0


def test_a_cell_without_a_session_is_over_at_its_end() -> None:
    spans = TraceSpans(7, BEGAN)
    assert not spans.is_over(1004.0)
    spans.cell_ended = 1004.0
    assert spans.is_over(1004.0)


def test_a_call_that_is_tried_again_is_live_again(spans: TraceSpans) -> None:
    spans.cell_ended = 1004.0
    spans.apply(news(row("a", "FAILED")), 1006.0)
    spans.apply(news(row("a", "PENDING_NODE_ASSIGNMENT")), 1007.0)
    assert not spans.is_over(2000.0)
    assert spans.calls["a"].mark == "queued"


def test_a_snapshot_forgets_no_call(spans: TraceSpans) -> None:
    spans.apply(news(row("a", "FINISHED")), 1006.0)
    spans.apply(news(row("b"), is_snapshot=True), 1007.0)
    assert list(spans.calls) == ["a", "b"]


def test_a_live_call_that_a_new_node_does_not_know_is_given_up(spans: TraceSpans) -> None:
    spans.cell_ended = 1004.0
    spans.apply(news(row("lost"), row("kept")), 1006.0)
    spans.apply(news(is_snapshot=True), 1010.0)
    spans.apply(news(row("kept", "FINISHED")), 1011.0)
    assert not spans.is_over(1010.0 + LOST_S - 1)
    assert spans.is_over(1010.0 + LOST_S)
    assert spans.calls["lost"].mark == "ended"
    assert spans.calls["kept"].mark == "done"


@pytest.mark.parametrize(
    ("facts", "mark"),
    [
        ({"state": "FINISHED"}, "done"),
        ({"state": "FAILED"}, "failed"),
        ({"state": "FAILED", "error_type": "TASK_CANCELLED"}, "cancelled"),
        ({"state": "RUNNING_IN_RAY_GET"}, "busy"),
        ({"state": "PENDING_NODE_ASSIGNMENT", "waits_for": "1 CPU"}, "waiting"),
        ({"state": "SUBMITTED_TO_WORKER"}, "queued"),
    ],
)
def test_the_mark_of_a_call(spans: TraceSpans, facts: dict[str, Any], mark: str) -> None:
    spans.apply(news(row("a", **facts)), 1003.0)
    assert spans.calls["a"].mark == mark


def test_calls_beyond_the_most_are_counted_but_not_drawn(spans: TraceSpans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_spans, "MOST_SPANS", 2)
    monkeypatch.setattr(trace_spans, "MOST_CALLS", 4)
    spans.apply(news(*(row(str(number), "FINISHED") for number in range(7))), 1006.0)
    assert [call.task_id for call in spans.drawn()] == ["0", "1"]
    assert spans.dropped == 5
    assert spans.functions()[0]["count"] == 4


def test_short_calls_without_rows_are_counted_from_the_begin_of_the_trace(spans: TraceSpans) -> None:
    spans.apply(news(unlisted={"work": 100}), 1001.0)
    spans.apply(news(row("a"), unlisted={"work": 130, "other": 50}), 1002.0)
    assert spans.unlisted == 30


def test_functions_have_the_median_and_the_longest_of_their_queues_and_runs(spans: TraceSpans) -> None:
    for number, (started, ended) in enumerate([(1002.0, 1003.0), (1003.0, 1007.0), (1011.0, 1013.0)]):
        spans.apply(news(row(str(number), "FINISHED", times=[1001.0, 0.0, started, ended])), 1015.0)
    spans.apply(news(row("live"), row("short", "FAILED", name="short", times=[1001.0, 0.0, 0.0, 1002.0])), 1016.0)
    long, short = spans.functions()
    assert long == {
        "name": "work",
        "count": 4,
        "live": 1,
        "failed": 0,
        "total": 7.0,
        "queue": [1.5, 10.0],
        "run": [2.0, 4.0],
    }
    assert (short["failed"], short["run"], short["queue"]) == (1, None, None)
