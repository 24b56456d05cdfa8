from __future__ import annotations

import pytest

from benchmarks.targets import Target
from nbactors.benchmark.rows import Measurement, Row

NONE = Measurement(note="not measured")
RATE = Row("rate", "rate", "/s", lambda bench: NONE)
COST = Row("cost", "cost", "s", lambda bench: NONE)


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target(), 1.0, None),
        (Target(at_most=2.0), 2.0, True),
        (Target(at_most=2.0), 2.1, False),
        (Target(at_least=2.0), 2.0, True),
        (Target(at_least=2.0), 1.9, False),
        (Target(limit_share=0.5), 5.0, True),
        (Target(limit_share=0.5), 4.9, False),
        (Target(ray_times=6), 12.0, True),
        (Target(ray_times=6), 11.9, False),
        (Target(limit_share=0.5, ray_times=6), 11.9, False),
        (Target(limit_share=1.3, ray_times=6), 12.0, False),
    ],
)
def test_a_target_is_met_when_all_its_bounds_hold(target: Target, value: float, met: bool | None) -> None:
    assert target.met(RATE, Measurement(value, limit=10.0), Measurement(2.0)) is met


def test_a_cost_is_better_the_less_it_is() -> None:
    target = Target(ray_times=10)
    assert target.met(COST, Measurement(0.2), Measurement(2.0)) is True
    assert target.met(COST, Measurement(0.3), Measurement(2.0)) is False
    assert target.met(COST, Measurement(20.0), Measurement(2.0)) is False


def test_a_cost_reaches_its_share_of_a_limit_that_is_less() -> None:
    target = Target(limit_share=0.5)
    assert target.met(COST, Measurement(2.0, limit=1.0), None) is True
    assert target.met(COST, Measurement(2.1, limit=1.0), None) is False


def test_a_target_without_its_measurement_is_not_judged() -> None:
    both = Target(limit_share=0.5, ray_times=6)
    assert both.met(RATE, NONE, Measurement(2.0)) is None
    assert both.met(RATE, Measurement(7.0, limit=10.0), None) is True
    assert both.met(RATE, Measurement(7.0, limit=10.0), NONE) is True
    assert both.met(RATE, Measurement(7.0), None) is None
