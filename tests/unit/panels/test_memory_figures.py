"""The memory of many processes, read a few at a time."""

from __future__ import annotations

import os

from nbactors.jupyter.panels.memory_figures import AT_ONCE, FRESH_S, MemoryFigures


class Machine:
    """Processes whose memory a test sets."""

    def __init__(self, count: int) -> None:
        self.resident = dict.fromkeys(range(count), 1000)
        self.asked: list[int] = []
        self.now = 100.0
        self.figures = MemoryFigures(lambda pid: self.resident.get(pid, 0), self._own, lambda: self.now)

    def _own(self, pid: int) -> int:
        self.asked.append(pid)
        return self.resident[pid] // 2


def test_of_many_processes_a_part_is_read_in_each_round_until_all_are() -> None:
    machine = Machine(2 * AT_ONCE + 1)
    assert len(machine.figures.of(range(2 * AT_ONCE + 1))) == AT_ONCE
    machine.figures.of(range(2 * AT_ONCE + 1))
    assert machine.figures.of(range(2 * AT_ONCE + 1)) == dict.fromkeys(range(2 * AT_ONCE + 1), 500)


def test_a_fresh_figure_is_not_read_again() -> None:
    machine = Machine(1)
    machine.figures.of([0])
    machine.resident[0] = 9000
    assert machine.figures.of([0]) == {0: 500}
    machine.now += FRESH_S
    assert machine.figures.of([0]) == {0: 4500}


def test_the_own_memory_is_read_only_after_a_change_of_the_resident_memory() -> None:
    machine = Machine(1)
    for _ in range(3):
        machine.figures.of([0])
        machine.now += FRESH_S
    assert machine.asked == [0]


def test_a_process_that_has_ended_has_no_memory_and_is_forgotten() -> None:
    machine = Machine(2)
    machine.figures.of([0, 1])
    del machine.resident[0]
    machine.now += FRESH_S
    assert machine.figures.of([0, 1]) == {0: 0, 1: 500}
    assert machine.figures.of([1]) == {1: 500}


def test_the_own_memory_of_a_real_process_is_a_part_of_what_it_has() -> None:
    assert 1 << 20 < MemoryFigures().of([os.getpid()])[os.getpid()] < 1 << 34
    assert MemoryFigures().of([0x7FFFFFF]) == {0x7FFFFFF: 0}
