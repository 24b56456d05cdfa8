"""The node's table of calls, merged from the reports of their callers and of their workers."""

from __future__ import annotations

import pytest

from nbactors.local.node.rules.tracing import task_table
from nbactors.local.node.rules.tracing.task_table import CELLS, Sequence, TaskTable
from nbactors.local.wire import messages

CALLER, WORKER, JOB = b"c" * 16, b"w" * 16, b"1234"


def row(number: int = 1, state: str = "RUNNING", **facts: object) -> messages.TaskRow:
    """Return the row of a call, as its worker reports it unless `worker` is empty."""
    known = {
        "task_id": CALLER + number.to_bytes(8, "big"),
        "name": "A.m",
        "function": "A.m",
        "kind": "ACTOR_TASK",
        "actor_id": b"a" * 16,
        "parent": b"",
        "origin": 0,
        "awaited": "",
        "submitted": 1.0,
        "arrived": 2.0,
        "started": 3.0,
        "ended": 0.0,
        "worker": WORKER,
    }
    return messages.TaskRow(state=state, **{**known, **facts})  # type: ignore[arg-type]


def queued(number: int = 1, state: str = "PENDING_ARGS_AVAIL") -> messages.TaskRow:
    """Return the row of a call as its caller reports it."""
    return row(number, state, arrived=0.0, started=0.0, worker=b"")


class Table(TaskTable):
    """A table, with reports in short form."""

    def __init__(self) -> None:
        self.sequence = Sequence()
        super().__init__(self.sequence)

    def told(
        self, by: bytes, at: float, live: list[messages.TaskRow] | None = None, *ended: messages.TaskRow
    ) -> messages.TaskRow | None:
        self.report(by, JOB, messages.TaskReport(at, live, list(ended), {}, []))
        return self.find(row().task_id)

    @property
    def state(self) -> str:
        found = self.find(row().task_id)
        return found.state if found is not None else ""


@pytest.fixture
def table() -> Table:
    return Table()


def test_a_call_is_followed_from_its_caller_to_its_end(table: Table) -> None:
    table.told(CALLER, 1.5, [queued()])
    assert table.state == "PENDING_ARGS_AVAIL"
    table.told(WORKER, 3.5, [row()])
    assert table.state == "RUNNING"
    table.told(CALLER, 4.0, [queued(state="SUBMITTED_TO_WORKER")])
    assert table.state == "RUNNING", "the worker knows more"
    found = table.told(WORKER, 6.0, [], row(state="FINISHED", ended=5.0))
    assert found is not None
    assert (found.state, found.job, found.attempt) == ("FINISHED", JOB, 0)
    table.told(CALLER, 6.5, [])
    assert table.state == "FINISHED"


def test_a_late_report_of_the_caller_does_not_revive_a_call(table: Table) -> None:
    table.told(WORKER, 6.0, [], row(state="FINISHED", ended=5.0))
    table.told(CALLER, 4.0, [queued(state="PENDING_NODE_ASSIGNMENT")])
    assert table.state == "FINISHED"


def test_a_call_that_is_queued_again_is_another_attempt(table: Table) -> None:
    table.told(WORKER, 6.0, [], row(state="FAILED", ended=5.0))
    found = table.told(CALLER, 7.0, [queued(state="PENDING_NODE_ASSIGNMENT")])
    assert found is not None
    assert (found.state, found.attempt) == ("PENDING_NODE_ASSIGNMENT", 1)
    found = table.told(WORKER, 9.0, None, row(state="FINISHED", arrived=8.0, started=8.0, ended=8.5))
    assert found is not None
    assert (found.state, found.attempt) == ("FINISHED", 1)


def test_a_call_that_comes_to_a_worker_again_is_another_attempt(table: Table) -> None:
    table.told(WORKER, 6.0, None, row(state="FAILED", ended=5.0))
    found = table.told(WORKER, 8.0, [row(arrived=7.0, started=7.0)])
    assert found is not None
    assert (found.state, found.attempt) == ("RUNNING", 1)


def test_the_calls_of_a_dead_worker_have_failed_until_their_caller_tells_more(table: Table) -> None:
    table.told(WORKER, 4.0, [row()])
    table.process_gone(WORKER, 5.0)
    assert table.state == "FAILED"
    found = table.told(
        CALLER, 6.0, None, row(state="FAILED", error_type="ACTOR_DIED", ended=5.5, worker=b"", started=0.0)
    )
    assert found is not None
    assert (found.error_type, found.started, found.worker) == ("ACTOR_DIED", 3.0, WORKER)


def test_the_node_may_see_the_end_of_a_worker_later_than_a_caller_does(table: Table) -> None:
    table.told(WORKER, 4.0, [row()])
    table.process_gone(WORKER, 5.0)
    found = table.told(CALLER, 6.0, None, row(state="FAILED", error_type="ACTOR_DIED", ended=4.9, worker=b""))
    assert found is not None
    assert found.error_type == "ACTOR_DIED"


def answered(state: str = "FINISHED", ended: float = 4.5, **facts: object) -> messages.TaskRow:
    """Return the row of a call whose answer its caller has read, and whose worker has ended."""
    return row(1, state, arrived=0.0, started=0.0, ended=ended, **facts)


@pytest.mark.parametrize("is_first", [False, True])
def test_a_caller_tells_how_a_call_has_ended_of_a_dead_worker(table: Table, is_first: bool) -> None:
    table.told(WORKER, 4.0, [row()])
    if is_first:
        table.told(CALLER, 5.2, None, answered())
    table.process_gone(WORKER, 5.0)
    if not is_first:
        table.told(CALLER, 5.2, None, answered())
    found = table.find(row().task_id)
    assert found is not None
    assert (found.state, found.error_type, found.error) == ("FINISHED", "", "")
    assert (found.arrived, found.started, found.ended, found.worker) == (2.0, 3.0, 4.5, WORKER)
    table.told(WORKER, 5.0 + 2 * task_table.GRACE_S, None)
    assert table.ended == {"FINISHED": 1, "FAILED": 0}
    assert table.totals.changed(0, table.sequence.last)[0].finished == 1
    assert table.totals.changed(0, table.sequence.last)[0].failed == 0


def test_a_caller_tells_the_error_that_a_dead_worker_has_answered_with(table: Table) -> None:
    table.told(CALLER, 4.0, [queued(state="SUBMITTED_TO_WORKER")])
    found = table.told(CALLER, 5.2, [], answered("FAILED", error_type="TASK_EXECUTION_EXCEPTION", error="no"))
    assert found is not None
    assert (found.state, found.error_type, found.worker, found.job) == (
        "FAILED",
        "TASK_EXECUTION_EXCEPTION",
        WORKER,
        JOB,
    )


def test_a_worker_knows_more_of_an_end_than_the_caller_whichever_reports_first(table: Table) -> None:
    other = Table()
    for each in (table, other):
        each.told(WORKER, 4.0, [row()])
    table.told(WORKER, 5.0, [], row(state="FINISHED", ended=4.4))
    table.told(CALLER, 5.2, None, answered())
    other.told(CALLER, 5.2, None, answered())
    other.told(WORKER, 5.3, [], row(state="FINISHED", ended=4.4))
    for each in (table, other):
        found = each.find(row().task_id)
        assert found is not None
        assert (found.ended, each.ended["FINISHED"]) == (4.4, 1)


def test_an_answer_to_a_call_without_a_row_makes_none(table: Table) -> None:
    assert table.told(CALLER, 5.2, None, answered()) is None


def test_the_guess_of_a_dead_workers_calls_counts_when_nobody_has_told_more(table: Table) -> None:
    table.told(WORKER, 4.0, [row()])
    table.process_gone(WORKER, 5.0)
    assert table.ended["FAILED"] == 0
    table.drop_left(5.0 + task_table.GRACE_S + 0.1)
    found = table.told(CALLER, 8.0, None, row(state="FAILED", error_type="ACTOR_DIED", ended=5.5, worker=b""))
    assert found is not None
    assert (found.started, found.error_type, table.ended["FAILED"]) == (3.0, "ACTOR_DIED", 1)


def test_a_dead_workers_call_that_is_tried_again_waits_again(table: Table) -> None:
    table.told(WORKER, 4.0, [row()])
    table.process_gone(WORKER, 5.0)
    found = table.told(CALLER, 6.0, [queued(state="PENDING_NODE_ASSIGNMENT")])
    assert found is not None
    assert (found.state, found.attempt) == ("PENDING_NODE_ASSIGNMENT", 1)


def test_a_call_whose_end_was_only_counted_is_forgotten_after_a_while(table: Table) -> None:
    table.told(CALLER, 4.0, [queued()])
    table.told(CALLER, 4.5, [])
    assert table.state == "PENDING_ARGS_AVAIL", "the report of its end may come"
    table.told(WORKER, 4.5 + 2 * task_table.GRACE_S, [])
    assert table.state == ""
    assert table.removed(0, table.sequence.last) == [row().task_id]


def test_only_the_latest_ended_calls_are_kept(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_table, "KEEP", 3)
    for number in range(1, 8):
        table.told(WORKER, 10.0, None, row(number, "FINISHED", ended=5.0))
    assert len(table) == 3


def test_the_calls_of_the_last_ended_sessions_are_kept(table: Table) -> None:
    for number in range(6):
        job = number.to_bytes(4, "big")
        table.report(WORKER, job, messages.TaskReport(1.0, None, [row(number, "FINISHED", ended=5.0)], {}, []))
        table.session_ended(job)
    assert len(table) == task_table.KEEP_SESSIONS


def test_a_reader_gets_the_changes_after_those_that_it_knows(table: Table) -> None:
    for number in (1, 2, 3):
        table.told(WORKER, 4.0, None, row(number, "FINISHED", ended=3.5))
    first, has_more = table.changed(0, 2)
    assert ([found.seq for found in first], has_more) == ([1, 2], True)
    rest, has_more = table.changed(first[-1].seq, 2)
    assert ([found.seq for found in rest], has_more) == ([3], False)
    table.told(WORKER, 9.0, [row(1, arrived=7.0)])
    changed, _ = table.changed(3, 10)
    assert [found.state for found in changed] == ["RUNNING"]


def test_a_reader_that_is_too_far_behind_needs_a_snapshot(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_table, "KEEP", 1)
    monkeypatch.setattr(task_table, "REMEMBERED", 2)
    for number in range(1, 8):
        table.told(WORKER, 10.0, None, row(number, "FINISHED", ended=5.0))
    assert table.is_too_old(1)
    assert not table.is_too_old(table.sequence.last)


def told_cells(table: Table, cells: dict[int, str], *live: messages.TaskRow) -> None:
    table.report(CALLER, JOB, messages.TaskReport(9.0, list(live), [], {}, [], cells=cells))


def test_a_call_has_the_cell_id_whoever_reports_first(table: Table) -> None:
    ours = row().origin
    told_cells(table, {ours: "cell-a"})
    table.told(WORKER, 10.0, [row()])
    assert table.find(row().task_id).cell_id == "cell-a"  # type: ignore[union-attr]

    other = Table()
    other.told(WORKER, 10.0, [row()])
    before = other.sequence.last
    told_cells(other, {ours: "cell-a"}, queued(state="SUBMITTED_TO_WORKER"))
    assert other.find(row().task_id).cell_id == "cell-a"  # type: ignore[union-attr]
    assert other.sequence.last > before, "followers are told"
    unchanged = other.sequence.last
    other.told(WORKER, 11.0, [row()])
    assert other.sequence.last == unchanged, "the same report again is no change"


def test_only_the_latest_cells_of_a_session_are_kept(table: Table) -> None:
    for start in range(0, 2 * CELLS, 500):
        told_cells(table, {number: f"cell-{number}" for number in range(start, start + 500)})
    assert len(table._cells[JOB]) == CELLS
    table.session_ended(JOB)
    assert JOB not in table._cells
