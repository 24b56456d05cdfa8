"""The rows of the benchmark: what is measured, how, and what it must reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbactors.benchmark import limits
from nbactors.benchmark.arrays import large_array
from nbactors.benchmark.fleet import chain, fleet
from nbactors.benchmark.footprint import idle_actor, without_actors
from nbactors.benchmark.rates import rate
from nbactors.benchmark.startup import actor_start, import_over_python, init_cold, init_warm
from nbactors.benchmark.streaming import first_item
from nbactors.benchmark.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbactors.benchmark.bench import Bench
    from nbactors.benchmark.measurement import Measurement


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        key: For programs.
        work: For people.
        unit: Of the figure, its limit and its target: "s", "ms", "MB", "/s", "GB/s", "rounds/s" or "x".
        target: What the figure must reach.
    """

    key: str
    work: str
    unit: str
    target: Target = field(default_factory=Target)

    @property
    def less_is_better(self) -> bool:
        """Whether the figure is a cost."""
        return self.unit in ("s", "ms", "MB")


@dataclass(frozen=True)
class Group:
    """Rows that are measured together; `measure` gives a measurement for each row's key."""

    rows: tuple[Row, ...]
    measure: Callable[[Bench], dict[str, Measurement]]


def _alone(row: Row, measure: Callable[[Bench], Measurement]) -> Group:
    return Group((row,), lambda bench: {row.key: measure(bench)})


def _rates() -> list[Group]:
    one, many = limits.ONE_AT_A_TIME, limits.IN_FLIGHT
    targets = {"one": Target(limit_share=0.55, ray_times=6), "many": Target(limit_share=0.35, ray_times=20)}
    return [
        _alone(
            Row("calls_sequential", "1:1 calls, one at a time", "/s", targets["one"]), rate("calls_one_at_a_time", one)
        ),
        _alone(
            Row("calls_in_flight", "1:1 calls, 1,000 in flight", "/s", targets["many"]), rate("calls_in_flight", many)
        ),
        _alone(Row("tasks_in_flight", "tasks, 1,000 in flight", "/s"), rate("tasks_in_flight", many)),
        _alone(Row("put_small", "small put", "/s", Target(at_least=200_000)), rate("put_small")),
        _alone(Row("get_small", "small get of a put object", "/s", Target(at_least=200_000)), rate("get_small")),
        _alone(
            Row("wait", "wait over 1,000 refs, one by one", "rounds/s", Target(at_least=50)), rate("wait_one_by_one")
        ),
    ]


def _concurrency() -> list[Group]:
    one, many = limits.ONE_AT_A_TIME, limits.IN_FLIGHT
    fifth, better = Target(limit_share=0.20), Target(ray_times=10)
    called = "calls_in_flight"
    return [
        _alone(
            Row("async_sequential", "async actor, one at a time", "/s", Target(limit_share=0.40)),
            rate("calls_one_at_a_time", one, kind="async"),
        ),
        _alone(Row("async_in_flight", "async actor, 1,000 in flight", "/s", fifth), rate(called, many, kind="async")),
        _alone(
            Row("threads_in_flight", "actor of 16 threads, 1,000 in flight", "/s", fifth),
            rate(called, many, kind="threads"),
        ),
        _alone(
            Row("group_of_threads", "concurrency group of 4 threads, 1,000 in flight", "/s", better),
            rate(called, many, kind="group of threads"),
        ),
        _alone(
            Row("group_on_a_loop", "concurrency group of an async actor, 1,000 in flight", "/s", better),
            rate(called, many, kind="group on a loop"),
        ),
        _alone(
            Row("n_to_n", "4 actors call 4 others, 1,000 in flight each", "/s", better),
            rate("calls_among_actors", many),
        ),
        _alone(
            Row("stream_small", "small items from a generator", "/s", Target(limit_share=0.15)),
            rate("items_streamed", many),
        ),
        _alone(Row("stream_first", "first item of a generator", "ms", better), first_item),
        _alone(Row("stream_large", "1 MiB items from a generator", "GB/s", better), rate("gigabytes_streamed")),
    ]


def groups(array_bytes: int, fleet_size: int) -> list[Group]:
    """Return all rows, in the table's order; those with many actors only if `fleet_size` is not 0."""
    array = f"{array_bytes / 1e6:,.0f} MB array"
    return [
        _alone(Row("init_cold", "init() in a fresh process, nothing running", "s", Target(at_most=0.30)), init_cold),
        _alone(Row("init_warm", "init() in a fresh process, node already up", "s", Target(at_most=0.05)), init_warm),
        _alone(Row("import", "import, over bare Python", "s", Target(at_most=0.08)), import_over_python),
        _alone(Row("actor_start", "actor created and first call answered", "s", Target(at_most=0.03)), actor_start),
        _alone(Row("memory", "memory of all that runs, no actor yet", "MB", Target(at_most=60)), without_actors),
        _alone(Row("actor_memory", "private memory (USS) of one idle actor", "MB", Target(at_most=8)), idle_actor),
        *_rates(),
        *_concurrency(),
        Group(
            (
                Row("put_array_first", f"put of an {array}, first", "GB/s", Target(at_least=1.3)),
                Row("put_array_later", f"put of an {array}, later", "GB/s", Target(limit_share=0.8)),
                Row("get_array", f"get of the {array} in another process", "ms", Target(at_most=1.0)),
            ),
            large_array,
        ),
        *(_fleet(fleet_size) if fleet_size else []),
    ]


def _fleet(size: int) -> list[Group]:
    created = Row("fleet", f"{size:,} live actors, created and called", "s", Target(at_most=20))
    calls = Row("fleet_calls", f"call rate among {size:,} actors / alone", "x", Target(at_least=0.8))
    waiting = Row("fleet_chain", f"chain of {size:,} async actors, each awaiting the next", "s", Target(ray_times=10))
    return [Group((created, calls), fleet), _alone(waiting, chain)]
