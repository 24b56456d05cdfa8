"""What a thousand actors that live at once cost."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from nbactors.benchmark.measurement import Measurement

if TYPE_CHECKING:
    from nbactors.benchmark.bench import Bench


def fleet(bench: Bench) -> dict[str, Measurement]:
    """Create many actors, call each, and compare the rate of calls to one actor before and after."""
    count, seconds = bench.effort.fleet, bench.effort.seconds
    if bench.runtime.module == "ray":
        return dict.fromkeys(("fleet", "fleet_calls"), _too_many(count))
    with bench.fresh() as place, place.process() as subject:
        subject.run("init")
        subject.run("calls_one_at_a_time", seconds=0)
        before = [subject.run("calls_one_at_a_time", seconds=seconds) for _ in range(bench.effort.rounds)]
        created: float = subject.run("fleet", count=count)
        after = [subject.run("calls_one_at_a_time", seconds=seconds) for _ in range(bench.effort.rounds)]
    rates = statistics.median(after), statistics.median(before)
    return {
        "fleet": Measurement(created, note=f"{count} actors, each called once"),
        "fleet_calls": Measurement(rates[0] / rates[1], note=f"{rates[0]:,.0f} /s after, {rates[1]:,.0f} /s before"),
    }


def chain(bench: Bench) -> Measurement:
    """Time a call through many async actors, each of which awaits the next one's answer before it gives its own."""
    count = bench.effort.fleet
    if bench.runtime.module == "ray":
        return _too_many(count)
    with bench.fresh() as place, place.process() as subject:
        subject.run("init")
        first, again = subject.run("chain", count=count)
    return Measurement(first, note=f"each link calls the next for the first time; again: {again:.3f} s")


def _too_many(count: int) -> Measurement:
    return Measurement(note=f"not measured: Ray needs some {count * 0.05:.0f} GB of memory for it")
