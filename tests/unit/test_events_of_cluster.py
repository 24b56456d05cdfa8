"""What a worker of a cluster reports of its calls: batches, bounds, errors."""

from __future__ import annotations

import threading
from array import array
from typing import Any

import pytest

from nbactors.cluster.common.call_report import CallReport
from nbactors.cluster.host import events as module
from nbactors.cluster.host.call import Call
from nbactors.cluster.host.events import Events
from nbactors.exceptions import CallTimeoutError, TaskCancelledError

FACTS = {"actor_id": "ab", "class_name": "C", "node_id": "n", "worker_id": "w", "pid": 7}


class Sent:
    """Takes batches."""

    def __init__(self, **facts: Any) -> None:
        self.batches: list[tuple[str, dict[str, Any]]] = []
        self.has_one = threading.Event()
        self.events = Events(self.send, lambda: FACTS | facts)

    def send(self, hub: str, batch: dict[str, Any]) -> None:
        self.batches.append((hub, batch))
        self.has_one.set()

    def flush(self) -> list[CallReport]:
        """Send, and return what was reported of calls."""
        self.batches.clear()
        self.events.flush()
        return [CallReport(*told) for _, batch in self.batches for told in batch["calls"]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    made = Sent()
    monkeypatch.setattr(made.events, "_wake", lambda: None)  # the tests flush
    return made


def call(index: int, method: str = "f", hub: str = "hub", submitted: float = 5.0) -> Call:
    return Call(method, (), 3, hub, f"C.{method}", submitted, number=index.to_bytes(24, "little"))


def test_a_call_is_told_when_it_runs_and_when_it_has_ended(sent: Sent) -> None:
    sent.events.begin(call(1))
    (told,) = sent.flush()
    assert (told.name, told.function, told.kind, told.cell, told.submitted, told.ended) == (
        "C.f",
        "C.f",
        "ACTOR_TASK",
        3,
        5.0,
        0,
    )
    assert sent.flush() == []
    sent.events.end(call(1), None)
    sent.events.end(call(1), ValueError())
    (told,) = sent.flush()
    assert told.ended >= told.started > 0
    assert not told.error_type
    assert sent.batches[0][1]["totals"] == {"finished": 1}


def test_a_call_without_a_time_of_submission_is_not_told(sent: Sent) -> None:
    sent.events.begin(call(1, submitted=0.0))
    sent.events.end(call(1, submitted=0.0), None)
    assert sent.flush() == sent.batches == []


def test_short_calls_beyond_a_number_are_counted_and_failed_ones_told(sent: Sent) -> None:
    for index in range(module.MOST + 10):
        sent.events.begin(call(index))
        sent.events.end(call(index), None)
    sent.events.begin(call(1000))
    sent.events.end(call(1000), ValueError("why"))
    told = sent.flush()
    assert len(told) == module.MOST + 1
    assert (told[-1].error_type, told[-1].error) == ("TASK_EXECUTION_EXCEPTION", "why")
    assert sent.batches[0][1]["unlisted"] == {"C.f": 10}
    assert sent.batches[0][1]["totals"] == {"finished": module.MOST + 10, "failed": 1}


def test_a_call_that_was_told_to_run_is_told_to_end_beyond_any_number(sent: Sent) -> None:
    sent.events.begin(call(9999))
    sent.flush()
    for index in range(module.MOST + 10):
        sent.events.begin(call(index))
        sent.events.end(call(index), None)
    sent.events.end(call(9999), None)
    assert call(9999).number in [told.number for told in sent.flush()]


def test_running_calls_that_are_told_are_bounded(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LIVE", 2)
    for index in range(4):
        sent.events.begin(call(index))
    assert len(sent.flush()) == 2
    sent.events.end(call(0), None)
    assert [told.ended > 0 for told in sent.flush()] == [True, False]


def test_each_session_gets_its_own_calls(sent: Sent) -> None:
    for index, hub in enumerate("ab"):
        sent.events.begin(call(index, hub=hub))
    sent.flush()
    assert {hub: len(batch["calls"]) for hub, batch in sent.batches} == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TaskCancelledError("ab"), "TASK_CANCELLED"),
        (CallTimeoutError("ab", "running", 1.0), "TASK_EXECUTION_EXCEPTION"),
        (KeyError("k"), "TASK_EXECUTION_EXCEPTION"),
        (SystemExit(), ""),
    ],
)
def test_errors_have_the_kinds_of_listings(sent: Sent, error: BaseException, kind: str) -> None:
    sent.events.begin(call(1))
    sent.events.end(call(1), error)
    assert [told.error_type for told in sent.flush()] == [kind]


def test_the_text_of_an_error_is_bounded_and_may_fail(sent: Sent) -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    for index, error in enumerate((ValueError("x" * 10_000), Broken())):
        sent.events.begin(call(index))
        sent.events.end(call(index), error)
    assert [told.error for told in sent.flush()] == ["x" * module.MOST_TEXT, "Broken"]


@pytest.mark.parametrize(
    ("facts", "method", "kind", "function"),
    [
        ({"actor_id": ""}, "f", "NORMAL_TASK", "f"),
        ({}, "__init__", "ACTOR_CREATION_TASK", "C.__init__"),
    ],
)
def test_tasks_and_constructions_are_told_apart(facts: Any, method: str, kind: str, function: str) -> None:
    made = Sent(**facts)
    made.events.begin(call(1, method))
    (told,) = made.flush()
    assert (told.kind, told.function) == (kind, function)
    made.events.close(10)


def test_a_thread_sends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_S", 0.01)
    made = Sent()
    made.events.begin(call(1))
    assert made.has_one.wait(30)
    made.events.close(10)


def test_a_process_of_many_short_calls_gathers_for_longer(sent: Sent) -> None:
    pauses = []
    for count in (module.MOST, module.MOST + 1, 0, 1):
        for index in range(count):
            sent.events.begin(call(index))
            sent.events.end(call(index), None)
        sent.flush()
        pauses.append(sent.events._pause_s)
    for index in range(module.MOST + 1):
        sent.events.submitted(bytes([index]) * 28, 5.0, call(100))
    sent.flush()
    pauses.append(sent.events._pause_s)
    quick, slow = module.GATHER_S, module.BUSY_S
    assert pauses == [quick, slow, quick, quick, slow]


def test_calls_that_calls_make_are_told_by_their_caller(sent: Sent) -> None:
    for index in range(3):
        sent.events.submitted(bytes([index]) * 28, 5.0 + index, call(100))
    sent.events.submitted(b"x" * 28, 9.0, call(101))
    sent.events.submitted(b"y" * 28, 10.0, call(102, hub="other"))
    sent.events.submitted(b"z" * 28, 11.0, None)
    assert sent.flush() == []
    assert [(hub, batch["submitted"]) for hub, batch in sent.batches] == [
        (
            "hub",
            [
                (call(100).number, b"\0" * 8 + b"\1" * 8 + b"\2" * 8, array("d", [5.0, 6.0, 7.0]).tobytes()),
                (call(101).number, b"x" * 8, array("d", [9.0]).tobytes()),
            ],
        ),
        ("other", [(call(102).number, b"y" * 8, array("d", [10.0]).tobytes())]),
    ]
    assert sent.flush() == sent.batches == []
