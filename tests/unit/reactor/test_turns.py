"""Steps are run one at a time, and no thread waits for its turn."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.turns import Turns
from nbactors.local.reactor.waiter import Waiter

WITHIN_S = 10


def in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def test_a_step_is_left_to_the_thread_that_has_the_turn(reactor: Reactor) -> None:
    turns, done = Turns(reactor), []
    begun, goes_on = threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        assert goes_on.wait(WITHIN_S)
        done.append("long")

    thread = in_thread(lambda: turns.run(long))
    assert begun.wait(WITHIN_S)
    turns.run(lambda: done.append("left"))
    assert done == [], "the caller has not waited"
    goes_on.set()
    thread.join(WITHIN_S)
    assert done == ["long", "left"]
    assert not turns.owner


def test_a_handler_that_interrupts_a_step_runs_its_own_step_at_once(reactor: Reactor) -> None:
    turns, done = Turns(reactor), []

    def interrupted() -> None:
        turns.run(lambda: done.append("handler's"))
        done.append("interrupted")

    turns.run(interrupted)
    assert done == ["handler's", "interrupted"]


def test_a_wait_inside_a_step_runs_the_steps_left_by_other_threads(reactor: Reactor) -> None:
    """Otherwise a handler would wait for ever for the effect of a step that it keeps from running."""
    turns, waiter, outcome = Turns(reactor), Waiter(), []
    begun = threading.Event()

    def waits() -> None:
        begun.set()
        outcome.append(reactor.wait(waiter, WITHIN_S))

    thread = in_thread(lambda: turns.run(waits))
    assert begun.wait(WITHIN_S)
    turns.run(waiter.finish)
    thread.join(WITHIN_S)
    assert outcome == [True]


def test_an_asynchronous_exception_ends_the_turn_and_loses_no_step(reactor: Reactor) -> None:
    turns, done, errors = Turns(reactor), [], [ValueError("from outside")]

    def torn() -> None:
        if errors:
            raise errors.pop()
        done.append("torn")

    with pytest.raises(ValueError, match="from outside"):
        turns.run(torn)
    turns.run(lambda: done.append("next"))
    assert done == ["torn", "next"]
    assert not turns.owner
