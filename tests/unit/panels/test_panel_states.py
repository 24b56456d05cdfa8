"""The states that panels show."""

from __future__ import annotations

from typing import Any

import pytest
from test_activity import call, changes, failed

from nbactors.jupyter.panels import states
from nbactors.jupyter.panels.activity import Activity, ActorActivity


def row(state: str = "ALIVE", **more: Any) -> dict[str, Any]:
    facts = {"name": "sim", "class_name": "Sim", "pid": 7, "is_detached": False, "num_restarts": 0, "death_cause": ""}
    return {"actor_id": "abcdef0123", "state": state, **facts, **more}


def activity(*tasks: dict[str, Any]) -> ActorActivity:
    found = Activity()
    found.apply(changes(*tasks))
    return found.of("a")


def state_of(
    actor_row: dict[str, Any], doing: ActorActivity, inspection: dict[str, Any] | None = None
) -> dict[str, Any]:
    return states.actor(actor_row, doing, inspection, ([], []), [], lambda _: "In[2]", 100.0)


def inspection(**more: Any) -> dict[str, Any]:
    running = {"task_id": "t1", "name": "Sim.f", "group": "", "since": 5.0, "arguments": [("x", "1")], "paused": False}
    queued = {"task_id": "t2", "name": "Sim.f", "group": "", "since": 6.0}
    groups = [{"name": "", "size": 1, "running": ["t1"], "queued": 1}]
    return {"since": 1.0, "groups": groups, "running": [running], "queued": [queued], **more}


CREATION = call(1, "PENDING_NODE_ASSIGNMENT", type="ACTOR_CREATION_TASK", waits_for="2 CPU")


@pytest.mark.parametrize(
    ("actor_row", "tasks", "expected"),
    [
        (row(), [], ("idle", "idle")),
        (row(), [call(1)], ("busy", "runs f()")),
        (row(), [call(1), call(2)], ("busy", "runs f() and 1 more")),
        (row(), [call(1, "PENDING_ARGS_AVAIL")], ("idle", "idle")),
        (row("PENDING_CREATION"), [CREATION], ("waiting", "waits for 2 CPU")),
        (row("PENDING_CREATION"), [], ("starting", "starting")),
        (row("RESTARTING"), [call(1)], ("restarting", "restarting")),
        (row("DEAD", death_cause="a\nValueError: no"), [], ("failed", "ValueError: no")),
        (row("DEAD", death_cause="it was killed by `ray.kill`."), [], ("ended", "it was killed by `ray.kill`.")),
        (row("DEAD"), [], ("ended", "ended")),
    ],
)
def test_the_state_of_an_actor_in_words(
    actor_row: dict[str, Any], tasks: list[dict[str, Any]], expected: tuple[str, str]
) -> None:
    assert states.mark_and_word(actor_row, activity(*tasks)) == expected


def test_the_worker_tells_arguments_and_what_waits_in_it_and_the_events_what_waits_in_the_caller() -> None:
    waiting = call(3, "PENDING_ARGS_AVAIL", waits_for="an argument")
    shown = state_of(row(), activity(call(1), call(2, "PENDING_ARGS_AVAIL"), waiting), inspection())
    assert [(each["id"], each["mark"], each["args"]) for each in shown["calls"]] == [
        ("t1", "busy", [["x", "1"]]),
        ("t2", "queued", None),
        ("t3", "waiting", None),
    ]
    assert shown["queued"] == 2
    assert shown["calls"][2]["word"] == "waits for an argument"
    assert shown["groups"] == inspection()["groups"]


def test_a_call_that_the_events_do_not_know_yet_is_shown_as_soon_as_the_worker_runs_it() -> None:
    shown = state_of(row(), activity(), inspection(queued=[]))
    assert (shown["mark"], shown["word"]) == ("busy", "runs f")


def test_a_call_that_has_ended_in_the_worker_is_not_shown_though_the_events_do_not_know_it_yet() -> None:
    arrived = call(9)
    arrived["times"][1] = 9.1
    shown = state_of(row(), activity(arrived), inspection(running=[], queued=[]))
    assert shown["calls"] == []


def test_without_an_answer_of_the_worker_the_events_show_the_calls() -> None:
    shown = state_of(row(), activity(call(1), call(2, "PENDING_ARGS_AVAIL")))
    assert [each["mark"] for each in shown["calls"]] == ["busy", "queued"]
    assert shown["groups"] == []


def test_a_call_in_the_debugger_makes_the_actor_paused() -> None:
    running = [{**inspection()["running"][0], "paused": True}]
    shown = state_of(row(), activity(call(1)), inspection(running=running))
    assert (shown["mark"], shown["word"], shown["calls"][0]["mark"]) == ("paused", "paused in the debugger", "paused")


def test_the_latest_error_is_told_with_its_call() -> None:
    shown = state_of(row(), activity(failed(1)))
    assert shown["error"] == {"what": "ValueError: no", "text": "trace\nValueError: no", "call": "A.f"}


def test_an_actor_without_a_name_is_called_by_its_class_and_id() -> None:
    assert states.title(row(name="")) == "Sim abcdef"


def test_a_difference_has_the_changed_fields_and_rows_alone() -> None:
    old = {"now": 1.0, "title": "x", "order": ["a", "b"], "rows": {"a": {"n": 1}, "b": {"n": 2}}}
    new = {"now": 2.0, "title": "x", "order": ["b", "c"], "rows": {"b": {"n": 3}, "c": {"n": 4}}}
    assert states.difference(old, new, "rows") == {
        "kind": "changes",
        "now": 2.0,
        "fields": {"order": ["b", "c"]},
        "rows": {"b": {"n": 3}, "c": {"n": 4}},
        "gone": ["a"],
    }


def test_nothing_is_sent_for_the_time_alone() -> None:
    old = {"now": 1.0, "rows": {"a": {}}, "title": "x"}
    assert states.difference(old, {**old, "now": 2.0}, "rows") is None
    assert states.difference({"now": 1.0, "x": 1}, {"now": 2.0, "x": 1}) is None
