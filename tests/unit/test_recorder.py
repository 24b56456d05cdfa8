"""What a process tells the node about its calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from members import Session, Worker, tied

from nbactors import exceptions
from nbactors.frontend import calling_cell
from nbactors.local.task_events import recorder as recording
from nbactors.local.task_events.recorder import Recorder
from nbactors.local.wire import messages
from nbactors.local.wire.framing import control_codec
from nbactors.options import CallOptions


class Reactor:
    """Keeps the timers, which the test runs."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Any]] = []

    def call_later(self, delay: float, callback: Any) -> None:
        self.timers.append((delay, callback))

    def run(self) -> None:
        timers, self.timers = self.timers, []
        for _, callback in timers:
            callback()


class Node:
    """Takes the reports."""

    def __init__(self) -> None:
        self.tag = b"1"
        self.reports: list[messages.TaskReport] = []

    def send_now(self, message: Any) -> None:
        self.reports.append(message)


def row(number: int = 1, state: str = "FINISHED") -> messages.TaskRow:
    return messages.TaskRow(
        number.to_bytes(24, "big"), state, "f", "f", "NORMAL_TASK", b"", b"", 0, "", 1.0, 2.0, 3.0, 4.0
    )


@pytest.fixture
def parts() -> tuple[Recorder, Reactor, Node]:
    reactor, node = Reactor(), Node()
    return Recorder(reactor, node), reactor, node  # type: ignore[arg-type]


def test_events_are_reported_together_once_in_a_while(parts: tuple[Recorder, Reactor, Node]) -> None:
    recorder, reactor, node = parts
    recorder.add(row(1))
    recorder.add(row(2))
    recorder.count("g")
    assert len(reactor.timers) == 1
    reactor.run()
    (report,) = node.reports
    assert ([len(report.ended), report.live], report.unlisted) == ([2, None], {"g": 1})
    assert not reactor.timers, "an idle process wakes up for nothing"


def test_the_end_of_a_call_that_readers_have_seen_is_told_soon_but_not_the_ends_of_many(
    parts: tuple[Recorder, Reactor, Node],
) -> None:
    recorder, reactor, _ = parts

    def delay_after(seconds: float) -> float:
        now = recording.monotonic()
        recorder.add(msgspec.structs.replace(row(), submitted=now - seconds, ended=now))
        ((delay, _),) = reactor.timers
        reactor.run()
        return delay

    assert delay_after(1.0) == recording.SOON_S
    assert delay_after(1.0) == recording.PACE_S


def test_the_end_of_a_short_call_keeps_the_pace(parts: tuple[Recorder, Reactor, Node]) -> None:
    recorder, reactor, _ = parts
    now = recording.monotonic()
    recorder.add(msgspec.structs.replace(row(), submitted=now - recording.YOUNG_S / 2, ended=now))
    assert [delay for delay, _ in reactor.timers] == [recording.PACE_S]


def test_live_calls_are_reported_while_they_live_and_only_when_they_change(
    parts: tuple[Recorder, Reactor, Node],
) -> None:
    recorder, reactor, node = parts
    live = [row(1, "RUNNING")]
    recorder.sources.append(lambda now: (list(live), set()))
    recorder.arm()
    reactor.run()
    reactor.run()
    assert [report.live for report in node.reports] == [live]
    live.clear()
    reactor.run()
    assert node.reports[-1].live == []
    assert not reactor.timers


def test_calls_that_do_not_change_are_looked_at_less_and_less_often(parts: tuple[Recorder, Reactor, Node]) -> None:
    recorder, reactor, node = parts
    recorder.sources.append(lambda now: ([row(1, "RUNNING")], set()))
    recorder.arm()
    delays = []
    for _ in range(7):
        delays += [delay for delay, _ in reactor.timers]
        reactor.run()
    assert delays == [recording.PACE_S, recording.PACE_S, 1.0, 2.0, 2.0, 2.0, 2.0]
    assert len(node.reports) == 1


def test_an_event_is_reported_soon_also_while_a_look_at_old_calls_is_due(
    parts: tuple[Recorder, Reactor, Node],
) -> None:
    recorder, reactor, node = parts
    recorder.sources.append(lambda now: ([row(1, "RUNNING")], set()))
    recorder.arm()
    for _ in range(4):
        reactor.run()
    recorder.add(row(2))
    assert [delay for delay, _ in reactor.timers] == [2.0, recording.PACE_S]
    reactor.run()  # the look leaves it to the report
    assert [[one.task_id for one in report.ended] for report in node.reports] == [[], [row(2).task_id]]
    assert [delay for delay, _ in reactor.timers] == [recording.QUIET_PACE_S]


def test_a_call_that_is_young_at_one_report_is_in_a_later_one(parts: tuple[Recorder, Reactor, Node]) -> None:
    recorder, reactor, node = parts
    answers = [([], {0}), ([row(1, "RUNNING")], set())]
    recorder.sources.append(lambda now: answers.pop(0))
    recorder.arm()
    reactor.run()
    assert node.reports == []
    reactor.run()
    assert [report.live for report in node.reports] == [[row(1, "RUNNING")]]


def test_the_next_node_is_told_of_the_live_calls(parts: tuple[Recorder, Reactor, Node]) -> None:
    recorder, reactor, node = parts
    recorder.sources.append(lambda now: ([row(1, "RUNNING")], set()))
    recorder.arm()
    reactor.run()
    node.tag = b"2"
    reactor.run()
    assert [report.live for report in node.reports] == [[row(1, "RUNNING")]] * 2


def test_only_a_bounded_number_of_calls_of_a_period_get_a_row(parts: tuple[Recorder, Reactor, Node]) -> None:
    recorder, _, _ = parts
    for number in range(recording.LISTED):
        assert recorder.has_room(recording.LISTED)
        recorder.add(row(number))
    assert not recorder.has_room(recording.LISTED)
    assert recorder.has_room(recording.LISTED_LONG), "long calls come before short ones"
    assert recorder.has_room(recording.MOST), "so do failed calls"


def test_thousands_of_long_errors_fit_into_frames(parts: tuple[Recorder, Reactor, Node]) -> None:
    recorder, reactor, node = parts
    for number in range(recording.MOST):
        failed = msgspec.structs.replace(row(number, "FAILED"), error="\U0001f4a5" * messages.MAX_ERROR_TEXT)
        recorder.add(failed)
    reactor.run()
    assert [report.live for report in node.reports[1:]] == [None] * (len(node.reports) - 1)
    assert [one.task_id for report in node.reports for one in report.ended] == [
        row(number).task_id for number in range(recording.MOST)
    ]
    for report in node.reports:
        assert control_codec().encode([report])


def test_a_busy_period_only_counts_calls_until_its_report(parts: tuple[Recorder, Reactor, Node]) -> None:
    recorder, reactor, node = parts
    for _ in range(recording.BUSY):
        assert recorder.count_fast is None
        recorder.count("f")
    count_fast = recorder.count_fast
    assert count_fast is not None
    count_fast("g")
    reactor.run()
    assert node.reports[-1].unlisted == {"f": recording.BUSY, "g": 1}
    assert recorder.count_fast is None
    count_fast("g")  # a thread that has read the attribute before the report
    recorder.count("f")
    reactor.run()
    assert node.reports[-1].unlisted == {"f": 1, "g": 1}


class Counter:
    def __init__(self, count: int = 0) -> None:
        self.count = count

    def add(self, more: int) -> int:
        self.count += more
        return self.count

    def fail(self) -> None:
        raise ValueError("no")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    member = Session(tmp_path)
    yield member
    member.leave()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    member = Worker(tmp_path)
    yield member
    member.leave()


def rows_of(member: Any) -> list[messages.TaskRow]:
    """Return the rows of the calls that have ended since the last report, the earliest first."""
    return member.recorder.ended


def test_a_worker_records_the_ends_of_calls(session: Session, worker: Worker) -> None:
    with tied(session, worker):
        counter = session.create(worker, Counter, 5)

        def work() -> None:
            assert session.get(session.call(counter, "add", 1)) == 6
            with pytest.raises(exceptions.RayTaskError, match="no"):
                session.get(session.call(counter, "fail"))
            session.get(session.call(counter, "add", 1))
            rows.extend(found for found in rows_of(worker) if found.kind == "ACTOR_TASK")

        rows: list[messages.TaskRow] = []
        worker.serve(work)
    assert [found.state for found in rows[:2]] == ["FINISHED", "FAILED"]
    added, failed = rows[:2]
    assert (added.function, added.actor_id) == ("Counter.add", counter.actor_id)
    assert added.submitted <= added.arrived <= added.started <= added.ended
    assert failed.error_type == "TASK_EXECUTION_EXCEPTION"
    assert "ValueError: no" in failed.error


def test_a_call_without_events_leaves_no_record(session: Session, worker: Worker) -> None:
    with tied(session, worker):
        counter = session.create(worker, Counter, 5)

        def work() -> None:
            quiet = CallOptions(enable_task_events=False)
            for _ in range(2):
                session.get(session.call(counter, "add", 1, options=quiet))
            assert [found for found in rows_of(worker) if found.kind == "ACTOR_TASK"] == []

        worker.serve(work)


def test_each_cell_is_told_once_to_each_node(
    parts: tuple[Recorder, Reactor, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, reactor, node = parts
    monkeypatch.setattr(calling_cell, "id_of", lambda number: {3: "cell-c"}.get(number, ""))
    in_cell = msgspec.structs.replace(row(), origin=(7 << 32) + 3)
    for _ in range(2):
        recorder.add(in_cell)
        recorder.add(row(2))
        reactor.run()
    assert [report.cells for report in node.reports] == [{in_cell.origin: "cell-c"}, {}]
    node.tag = b"2"
    recorder.add(in_cell)
    reactor.run()
    assert node.reports[-1].cells == {in_cell.origin: "cell-c"}


@pytest.mark.parametrize("functions", [1, 2, 20])
def test_the_calls_of_each_function_are_counted(parts: tuple[Recorder, Reactor, Node], functions: int) -> None:
    recorder, reactor, node = parts
    for number in range(functions):
        for _ in range(number + 1):
            recorder.count(f"f{number}")
    reactor.run()
    (report,) = node.reports
    assert report.unlisted == {f"f{number}": number + 1 for number in range(functions)}
    assert report.finished == sum(report.unlisted.values())


def test_failed_calls_without_a_row_are_counted_as_failed(parts: tuple[Recorder, Reactor, Node]) -> None:
    recorder, reactor, node = parts
    recorder.count("f")
    for kind in ("TASK_EXECUTION_EXCEPTION", "TASK_CANCELLED", "TASK_CANCELLED"):
        recorder.count_failure("g", b"a" * 16, kind)
    recorder.count_failure("h", b"", "WORKER_DIED")
    reactor.run()
    (report,) = node.reports
    assert (report.unlisted, report.finished) == ({"f": 1, "g": 3, "h": 1}, 1)
    assert [(each.actor_id, each.failed, each.cancelled) for each in report.failures] == [
        (b"a" * 16, 1, 2),
        (b"", 1, 0),
    ]
    reactor.run()
    recorder.count("f")
    reactor.run()
    assert node.reports[-1].failures == []
