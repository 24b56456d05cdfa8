"""What is taken out of a queue is done, whoever interrupts."""

from __future__ import annotations

from collections import deque

import pytest

from nbactors.local.client.taking import do_all


def test_all_is_done_in_order_also_what_comes_meanwhile() -> None:
    queue, done = deque([1, 2]), []

    def do(item: int) -> None:
        done.append(item)
        if item < 3:
            queue.append(item + 10)

    do_all(queue, do)
    assert done == [1, 2, 11, 12]


def test_whoever_interrupts_does_the_rest() -> None:
    queue, done = deque(["outer", "a", "b"]), []

    def do(item: str) -> None:
        if item == "outer":
            do_all(queue, do)
        done.append(item)

    do_all(queue, do)
    assert done == ["a", "b", "outer"]


@pytest.mark.parametrize("left", [0, 1])
def test_an_error_of_an_item_is_raised_though_it_looks_like_an_empty_queue(left: int) -> None:
    def do(item: int) -> None:
        raise IndexError(f"of item {item}")

    queue = deque(range(left + 1))
    with pytest.raises(IndexError, match="of item 0"):
        do_all(queue, do)
    assert len(queue) == left
