"""The list of `wait` that remembers that it was checked."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from nbactors.engine.unready_list import UnreadyList


def put_slice(refs: list[int]) -> None:
    refs[1:] = [5]


def put_item(refs: list[int]) -> None:
    refs[0] = 2


def add(refs: list[int]) -> None:
    refs += [4]


def repeat(refs: list[int]) -> None:
    refs *= 2


GROWING = [lambda x: x.append(4), lambda x: x.extend([4]), lambda x: x.insert(0, 4), put_item, put_slice, add, repeat]
SHRINKING = [lambda x: x.pop(), lambda x: x.remove(2), lambda x: x.reverse(), lambda x: x.sort(), lambda x: x.clear()]


@pytest.mark.parametrize("change", GROWING)
def test_an_addition_sets_grown(change: Callable[[list[int]], None]) -> None:
    refs = UnreadyList([1, 2, 3])
    plain = [1, 2, 3]
    change(refs)
    change(plain)
    assert refs.grown
    assert refs == plain
    assert type(refs) is UnreadyList


@pytest.mark.parametrize("change", SHRINKING)
def test_a_removal_or_move_does_not_set_grown(change: Callable[[list[int]], None]) -> None:
    refs = UnreadyList([1, 2, 3])
    change(refs)
    assert not refs.grown


def test_slices_sums_and_pickles_are_plain_lists() -> None:
    refs = UnreadyList([1, 2, 3])
    assert type(refs[1:]) is list
    assert type(refs + refs) is list
    assert type(pickle.loads(pickle.dumps(refs))) is list


def test_every_method_that_adds_elements_is_overridden() -> None:
    taking_out = {"clear", "pop", "remove", "reverse", "sort", "__delitem__"}
    reading = {"copy", "count", "index"}
    plain = {name for name in vars(list) if not name.startswith("__")}
    changing = plain - taking_out - reading | {"__setitem__", "__iadd__", "__imul__"}
    assert changing <= set(vars(UnreadyList))
