"""Each action that is taken out of a queue is run, whatever interrupts the loop."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from types import FrameType

import pytest

from nbactors.local.reactor.action_queue import run_all


def raise_again(error: BaseException, action: Callable[[], None]) -> None:
    raise error


def test_actions_run_in_order_including_those_added_meanwhile() -> None:
    queue: deque[Callable[[], None]] = deque()
    done = []

    def run(item: int) -> None:
        done.append(item)
        if item < 3:
            queue.append(partial(run, item + 10))

    queue.extend([partial(run, 1), partial(run, 2)])
    run_all(queue, raise_again)
    assert done == [1, 2, 11, 12]


def test_a_handler_that_interrupts_the_queue_runs_the_remaining_actions() -> None:
    queue: deque[Callable[[], None]] = deque()
    done = []

    def outer() -> None:
        run_all(queue, raise_again)
        done.append("outer")

    queue.extend([outer, partial(done.append, "a"), partial(done.append, "b")])
    run_all(queue, raise_again)
    assert done == ["a", "b", "outer"]


@pytest.mark.parametrize("left", [0, 1])
def test_an_index_error_of_an_action_is_not_taken_for_an_empty_queue(left: int) -> None:
    def fails(item: int) -> None:
        raise IndexError(f"of item {item}")

    queue = deque([partial(fails, item) for item in range(left + 1)])
    with pytest.raises(IndexError, match="of item 0"):
        run_all(queue, raise_again)
    assert len(queue) == left


class Outside(BaseException):
    """An exception that a handler raises at the entry of a function."""


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_exception_at_the_entry_of_a_function_loses_no_action(number: int) -> None:
    done: list[str] = []
    entered = 0

    def first() -> None:
        done.append("first")

    def second() -> None:
        done.append("second")

    def blame(error: BaseException, action: Callable[[], None]) -> None:
        action()  # as `Blame` does
        raise error

    def trace(frame: FrameType, event: str, argument: object) -> None:
        nonlocal entered
        entered += 1
        if entered == number:
            raise Outside

    queue: deque[Callable[[], None]] = deque([first, second])
    before = sys.gettrace()
    try:
        sys.settrace(trace)
        run_all(queue, blame)
    except Outside:
        pass
    finally:
        sys.settrace(before)
    assert entered >= number
    run_all(queue, blame)
    assert done == ["first", "second"]
