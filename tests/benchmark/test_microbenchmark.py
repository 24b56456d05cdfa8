from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nbactors.benchmark import runtime
from nbactors.benchmark.bench import Effort
from nbactors.benchmark.subject import Subject, WorkError
from nbactors.benchmark.suite import chosen, run
from nbactors.cli.microbenchmark import microbenchmark

TINY = ["--seconds", "0.02", "--starts", "1", "--array-mb", "2"]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(microbenchmark, arguments)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_every_row_is_measured_shown_and_written(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    result = invoke(*TINY, "--json", str(file))
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    rows = [row for group in chosen(Effort(array_bytes=2_000_000), "") for row in group.rows]
    assert [row["key"] for row in found["rows"]] == [row.key for row in rows]
    for row in found["rows"]:
        assert row["work"] in result.output
        assert row["nbactors"] is not None, row
    assert not [row["key"] for row in found["rows"] if "fleet" in row["key"]]
    assert {row["key"] for row in found["rows"] if row["limit"] is not None} >= {
        "calls_sequential",
        "calls_in_flight",
        "async_sequential",
        "async_in_flight",
        "threads_in_flight",
        "stream_small",
    }
    assert found["limits"]
    assert found["ray"] is None


def test_the_rows_with_many_actors_come_with_their_number() -> None:
    rows = {row.key: row for group in chosen(Effort(fleet=50), "fleet") for row in group.rows}
    assert list(rows) == ["fleet", "fleet_calls", "fleet_chain"]
    assert rows["fleet_chain"].work == "chain of 50 async actors, each awaiting the next"


@pytest.mark.slow
def test_a_short_chain_of_actors_is_measured() -> None:
    effort = Effort(fleet=10)
    found = run(runtime.own(), None, effort, chosen(effort, "fleet_chain"), lambda line: None)
    assert [(finding.row.key, finding.mine.value is not None) for finding in found.rows] == [("fleet_chain", True)]


def test_only_rows_that_exist_can_be_chosen() -> None:
    result = invoke("--only", "no such row")
    assert result.exit_code == 2
    assert "'no such row' matches no row" in result.output
    assert "calls_in_flight: 1:1 calls, 1,000 in flight" in result.output


def test_an_interpreter_for_ray_is_for_a_comparison() -> None:
    result = invoke("--ray-python", sys.executable)
    assert result.exit_code == 2
    assert "add --compare ray" in result.output


def test_a_file_that_cannot_be_written_is_refused_before_measuring(tmp_path: Path) -> None:
    result = invoke("--json", str(tmp_path / "nowhere" / "figures.json"))
    assert result.exit_code == 2
    assert "no writable directory" in result.output


def test_an_interpreter_without_ray_is_refused(tmp_path: Path) -> None:
    with pytest.raises(runtime.RuntimeMissingError, match="cannot be run"):
        runtime.ray(str(tmp_path / "python"))
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o700)
    with pytest.raises(runtime.RuntimeMissingError, match=r"cannot import ray .*No module named 'ray'"):
        runtime.ray(str(bare))


def test_work_whose_process_ends_fails_with_what_it_wrote() -> None:
    with Subject(sys.executable, "no_such_runtime", os.environ) as subject:
        with pytest.raises(WorkError, match="No module named 'no_such_runtime'"):
            subject.run("init")
        with pytest.raises(WorkError, match="ended with status 1"):
            subject.run("init")


def test_work_that_raises_fails_with_its_traceback() -> None:
    with Subject(sys.executable, "json", os.environ) as subject, pytest.raises(WorkError, match="no attribute 'init'"):
        subject.run("init")
