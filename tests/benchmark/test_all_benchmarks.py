"""The benchmarks beside the package: more rows, targets, Ray."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks import processor_time
from benchmarks.__main__ import main
from benchmarks.bench import MarkedBench, Measured, MoreEffort, RuntimeMissingError, own, ray
from benchmarks.report import Finding, record, render
from benchmarks.rows import all_rows
from benchmarks.targets import TARGETS
from nbactors.benchmark.limits import ONE_AT_A_TIME
from nbactors.benchmark.rows import Measurement, Row, chosen, measured

CALLS = Row("calls_sequential", "calls", "/s", lambda bench: Measurement())
START = Row("init_cold", "start", "s", lambda bench: Measurement())


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_every_row_is_measured_shown_and_written(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    result = invoke("--seconds", "0.02", "--starts", "1", "--array-mb", "2", "--json", str(file))
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    assert [row["key"] for row in found["rows"]] == [row.key for row in all_rows(MoreEffort())]
    for row in found["rows"]:
        assert row["work"] in result.output
        assert row["nbactors"] is not None, row
    assert {row["key"] for row in found["rows"] if row["limit"] is not None} >= {
        "calls_sequential",
        "calls_in_flight",
        "async_sequential",
        "async_in_flight",
        "threads_in_flight",
        "stream_small",
        "cpu_plain",
        "busy_sequential",
    }
    assert found["limits"]
    assert found["ray"] is None


@pytest.mark.slow
def test_the_processes_of_a_session_are_found_with_its_workers() -> None:
    with closing(MarkedBench(MoreEffort(), None, own())) as bench:
        worker = bench.session().run("idle_actor")
        found = [process.pid for process in bench.processes()]
    assert worker in found
    assert len(found) == len(set(found)) >= 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this platform pins no process to a core")
def test_a_failed_call_takes_more_processor_time_than_a_call() -> None:
    effort = MoreEffort(seconds=0.1, rounds=1)
    with closing(MarkedBench(effort, None, own())) as bench:
        call = processor_time.per_call("one_at_a_time", kind="plain")(bench).value
        failed = processor_time.per_call("failing")(bench).value
    assert call is not None
    assert failed is not None
    assert 1 < call < failed


def test_each_target_belongs_to_a_row() -> None:
    assert set(TARGETS) <= {row.key for row in all_rows(MoreEffort(fleet=50))}


def test_the_rows_with_many_actors_come_with_their_number() -> None:
    rows = {row.key: row for row in chosen(all_rows(MoreEffort(fleet=50)), "fleet")}
    assert list(rows) == ["fleet", "fleet_calls", "fleet_chain"]
    assert rows["fleet_chain"].work == "chain of 50 async actors, each awaiting the next"
    assert not chosen(all_rows(MoreEffort()), "fleet")


@pytest.mark.slow
def test_the_rows_with_many_actors_are_measured_with_few() -> None:
    effort = MoreEffort(seconds=0.02, rounds=1, fleet=10)
    rows = chosen(all_rows(effort), "fleet")
    with closing(MarkedBench(effort, None, own())) as bench:
        found = measured(bench, rows, lambda line: None)
    assert all(found[row.key].value is not None for row in rows), found


def test_the_table_shows_ray_target_and_verdict() -> None:
    mine = Measurement.of([5900.0, 6000.0, 6200.0], 8000.0, "mine")
    finding = Finding(CALLS, mine, Measurement(500.0, note="theirs"))
    assert (finding.times_ray, finding.met) == (12.0, True)
    lines = render([finding], {ONE_AT_A_TIME: 8000.0}, compared=True).splitlines()
    assert " ".join(lines[0].split()) == "work nbactors low to high limit of limit Ray x Ray target met"
    for cell in ("6,000/s", "0.75x", "500/s", "12.0x", ">= 0.55 of limit, >= 6x Ray, >= 0.77x Ray on Ray", "yes"):
        assert cell in lines[2]
    assert "  calls: mine" in lines
    assert "  calls, Ray: theirs" in lines


def test_the_table_shows_what_the_engine_on_ray_costs() -> None:
    cheap = Finding(CALLS, Measurement(6000.0), Measurement(500.0), Measurement(400.0, note="engine"))
    dear = Finding(CALLS, Measurement(6000.0), Measurement(500.0), Measurement(300.0))
    assert (cheap.share_on_ray, cheap.met) == (0.8, True)
    assert (dear.share_on_ray, dear.met) == (0.6, False)
    lines = render([cheap], {}, compared=True).splitlines()
    assert " ".join(lines[0].split()).endswith("Ray x Ray on Ray of Ray target met")
    assert "400/s" in lines[2]
    assert "0.80x" in lines[2]
    assert "  calls, on Ray: engine" in lines


def test_the_engine_on_ray_needs_a_comparison() -> None:
    result = invoke("--on-ray")
    assert result.exit_code == 2
    assert "add --compare ray" in result.output


def test_the_table_without_a_comparison_has_no_ray_in_it() -> None:
    text = render([Finding(START, Measurement(0.25), None)], {}, compared=False)
    assert "Ray" not in text
    assert "<= 0.3 s" in text


def test_the_record_is_json_and_has_every_figure() -> None:
    finding = Finding(CALLS, Measurement(4000.0, limit=8000.0), Measurement(500.0))
    mine, other = Measured(version="nbactors 1"), Measured("ray", version="ray 2")
    found = json.loads(json.dumps(record([finding], {ONE_AT_A_TIME: 8000.0}, mine, other, MoreEffort())))
    row = found["rows"][0]
    assert (row["nbactors"], row["limit"], row["ray"], row["met"]) == (4000.0, 8000.0, 500.0, False)
    assert row["target"] == {
        "at_most": None,
        "at_least": None,
        "limit_share": 0.55,
        "ray_times": 6,
        "share_on_ray": 1 / 1.3,
    }


def test_only_rows_that_exist_can_be_chosen() -> None:
    result = invoke("--only", "no such row")
    assert result.exit_code == 2
    assert "'no such row' matches no row" in result.output


def test_an_interpreter_for_ray_needs_a_comparison() -> None:
    result = invoke("--ray-python", sys.executable)
    assert result.exit_code == 2
    assert "add --compare ray" in result.output


def test_a_file_that_cannot_be_written_is_refused_before_measuring(tmp_path: Path) -> None:
    result = invoke("--json", str(tmp_path / "nowhere" / "figures.json"))
    assert result.exit_code == 2
    assert "no writable directory" in result.output


def test_an_interpreter_without_ray_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeMissingError, match="cannot be run"):
        ray(str(tmp_path / "python"))
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o700)
    with pytest.raises(RuntimeMissingError, match=r"cannot import ray .*No module named 'ray'"):
        ray(str(bare))
