"""What the event stream tells of one call that waits or runs."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("IPython")

from nbactors.engine.observer import TaskChanges
from nbactors.jupyter.panels.activity import Activity


def row(state: str, actor_id: str, task_id: str = "t1") -> dict[str, Any]:
    kind = "ACTOR_TASK" if actor_id else "NORMAL_TASK"
    return {
        "task_id": task_id,
        "actor_id": actor_id,
        "type": kind,
        "state": state,
        "error_type": None,
        "error_message": None,
    }


def changes(*rows: dict[str, Any], removed: tuple[str, ...] = (), is_snapshot: bool = False) -> TaskChanges:
    return TaskChanges(1, is_snapshot, list(rows), list(removed), [], [], {})


@pytest.mark.parametrize("actor_id", ["a1", ""])
class TestLive:
    def test_a_call_is_known_from_its_first_row_to_its_last(self, actor_id: str) -> None:
        activity = Activity()
        for state in ("PENDING_NODE_ASSIGNMENT", "RUNNING"):
            activity.apply(changes(row(state, actor_id)))
            assert activity.live("t1") == row(state, actor_id)
        activity.apply(changes(row("FINISHED", actor_id)))
        assert activity.live("t1") is None

    def test_a_row_that_the_node_has_dropped_is_forgotten(self, actor_id: str) -> None:
        activity = Activity()
        activity.apply(changes(row("RUNNING", actor_id)))
        activity.apply(changes(removed=("t1",)))
        assert activity.live("t1") is None

    def test_a_snapshot_replaces_all(self, actor_id: str) -> None:
        activity = Activity()
        activity.apply(changes(row("RUNNING", actor_id)))
        activity.apply(changes(row("RUNNING", actor_id, "t2"), is_snapshot=True))
        assert activity.live("t1") is None
        assert activity.live("t2") is not None
