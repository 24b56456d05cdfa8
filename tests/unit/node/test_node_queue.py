from __future__ import annotations

from nbactors.local.node.rules.gpus import GpuBank, SessionGpus
from nbactors.local.node.rules.queue import FIRST_RESERVATION_S, PATIENCE, PlacementQueue, Request
from nbactors.local.node.rules.resources import Allocation, Pool, to_units


class Line:
    """A queue in front of a pool with 2 CPUs and one x."""

    def __init__(self) -> None:
        self.pool = Pool({"CPU": 2, "x": 1}, SessionGpus(GpuBank(), {}))
        self.queue = PlacementQueue()
        self.granted: list[str] = []
        self.held: dict[str, Allocation] = {}

    def ask(self, label: str, placement: dict[str, float], resources: dict[str, float] | None = None) -> Request:
        def grant(allocation: Allocation) -> None:
            self.granted.append(label)
            self.held[label] = allocation

        held = placement if resources is None else resources
        request = Request(to_units(placement), to_units(held), grant, self.pool)
        self.queue.add(request)
        return request

    def pump(self, now: float = 0.0) -> float | None:
        return self.queue.pump(now)

    def release(self, label: str) -> None:
        self.pool.release(self.held.pop(label))


def test_equal_requests_are_served_in_order() -> None:
    line = Line()
    for label in "abcd":
        line.ask(label, {"CPU": 1})
    line.pump()
    assert line.granted == ["a", "b"]
    line.release("b")
    line.pump()
    assert line.granted == ["a", "b", "c"]


def test_a_request_that_does_not_fit_does_not_delay_requests_of_another_kind() -> None:
    line = Line()
    line.ask("big", {"CPU": 9})
    line.ask("small", {"CPU": 1})
    line.ask("other", {"x": 1})
    line.pump()
    assert line.granted == ["small", "other"]


def test_ten_requests_that_need_a_cpu_only_to_be_placed_share_one_cpu() -> None:
    line = Line()
    line.ask("holder", {"CPU": 1})
    for number in range(10):
        line.ask(str(number), {"CPU": 1}, {})
    line.pump()
    assert len(line.granted) == 11
    line.ask("second holder", {"CPU": 1})
    line.ask("none is free now", {"CPU": 1}, {})
    line.pump()
    assert line.granted[11:] == ["second holder"]


def test_a_withdrawn_request_is_skipped() -> None:
    line = Line()
    line.queue.withdraw(line.ask("a", {"CPU": 2}))
    line.ask("b", {"CPU": 2})
    line.pump()
    assert line.granted == ["b"]
    assert line.pump() is None
    assert not line.queue


def overtake(line: Line, times: int) -> None:
    """Grant one CPU again and again, while a request waits for both."""
    for number in range(times):
        line.ask(f"small {number}", {"CPU": 1})
        line.pump()
        line.release(f"small {number}")


def test_a_request_that_was_overtaken_often_is_granted_before_later_ones() -> None:
    line = Line()
    line.ask("held", {"CPU": 1})
    line.ask("big", {"CPU": 2})
    line.pump()
    overtake(line, PATIENCE)
    line.ask("late", {"CPU": 1})
    line.ask("elsewhere", {"x": 1})
    assert line.pump() == FIRST_RESERVATION_S
    assert "late" not in line.granted
    assert "elsewhere" in line.granted
    line.release("held")
    line.pump()
    assert line.granted[-1] == "big"


def test_a_reservation_ends_and_the_next_reservation_is_longer() -> None:
    line = Line()
    line.ask("held", {"CPU": 1})
    line.ask("big", {"CPU": 2})
    line.pump()
    overtake(line, PATIENCE)
    line.ask("late", {"CPU": 1})
    line.pump(FIRST_RESERVATION_S)
    assert line.granted[-1] == "late"
    line.release("late")
    start = 10.0
    for number in range(PATIENCE):
        line.ask(f"more {number}", {"CPU": 1})
        wake_at = line.pump(start)
        if f"more {number}" in line.held:
            line.release(f"more {number}")
    assert wake_at == start + 2 * FIRST_RESERVATION_S


def test_a_request_that_can_never_be_granted_reserves_nothing() -> None:
    line = Line()
    line.ask("impossible", {"CPU": 3})
    overtake(line, 3 * PATIENCE)
    assert len(line.granted) == 3 * PATIENCE
