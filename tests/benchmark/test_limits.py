from __future__ import annotations

from nbactors.benchmark import limits
from nbactors.benchmark.exchange import Exchange
from nbactors.benchmark.limits import Limits

SHORT_S = 0.01
SMALL = 1 << 20


def test_every_limit_gives_a_figure() -> None:
    with Limits(SHORT_S, SMALL) as measured:
        for name in limits.UNITS:
            value = measured.measure(name)
            assert value is None or value > 0, name
        assert set(measured.medians()) <= set(limits.UNITS)


def test_the_median_counts_all_measurements() -> None:
    with Limits(SHORT_S, SMALL) as measured:
        values = [measured.measure(limits.FORK) for _ in range(3)]
        assert measured.medians() == {limits.FORK: sorted(value for value in values if value is not None)[1]}


def test_the_exchange_answers_more_than_one_burst() -> None:
    with Exchange() as exchange:
        assert exchange.one_at_a_time(SHORT_S) > 0
        assert exchange.in_flight(SHORT_S) > 0
        assert exchange.one_at_a_time(SHORT_S) > 0
