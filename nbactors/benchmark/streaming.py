"""How soon a generator's first item is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbactors.benchmark.measurement import Measurement

if TYPE_CHECKING:
    from nbactors.benchmark.bench import Bench

REPEATS = 200


def first_item(bench: Bench) -> Measurement:
    """Time the call of a generator method until its first item has been read, in milliseconds."""
    seconds: list[float] = bench.session().run("first_item", repeats=REPEATS)
    return Measurement.of([1000 * one for one in seconds])
