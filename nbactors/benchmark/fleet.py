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
        note = f"not measured: Ray needs some {count * 0.05:.0f} GB of memory for it"
        return dict.fromkeys(("fleet", "fleet_calls"), Measurement(note=note))
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
