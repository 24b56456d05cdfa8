"""The metrics that the node keeps, as Prometheus reads them."""

from __future__ import annotations

import pytest
from node_scenario import Client, Scenario
from test_task_table import queued, row

from nbactors.local.node.rules.metrics import series
from nbactors.local.wire import messages


def counter(value: float, name: str = "calls", **tags: str) -> messages.MetricPoint:
    return messages.MetricPoint("counter", name, "Handled calls.", tags, value, [], [])


def gauge(value: float) -> messages.MetricPoint:
    return messages.MetricPoint("gauge", "level", "", {}, value, [], [])


def histogram(value: float, counts: list[int]) -> messages.MetricPoint:
    return messages.MetricPoint("histogram", "seconds", "", {}, value, counts, [0.5, 1.0])


def lines(client: Client, prefix: str) -> list[str]:
    return [line for line in client.ask("metrics").facts["metrics"].splitlines() if line.startswith(prefix)]


def test_counters_of_all_processes_are_added_up(node: Scenario) -> None:
    session = node.session()
    _, worker = session.create_alive()
    session.send(messages.Metrics([counter(2, kind="a"), counter(1, kind="b")]))
    worker.send(messages.Metrics([counter(3, kind="a")]))
    assert lines(session, "ray_calls") == ['ray_calls_total{kind="a"} 5', 'ray_calls_total{kind="b"} 1']
    assert "# TYPE ray_calls_total counter" in lines(session, "#")
    assert "# HELP ray_calls_total Handled calls." in lines(session, "#")


def test_buckets_of_a_histogram_are_cumulative(node: Scenario) -> None:
    session = node.session()
    for _ in range(2):
        session.send(messages.Metrics([histogram(1.5, [1, 0, 1])]))
    assert lines(session, "ray_seconds") == [
        'ray_seconds_bucket{le="0.5"} 2',
        'ray_seconds_bucket{le="1"} 2',
        'ray_seconds_bucket{le="+Inf"} 4',
        "ray_seconds_sum 3",
        "ray_seconds_count 4",
    ]


def test_a_gauge_has_one_value_per_process_and_goes_with_it(node: Scenario) -> None:
    session = node.session()
    _, worker = session.create_alive()
    session.send(messages.Metrics([gauge(1)]))
    worker.send(messages.Metrics([gauge(2)]))
    worker.send(messages.Metrics([gauge(3), counter(1)]))
    assert len(lines(session, "ray_level{")) == 2
    assert lines(session, f'ray_level{{WorkerId="{worker.process_id.hex()}"}}')[0].endswith(" 3")
    node.end_worker(worker)
    assert lines(session, "ray_level{") == [f'ray_level{{WorkerId="{session.process_id.hex()}"}} 1']
    assert lines(session, "ray_calls") == ["ray_calls_total 1"]


def test_special_characters_in_tags_are_escaped(node: Scenario) -> None:
    session = node.session()
    session.send(messages.Metrics([counter(1, **{"a-b": 'say "x"\n\\'})]))
    assert lines(session, "ray_calls") == ['ray_calls_total{a_b="say \\"x\\"\\n\\\\"} 1']


def test_a_name_that_stands_for_two_metrics_keeps_the_first(node: Scenario) -> None:
    session = node.session()
    session.send(messages.Metrics([counter(1), messages.MetricPoint("histogram", "calls", "", {}, 1, [1, 0], [1.0])]))
    assert lines(session, "ray_calls") == ["ray_calls_total 1"]


def test_the_number_of_values_is_bounded(node: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MAX_SERIES", 3)
    session = node.session()
    session.send(messages.Metrics([counter(1, kind=str(number)) for number in range(5)]))
    session.send(messages.Metrics([counter(1, kind="0")]))
    assert len(lines(session, "ray_calls")) == 3
    assert lines(session, 'ray_calls_total{kind="0"}') == ['ray_calls_total{kind="0"} 2']


def test_the_node_tells_what_it_knows_itself(node: Scenario) -> None:
    session = node.session()
    session.create_alive(resources={"CPU": 1.0})
    session.create(placement={"CPU": 5.0})
    assert set(lines(session, "nbactors_actors")) == {
        'nbactors_actors{State="ALIVE"} 1',
        'nbactors_actors{State="PENDING_CREATION"} 1',
    }
    assert lines(session, "nbactors_workers") == ["nbactors_workers 1"]
    sizes = {row.split()[0]: int(row.split()[1]) for row in lines(session, "nbactors_store")}
    assert sizes["nbactors_store_held_bytes"] == sizes["nbactors_store_spilled_bytes"] == 0
    assert sizes["nbactors_store_limit_bytes"] > 0
    assert lines(session, "nbactors_sessions") == ["nbactors_sessions 1"]
    assert lines(session, "nbactors_waiting") == ["nbactors_waiting_requests 1"]
    assert lines(session, 'nbactors_resources_available{Name="CPU"}') == ['nbactors_resources_available{Name="CPU"} 1']


def test_the_node_tells_which_calls_run_and_how_many_have_ended(node: Scenario) -> None:
    session = node.session()
    live, ended = [row(1), row(2), queued(3)], [row(4, "FINISHED", ended=5.0), row(5, "FAILED", ended=5.0)]
    session.send(messages.TaskReport(node.now, live, ended, {"f": 10}, []))
    session.send(messages.TaskReport(node.now, None, [row(5, "FAILED", ended=6.0)], {}, []))
    assert set(lines(session, "nbactors_calls")) == {
        'nbactors_calls{State="PENDING_ARGS_AVAIL"} 1',
        'nbactors_calls{State="RUNNING"} 2',
        'nbactors_calls_ended_total{End="FAILED"} 1',
        'nbactors_calls_ended_total{End="FINISHED"} 11',
    }
