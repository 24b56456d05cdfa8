"""The rows of the table: each names a piece of work, and measures it."""

from __future__ import annotations

import statistics
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nbactors.benchmark import limits
from nbactors.benchmark.subject import WorkError
from nbactors.benchmark.workloads import QUIET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbactors.benchmark.bench import Bench


@dataclass(frozen=True)
class Measurement:
    """A figure of a row, or the reason for its absence."""

    value: float | None = None  # in the row's unit; None if it was not measured
    limit: float | None = None  # the machine's limit; None if the row has no limit or it was not measured
    low: float | None = None  # the least of the figures whose median is `value`; None if there was only one
    high: float | None = None  # the greatest of these figures
    note: str = ""  # additional information, or the reason why there is no value

    @classmethod
    def of(cls, values: Sequence[float], limit: float | None = None, note: str = "") -> Measurement:
        """Return a measurement of several figures, whose median is its value."""
        return cls(statistics.median(values), limit, min(values), max(values), note)


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        key: Name for programs.
        work: Name for people.
        unit: Unit of the figure and its limit: "s", "ms", "us", "B", "MB", "/s", "GB/s", "rounds/s" or "x".
        measure: The function that measures the row.
    """

    key: str
    work: str
    unit: str
    measure: Callable[[Bench], Measurement]

    def advantage(self, value: float | None, other: float | None) -> float | None:
        """Return how many times better a figure is than another; None if one is missing or not positive."""
        if value is None or other is None or value <= 0 or other <= 0:
            return None
        return other / value if self.less_is_better else value / other

    @property
    def less_is_better(self) -> bool:
        """Whether a smaller figure is a better one."""
        return self.unit in ("s", "ms", "us", "B", "MB")


def init_cold(bench: Bench) -> Measurement:
    """Time `init()` in new processes while no process of the runtime runs."""
    times = []
    for _ in range(bench.effort.starts):
        with closing(bench.another()) as fresh:
            fresh.session()
            times.append(fresh.init_s)
    return Measurement.of(times)


def actor_start(bench: Bench) -> Measurement:
    """Time the creation of an actor with its first call, several times in one session."""
    session = bench.session()
    first: float = session.run("actor_start")
    times, limit = bench.between_limits(limits.FORK, lambda: session.run("actor_start"), bench.effort.starts)
    return Measurement.of(times, limit, f"the session's first took {first:.3f} s")


def rate(of: str, limit: str | None = None, **arguments: Any) -> Callable[[Bench], Measurement]:
    """Return a function that measures the rate of the method `of` of `Workloads`, and the machine's limit `limit`."""

    def measure(bench: Bench) -> Measurement:
        session = bench.session()
        session.run("rate", of=of, seconds=0, **arguments)  # starts the actors or workers that the work needs
        seconds, rounds = bench.effort.seconds, bench.effort.rounds
        work = partial(session.run, "rate", of=of, seconds=seconds, **arguments)
        return Measurement.of(*bench.between_limits(limit, work, rounds))

    return measure


_ONE, _MANY = limits.ONE_AT_A_TIME, limits.IN_FLIGHT

ROWS = (
    Row("init_cold", "init() in a fresh process, nothing running", "s", init_cold),
    Row("actor_start", "actor created and first call answered", "s", actor_start),
    Row("calls_sequential", "1:1 calls, one at a time", "/s", rate("one_at_a_time", _ONE, kind="plain")),
    Row("calls_in_flight", "1:1 calls, 1,000 in flight", "/s", rate("in_flight", _MANY, kind="plain")),
    Row("tasks_in_flight", "tasks, 1,000 in flight", "/s", rate("in_flight", _MANY, kind="task")),
    Row("put_small", "small put", "/s", rate("put_small")),
    Row("get_small", "small get of a put object", "/s", rate("get_small")),
    Row("wait", "wait over 1,000 refs, one by one", "rounds/s", rate("wait_one_by_one")),
    Row("async_sequential", "async actor, one at a time", "/s", rate("one_at_a_time", _ONE, kind="async")),
    Row("async_in_flight", "async actor, 1,000 in flight", "/s", rate("in_flight", _MANY, kind="async")),
    Row("threads_in_flight", "actor of 16 threads, 1,000 in flight", "/s", rate("in_flight", _MANY, kind="threads")),
    Row("stream_small", "small items from a generator", "/s", rate("items", _MANY)),
    *(
        Row(f"{key}{QUIET}", f"{work}, without events", "/s", rate(of, kind=f"{kind}{QUIET}"))
        for key, work, of, kind in (
            ("calls_sequential", "1:1 calls, one at a time", "one_at_a_time", "plain"),
            ("calls_in_flight", "1:1 calls, 1,000 in flight", "in_flight", "plain"),
            ("tasks_in_flight", "tasks, 1,000 in flight", "in_flight", "task"),
            ("async_sequential", "async actor, one at a time", "one_at_a_time", "async"),
            ("async_in_flight", "async actor, 1,000 in flight", "in_flight", "async"),
            ("threads_in_flight", "actor of 16 threads, 1,000 in flight", "in_flight", "threads"),
        )
    ),
)


def chosen(rows: Sequence[Row], only: str) -> list[Row]:
    """Return the rows whose key or work contains `only`."""
    return [row for row in rows if only.lower() in f"{row.key} {row.work}".lower()]


def measured(bench: Bench, rows: Sequence[Row], tell: Callable[[str], None]) -> dict[str, Measurement]:
    """Measure rows; return a measurement for each row's key. `tell` gets a text before each row is measured."""
    found = {}
    for row in rows:
        tell(f"{bench.runtime.module}: {row.work}")
        try:
            found[row.key] = row.measure(bench)
        except WorkError as error:
            found[row.key] = Measurement(note=f"failed: {error}")
            bench.end_session()
    return found
