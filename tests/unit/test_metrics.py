"""Ray's metrics: arguments and errors are those of `ray.util.metrics` 2.60."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nbactors.frontend.metric_points import POINTS, Report
from nbactors.util.metrics import Counter, Gauge, Histogram, Metric, prometheus_text


@pytest.fixture(autouse=True)
def _nothing_recorded() -> Iterator[None]:
    POINTS.take()
    yield
    POINTS.take()


def recorded() -> list[tuple[str, dict[str, str], float]]:
    return [(report.definition.name, dict(report.tags), report.value) for report in POINTS.take()]


def test_all_metrics_have_a_base_class() -> None:
    assert all(issubclass(kind, Metric) for kind in (Counter, Gauge, Histogram))
    info = {"name": "calls", "description": "", "tag_keys": ("kind",), "default_tags": {}}
    assert Metric("calls", tag_keys=("kind",)).info == info


def test_a_counter_adds_up_by_tags() -> None:
    counter = Counter("calls", tag_keys=("kind",))
    for tags in ({"kind": "a"}, {"kind": "b"}, {"kind": "a"}):
        counter.inc(2, tags)
    assert recorded() == [("calls", {"kind": "a"}, 4.0), ("calls", {"kind": "b"}, 2.0)]


def test_default_tags_stand_in_for_those_that_are_not_given() -> None:
    counter = Counter("calls", tag_keys=("kind", "place"))
    assert counter.set_default_tags({"kind": "a", "place": "here"}) is counter
    counter.inc()
    counter.inc(tags={"kind": "b"})
    assert recorded() == [
        ("calls", {"kind": "a", "place": "here"}, 1.0),
        ("calls", {"kind": "b", "place": "here"}, 1.0),
    ]
    counter.set_default_tags({"kind": "c", "place": "there"})
    counter.inc()
    assert recorded() == [("calls", {"kind": "c", "place": "there"}, 1.0)]


def test_a_gauge_and_a_histogram_record() -> None:
    gauge, histogram = Gauge("level"), Histogram("seconds", boundaries=[0.1, 1.0])
    gauge.set(3)
    gauge.set(None)
    histogram.observe(0.5)
    assert recorded() == [("level", {}, 3), ("seconds", {}, 0.5)]


def test_all_kinds_have_rays_base_class() -> None:
    metrics: list[Metric] = [Counter("calls"), Gauge("level"), Histogram("seconds", boundaries=[1.0])]
    assert all(isinstance(metric, Metric) for metric in metrics)
    assert [metric.info["name"] for metric in metrics] == ["calls", "level", "seconds"]


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: Counter("a").inc(0), ValueError, "value must be >0, got 0"),
    (lambda: Counter("a").inc("1"), TypeError, "value must be int or float, got <class 'str'>"),  # type: ignore[arg-type]
    (lambda: Counter("a", tag_keys=("k",)).inc(), ValueError, r"Missing value for tag key\(s\): k\."),
    (lambda: Counter("a", tag_keys=("k",)).inc(1, {"k": 1}), TypeError, "Tag values must be str"),  # type: ignore[dict-item]
    (lambda: Counter("a").set_default_tags({"k": "1"}), ValueError, "Unrecognized tag key k."),
    (lambda: Counter("a", tag_keys="k"), TypeError, "tag_keys should be a tuple type"),  # type: ignore[arg-type]
    (lambda: Counter("a", tag_keys=(1,)), TypeError, "Tag keys must be str"),  # type: ignore[arg-type]
    (lambda: Counter(""), ValueError, "Empty name is not allowed"),
    (lambda: Gauge("a").set("1"), TypeError, "value must be int or float"),  # type: ignore[arg-type]
    (lambda: Histogram("a"), ValueError, "boundaries argument should be provided"),
    (lambda: Histogram("a", boundaries=[]), ValueError, "boundaries argument should be provided"),
    (lambda: Histogram("a", boundaries=[0, 1]), ValueError, "Invalid `boundaries` argument at index 0"),
]


@pytest.mark.parametrize(("use", "error", "text"), BAD)
def test_wrong_uses_are_refused_as_in_ray(use: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        use()
    assert recorded() == []


@pytest.mark.parametrize("name", ["a-b", "1a", "a b", "é"])
def test_a_metric_with_an_invalid_name_warns_and_records_nothing(name: str) -> None:
    with pytest.warns(UserWarning, match="Metric will be discarded") as warned:
        counter = Counter(name)
    assert warned[0].filename == __file__
    counter.inc()
    assert recorded() == []


def test_a_metric_can_be_sent_to_another_process() -> None:
    histogram = Histogram("seconds", "How long.", [0.1, 1.0], ("kind",)).set_default_tags({"kind": "a"})
    copy = pickle.loads(pickle.dumps(histogram))
    assert (
        copy.info
        == histogram.info
        == {
            "name": "seconds",
            "description": "How long.",
            "tag_keys": ("kind",),
            "default_tags": {"kind": "a"},
            "boundaries": [0.1, 1.0],
        }
    )
    copy.observe(0.5)
    (report,) = POINTS.take()
    assert isinstance(report, Report)
    assert report.counts == [0, 1, 0]


def test_without_a_node_there_is_no_text(own_directory: object) -> None:
    assert prometheus_text() == ""
