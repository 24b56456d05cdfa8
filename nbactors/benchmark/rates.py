"""How many things a session does per second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.benchmark.measurement import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbactors.benchmark.bench import Bench


def rate(work: str, limit: str | None = None, **arguments: Any) -> Callable[[Bench], Measurement]:
    """Return what measures a piece of work of `workloads.py` that gives a rate, beside the machine's limit."""

    def measure(bench: Bench) -> Measurement:
        session = bench.session()
        session.run(work, seconds=0, **arguments)  # starts what the work needs
        values, limit_value = bench.between_limits(
            limit, lambda: session.run(work, seconds=bench.effort.seconds, **arguments), bench.effort.rounds
        )
        return Measurement.of(values, limit_value)

    return measure
