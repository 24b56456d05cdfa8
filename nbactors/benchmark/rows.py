"""The rows of the table: what is measured, and how."""

from __future__ import annotations

import statistics
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nbactors.benchmark import limits
from nbactors.benchmark.subject import WorkError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbactors.benchmark.bench import Bench


@dataclass(frozen=True)
class Measurement:
    """A figure, or the reason why there is none."""

    value: float | None = None  # in the row's unit; None if it was not measured
    limit: float | None = None  # the machine's, measured in between; None if the row has none or it was not taken
    low: float | None = None  # the least figure that `value` is the median of; None if it was measured once
    high: float | None = None  # the greatest
    note: str = ""  # what else is worth knowing, or why there is no value

    @classmethod
    def of(cls, values: Sequence[float], limit: float | None = None, note: str = "") -> Measurement:
        """Return the median of several figures."""
        return cls(statistics.median(values), limit, min(values), max(values), note)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        key: For programs.
        work: For people.
        unit: Of the figure and its limit: "s", "ms", "MB", "/s", "GB/s", "rounds/s" or "x".
        measure: Measures it.
    """

    key: str
    work: str
    unit: str
    measure: Callable[[Bench], Measurement]

    def advantage(self, value: float | None, other: float | None) -> float | None:
        """Return how many times better a figure is than another; None if that cannot be said."""
        if value is None or other is None or value <= 0 or other <= 0:
            return None
        return other / value if self.less_is_better else value / other

    @property
    def less_is_better(self) -> bool:
        """Whether the figure is a cost."""
        return self.unit in ("s", "ms", "MB")


def init_cold(bench: Bench) -> Measurement:
    """Time `init()` in fresh processes where nothing of the runtime runs."""
    times = []
    for _ in range(bench.effort.starts):
        with closing(bench.another()) as fresh:
            fresh.session()
            times.append(fresh.init_s)
    return Measurement.of(times)


def actor_start(bench: Bench) -> Measurement:
    """Time the creation of an actor until its first call is answered, in one session."""
    session = bench.session()
    first: float = session.run("actor_start")
    times, limit = bench.between_limits(limits.FORK, lambda: session.run("actor_start"), bench.effort.starts)
    return Measurement.of(times, limit, f"the session's first took {first:.3f} s")


def rate(of: str, limit: str | None = None, **arguments: Any) -> Callable[[Bench], Measurement]:
    """Return what measures a piece of work that is a rate, beside the machine's limit."""

    def measure(bench: Bench) -> Measurement:
        session = bench.session()
        session.run("rate", of=of, seconds=0, **arguments)  # starts what the work needs
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
)


def chosen(rows: Sequence[Row], only: str) -> list[Row]:
    """Return the rows whose key or work contains `only`."""
    return [row for row in rows if only.lower() in f"{row.key} {row.work}".lower()]


def measured(bench: Bench, rows: Sequence[Row], tell: Callable[[str], None]) -> dict[str, Measurement]:
    """Measure rows; return a measurement for each row's key. `tell` gets a line on what is measured now."""
    found = {}
    for row in rows:
        tell(f"{bench.runtime.module}: {row.work}")
        try:
            found[row.key] = row.measure(bench)
        except WorkError as error:
            found[row.key] = Measurement(note=f"failed: {error}")
            bench.end_session()
    return found
