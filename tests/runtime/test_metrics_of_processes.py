"""Metrics of sessions, actors and tasks, in real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors as ray
from nbactors.testing.polling import eventually
from nbactors.util.metrics import Counter, Gauge, prometheus_text

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _session(own_directory: Path) -> Iterator[None]:
    ray.init(num_cpus=2)
    yield
    ray.shutdown()


def values(name: str) -> list[float]:
    return [float(line.split()[-1]) for line in prometheus_text().splitlines() if line.startswith(f"ray_{name}")]


@ray.remote
class Counting:
    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.gauge = Gauge("level")

    def count(self) -> None:
        self.counter.inc()
        self.gauge.set(7)

    def count_and_leave(self) -> None:
        self.counter.inc(100)
        ray.actor.exit_actor()


def test_what_the_session_records_is_in_its_own_text_at_once() -> None:
    counter = Counter("session_calls")
    counter.inc(2)
    assert values("session_calls") == [2]
    counter.inc(3)
    assert values("session_calls") == [5]


def test_actors_and_tasks_report_and_an_actor_that_ends_does_so_before() -> None:
    counter = Counter("shared_calls")

    @ray.remote
    def count() -> None:
        counter.inc(10)

    actor = Counting.remote(counter)
    ray.get([actor.count.remote(), count.remote()])
    eventually(lambda: values("shared_calls") == [11], 10, "the reports")
    eventually(lambda: values("level") == [7], 10, "the gauge")
    with pytest.raises(ray.exceptions.ActorDiedError, match="exit_actor"):
        ray.get(actor.count_and_leave.remote())
    eventually(lambda: values("shared_calls") == [111], 10, "the last report")
    eventually(lambda: values("level") == [], 10, "the end of the gauge")


def test_the_command_prints_the_same_text() -> None:
    Counter("told_calls").inc()
    assert values("told_calls") == [1]
    command = [sys.executable, "-m", "nbactors.cli", "metrics"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "ray_told_calls_total 1\n" in done.stdout
    assert "nbactors_sessions 1\n" in done.stdout
