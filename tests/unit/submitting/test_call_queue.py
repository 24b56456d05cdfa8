"""The queue of calls: order, taking out of the middle, and what that costs."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from nbactors.local.submitting.call_queue import FEW, CallQueue


class Call:
    """Stands for a pending call, and counts how often one is compared with another."""

    compared = 0

    def __init__(self, number: int) -> None:
        self.number = number
        self.queue: Any = None

    def __eq__(self, other: object) -> bool:
        Call.compared += 1
        return self is other

    __hash__ = None  # type: ignore[assignment]


def filled(count: int) -> tuple[Any, list[Any]]:
    queue: Any = CallQueue()
    calls = [Call(number) for number in range(count)]
    for call in calls:
        queue.append(call)
    return queue, calls


def drain(queue: Any) -> list[int]:
    numbers = []
    while (call := queue.head()) is not None:
        numbers.append(call.number)
        queue.pop(call)
    return numbers


def test_calls_leave_in_order() -> None:
    queue, calls = filled(5)
    assert queue.take_out(calls[0])
    assert queue.take_out(calls[2])
    assert not queue.take_out(calls[2])
    assert len(queue) == 3
    assert [call.number for call in queue] == [1, 3, 4]
    assert drain(queue) == [1, 3, 4]
    assert len(queue) == 0


def test_a_call_that_was_sent_is_not_there() -> None:
    queue, calls = filled(2)
    queue.pop(queue.head())
    assert not queue.take_out(calls[0])
    assert drain(queue) == [1]


def test_one_that_comes_back_is_the_first() -> None:
    queue, calls = filled(3)
    queue.pop(queue.head())
    calls[0].queue = queue
    queue.calls.appendleft(calls[0])
    assert drain(queue) == [0, 1, 2]


@pytest.mark.parametrize("step", [1, -1], ids=["first ones first", "last ones first"])
def test_taking_out_looks_at_no_other_call(step: int) -> None:
    queue, calls = filled(1000)
    Call.compared = 0
    for call in calls[::step]:
        assert queue.take_out(call)
    assert Call.compared == 0
    assert drain(queue) == []


def test_what_was_taken_out_is_not_kept_behind_one_that_stays() -> None:
    queue, _ = filled(1)
    previous = None
    for number in range(1, 1000):
        call: Any = Call(number)
        queue.append(call)
        if previous is not None:
            queue.take_out(previous)
        previous = call
    assert len(queue.calls) <= 2 * FEW + 2
    assert drain(queue) == [0, 999]


@pytest.mark.parametrize("step", [1, -1], ids=["first ones first", "last ones first"])
def test_calls_that_were_all_taken_out_are_not_kept(step: int) -> None:
    queue, calls = filled(3)
    for call in calls[::step]:
        queue.take_out(call)
    assert not queue.calls
    assert len(queue) == 0


class Interrupted(deque[Any]):
    """Is changed while it is looked through, as by a handler."""

    change: Any = None

    def __iter__(self) -> Any:
        change, self.change = self.change, None
        calls = list(super().__iter__())
        if change is not None:
            change()
        return iter(calls)


def test_a_call_that_a_handler_adds_meanwhile_is_not_lost() -> None:
    queue, calls = filled(2 * FEW + 4)
    late: Any = Call(1000)
    queue.calls = Interrupted(queue.calls)
    queue.calls.change = lambda: queue.append(late)
    for call in calls[1:]:
        queue.take_out(call)
    assert drain(queue) == [0, 1000]
