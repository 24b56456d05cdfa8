"""The timers of a reactor, tested without a reactor."""

from __future__ import annotations

import math
from collections.abc import Callable

from nbactors.local.reactor.timers import FEW, NEVER, Timers


class Ran:
    """Notes which callbacks have run, and which have raised."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.complaints: list[object] = []
        self.timers = Timers(lambda error, callback: self.complaints.append(callback))

    def note(self, name: str) -> Callable[[], None]:
        return lambda: self.names.append(name)

    def add(self, delay: float, name: str) -> None:
        self.timers.add(delay, self.note(name))


def test_due_timers_run_in_order():
    ran = Ran()
    for delay, name in ((60, "later"), (-1, "second"), (-2, "first"), (-1, "third")):
        ran.add(delay, name)
    ran.timers.run()
    assert ran.names == ["first", "second", "third"]
    assert 50 < (ran.timers.next_s() or 0) <= 60


def test_without_a_timer_none_is_due():
    timers = Ran().timers
    assert timers.due == NEVER == math.inf
    assert timers.next_s() is None
    timers.run()


def test_an_overdue_timer_is_due_in_zero_seconds():
    ran = Ran()
    ran.add(-1, "overdue")
    assert ran.timers.next_s() == 0
    ran.timers.run()
    assert ran.timers.due == NEVER


def test_a_timer_added_by_a_callback_runs_the_next_time():
    ran = Ran()

    def again() -> None:
        ran.names.append("again")
        ran.timers.add(0, again)

    ran.timers.add(0, again)
    ran.timers.run()
    ran.timers.run()
    assert ran.names == ["again", "again"]


def test_a_callback_that_raises_does_not_keep_other_timers_from_running():
    ran = Ran()
    broken = lambda: 1 / 0  # noqa: E731 - compared by identity
    ran.timers.add(-2, broken)
    ran.add(-1, "other")
    ran.timers.run()
    assert ran.names == ["other"]
    assert ran.complaints == [broken]


def test_a_cancelled_timer_does_not_run():
    ran = Ran()
    timer = ran.timers.add(-1, ran.note("cancelled"))
    ran.add(-1, "other")
    timer.cancel()
    timer.cancel()
    ran.timers.run()
    assert ran.names == ["other"]


def test_most_cancelled_timers_are_removed_before_they_are_due():
    ran = Ran()
    ran.add(3600, "stays")
    for _ in range(10_000):
        ran.timers.add(3600, ran.note("cancelled")).cancel()
        if ran.timers.next_s() == 0:
            ran.timers.run()
    assert len(ran.timers) <= 2 * FEW + 2
    assert 3500 < (ran.timers.next_s() or 0) <= 3600


def test_removing_cancelled_timers_keeps_the_order_of_the_others():
    ran = Ran()
    timers = [ran.timers.add(number % 7 - 100, ran.note(str(number))) for number in range(300)]
    for number, timer in enumerate(timers):
        if number % 3:
            timer.cancel()
    ran.timers.run()
    assert ran.names == sorted(
        (str(number) for number in range(0, 300, 3)), key=lambda name: (int(name) % 7, int(name))
    )
