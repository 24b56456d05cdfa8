from __future__ import annotations

from contextlib import closing

import pytest

from benchmarks.bench import MoreEffort
from benchmarks.rows import more_limits
from nbactors.benchmark import limits
from nbactors.benchmark.exchange import Exchange
from nbactors.benchmark.limits import Limits

SHORT_S = 0.01
SMALL = MoreEffort(array_bytes=1 << 20)


@pytest.mark.parametrize("name", [limits.ONE_AT_A_TIME, limits.IN_FLIGHT, limits.FORK, *more_limits(SMALL)])
def test_every_limit_gives_a_figure(name: str) -> None:
    with closing(Limits(SHORT_S, more_limits(SMALL))) as measured:
        value = measured.measure(name)
        assert value is None or value > 0
        assert measured.medians() == ({} if value is None else {name: value})


def test_the_median_counts_all_measurements() -> None:
    with closing(Limits(SHORT_S)) as measured:
        values = [measured.measure(limits.FORK) for _ in range(3)]
        assert measured.medians() == {limits.FORK: sorted(value for value in values if value is not None)[1]}


def test_the_exchange_answers_more_than_one_burst() -> None:
    with closing(Exchange()) as exchange:
        assert exchange.rate(SHORT_S, 1) > 0
        assert exchange.rate(SHORT_S, 1000) > 0
        assert exchange.rate(SHORT_S, 1) > 0
