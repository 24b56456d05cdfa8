"""Which units of an arena are in use: blocks do not overlap, free neighbours join, and few units are wasted."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbactors.local.store.page_map import PageMap

SMALLEST, LARGEST = 7, 256
"""Units of the values of 110 kB and 4 MiB, which share arenas."""

UNITS = 1 << 14


def test_a_block_is_taken_at_the_lowest_place_where_it_fits() -> None:
    pages = PageMap(10)
    assert [pages.take(3), pages.take(2), pages.take(4)] == [0, 3, 5]
    assert pages.take(2) == -1
    pages.give(3, 2)
    assert pages.take(1) == 3
    assert pages.take(2) == -1
    assert pages.take(1) == 4
    assert pages.used == 9


def test_free_neighbours_are_one_run() -> None:
    pages = PageMap(9)
    blocks = [pages.take(3) for _ in range(3)]
    assert pages.take(1) == -1
    for start in blocks:
        pages.give(start, 3)
    assert pages.take(9) == 0


def test_units_at_a_given_place_are_taken_only_if_all_are_free() -> None:
    pages = PageMap(6)
    pages.take(2)
    assert not pages.take_at(1, 2)
    assert pages.take_at(2, 2)
    assert pages.used == 4


def test_a_whole_arena_is_taken_only_if_it_is_free() -> None:
    pages = PageMap(6)
    start = pages.take(2)
    assert not pages.take_all()
    pages.give(start, 2)
    assert pages.take_all()
    assert not pages.take_all()
    assert pages.take(1) == -1


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 1 << 30)), max_size=200))
def test_blocks_do_not_overlap(steps: list[tuple[int, int]]) -> None:
    pages, blocks = PageMap(200), dict[int, int]()
    for size, choice in steps:
        start = pages.take(size)
        if start >= 0:
            blocks[start] = size
        if blocks and choice % 3 == 0:
            given = sorted(blocks)[choice % len(blocks)]
            pages.give(given, blocks.pop(given))
        taken = [unit for first, count in blocks.items() for unit in range(first, first + count)]
        assert len(taken) == len(set(taken)) == pages.used
        assert all(unit < 200 for unit in taken)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from(["any", "first in, first out", "halves"]))
def test_values_of_random_sizes_and_lives_waste_little(seed: int, order: str) -> None:
    """While a share of the arena is in use, a value that is not very large fits: the arena needs no second one.

    The memory of free units goes back to the system when it is needed, so what fragmentation costs is addresses.
    """
    draw = random.Random(seed)
    pages, blocks = PageMap(UNITS), list[tuple[int, int]]()
    used = 0
    for _ in range(2000):
        size = int(SMALLEST * (LARGEST / SMALLEST) ** draw.random())
        while used + size > UNITS * 0.6:
            index = {"any": draw.randrange(len(blocks)), "first in, first out": 0, "halves": -1}[order]
            if order == "halves":  # every second value goes: the worst for those that come next
                for start, count in blocks[::2]:
                    pages.give(start, count)
                    used -= count
                blocks = blocks[1::2]
                continue
            start, count = blocks.pop(index)
            pages.give(start, count)
            used -= count
        start = pages.take(size)
        assert start >= 0, f"{size} units do not fit while {used} of {UNITS} are in use"
        blocks.append((start, size))
        used += size


class Interrupted(bytes):
    """A map whose search is interrupted by a handler."""

    action: Callable[[], Any]

    def find(self, *args: Any) -> int:
        self.action()
        return super().find(*args)


@pytest.mark.parametrize("size", [2, 3])
def test_a_handler_that_interrupts_a_search_takes_other_units(size: int) -> None:
    pages, taken = PageMap(6), list[int]()
    pages.units = Interrupted(pages.units)
    pages.units.action = lambda: taken.append(_take_anew(pages, size))  # type: ignore[attr-defined]
    taken.append(pages.take(2))
    assert sorted(taken) == [0, size]
    assert pages.used == 2 + size


def _take_anew(pages: PageMap, size: int) -> int:
    pages.units = bytes(pages.units)
    return pages.take(size)
