"""What metrics record, and how it is gathered for a report."""

from __future__ import annotations

import threading

import pytest

from nbactors.frontend.metric_points import COUNTER, GAUGE, HISTOGRAM, MANY, Definition, Point, Points


@pytest.fixture
def points() -> Points:
    return Points()


def counter(*tags: tuple[str, str]) -> Point:
    return Point(Definition(COUNTER, "calls", ""), tags)


def test_a_report_has_what_was_recorded_since_the_last_one(points: Points) -> None:
    one, other = counter(), counter(("kind", "other"))
    for point, value in ((one, 1.0), (other, 5.0), (one, 2.0)):
        points.record(point, value)
    assert [(report.tags, report.value) for report in points.take()] == [((), 3.0), ((("kind", "other"),), 5.0)]
    assert points.take() == []
    points.record(one, 4.0)
    assert [report.value for report in points.take()] == [4.0]


def test_a_gauge_has_its_last_value(points: Points) -> None:
    gauge = Point(Definition(GAUGE, "level", ""), ())
    points.record(gauge, 3.0)
    points.record(gauge, 0.0)
    assert [report.value for report in points.take()] == [0.0]


def test_a_histogram_counts_values_up_to_and_with_each_boundary(points: Points) -> None:
    histogram = Point(Definition(HISTOGRAM, "seconds", "", (1.0, 2.0)), ())
    for value in (0.5, 1.0, 1.5, 9.0):
        points.record(histogram, value)
    (report,) = points.take()
    assert (report.value, report.counts) == (12.0, [2, 1, 1])


def test_the_engine_is_told_once_per_report(points: Points) -> None:
    told: list[int] = []
    points.report_to(lambda: told.append(1))
    assert not told
    for _ in range(3):
        points.record(counter(), 1.0)
    assert len(told) == 1
    points.take()
    points.record(counter(), 1.0)
    assert len(told) == 2


def test_an_engine_that_starts_later_is_told_of_earlier_records(points: Points) -> None:
    told: list[int] = []
    points.record(counter(), 1.0)
    points.report_to(lambda: told.append(1))
    assert len(told) == 1


def test_many_records_take_little_memory(points: Points) -> None:
    point = counter()
    for _ in range(3 * MANY):
        points.record(point, 1.0)
    assert len(points._recorded) <= MANY
    assert [report.value for report in points.take()] == [3.0 * MANY]


def test_records_of_several_threads_are_all_counted(points: Points) -> None:
    point = counter()
    threads = [threading.Thread(target=lambda: [points.record(point, 1.0) for _ in range(MANY)]) for _ in range(4)]
    total = 0.0
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        total += sum(report.value for report in points.take())
    total += sum(report.value for report in points.take())
    assert total == 4.0 * MANY


def test_a_report_during_an_addition_comes_later(points: Points) -> None:
    told: list[int] = []
    points.report_to(lambda: told.append(1))
    points.record(counter(), 1.0)
    with points._lock:  # as a signal handler or another thread finds it
        assert points.take() == ()
    assert len(told) == 2
    assert [report.value for report in points.take()] == [1.0]


def test_a_forked_child_forgets_what_its_parent_reports(points: Points) -> None:
    point = counter()
    points.record(point, 1.0)
    points.forget()
    points.record(point, 2.0)
    assert [report.value for report in points.take()] == [2.0]
