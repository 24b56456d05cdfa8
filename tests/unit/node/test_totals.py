"""The node's totals of each actor's calls: the same whether calls have rows, are tried again or were forgotten."""

from __future__ import annotations

import pytest
from test_task_table import CALLER, JOB, WORKER, Table, queued, row

from nbactors.local.node.rules.tracing import task_table, totals_table
from nbactors.local.wire import messages

ACTOR = b"a" * 16


@pytest.fixture
def table() -> Table:
    return Table()


def totals(table: Table, after: int = 0) -> list[tuple[int, int, int]]:
    found = table.totals.changed(after, table.sequence.last)
    return [(each.finished, each.failed, each.cancelled) for each in found]


def test_each_way_to_end_is_counted(table: Table) -> None:
    table.told(WORKER, 1.0, None, row(1, "FINISHED", ended=5.0), row(2, "FAILED", ended=5.0, error_type="X"))
    table.told(
        WORKER, 1.0, None, row(3, "FAILED", ended=5.0, error_type="TASK_CANCELLED"), row(4, "FINISHED", ended=5.0)
    )
    assert totals(table) == [(2, 1, 1)]


def test_calls_without_a_row_count_too(table: Table) -> None:
    failures = [messages.ActorTotals(ACTOR, 0, 7, 3), messages.ActorTotals(b"", 0, 5, 0)]
    before = table.sequence.last
    table.report(WORKER, JOB, messages.TaskReport(1.0, None, [], {"A.m": 1015}, [], 1000, failures), ACTOR)
    assert totals(table) == [(1000, 7, 3)]
    assert table.sequence.last > before, "a waiting reader is to be told"
    assert table.ended == {"FINISHED": 1000, "FAILED": 15}


def test_a_call_that_is_tried_again_counts_with_its_last_end(table: Table) -> None:
    table.told(WORKER, 1.0, [row(1)])
    table.process_gone(WORKER, 4.0)
    assert totals(table) == [(0, 1, 0)]
    known = table.sequence.last
    table.told(CALLER, 5.0, [queued(1)])
    assert totals(table, known) == [(0, 0, 0)]
    table.told(WORKER, 7.0, None, row(1, "FINISHED", arrived=6.0, started=6.0, ended=7.0))
    assert totals(table) == [(1, 0, 0)]


def test_constructions_and_tasks_have_no_totals(table: Table) -> None:
    table.told(WORKER, 1.0, None, row(1, "FINISHED", ended=5.0, kind="ACTOR_CREATION_TASK"))
    table.told(WORKER, 1.0, None, row(2, "FINISHED", ended=5.0, kind="NORMAL_TASK", actor_id=b""))
    assert totals(table) == []


def test_forgotten_calls_stay_counted(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_table, "KEEP", 3)
    table.told(WORKER, 1.0, None, *(row(number, "FINISHED", ended=5.0) for number in range(10)))
    assert (len(table), totals(table)) == (3, [(10, 0, 0)])


def test_a_reader_gets_only_the_totals_that_have_changed_and_their_number_is_bounded(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals_table, "KEEP", 2)
    table.told(WORKER, 1.0, None, *(row(each, "FINISHED", ended=5.0, actor_id=bytes([each]) * 16) for each in (1, 2)))
    known = table.sequence.last
    table.told(WORKER, 1.0, None, row(3, "FINISHED", ended=5.0, actor_id=b"\x01" * 16))
    assert totals(table, known) == [(2, 0, 0)]
    table.told(WORKER, 1.0, None, row(4, "FINISHED", ended=5.0, actor_id=b"\x03" * 16))
    assert totals(table) == [(1, 0, 0), (2, 0, 0)]
