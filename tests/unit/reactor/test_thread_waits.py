"""The wait of a thread that no signal reaches can be ended by another thread."""

from __future__ import annotations

import threading
from threading import get_ident

from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.thread_waits import ThreadWaits
from nbactors.local.reactor.waiter import Waiter
from nbactors.testing.polling import eventually

WITHIN_S = 10


class Waiting:
    """A thread that waits.

    Attributes:
        waiter: The waiter of the thread.
        outcome: The result of the wait, or the text of the error.
    """

    def __init__(self, reactor: Reactor) -> None:
        self.waiter = Waiter()
        self.outcome: object = None
        self._reactor = reactor
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.outcome = self._reactor.wait(self.waiter, WITHIN_S)
        except KeyboardInterrupt as error:
            self.outcome = str(error)

    def end(self) -> object:
        self.thread.join(WITHIN_S)
        return self.outcome


def test_a_waiting_leader_and_a_waiting_follower_are_interrupted(reactor: Reactor) -> None:
    leader = Waiting(reactor)
    eventually(lambda: leader.waiter.led is not None)
    follower = Waiting(reactor)
    eventually(lambda: follower.waiter.follows)
    for waiting in (follower, leader):
        assert reactor.thread_waits.interrupt(waiting.thread.ident or 0)
        assert waiting.end() == "the wait was interrupted"


def test_a_thread_without_a_wait_is_not_interrupted(reactor: Reactor) -> None:
    waiting = Waiting(reactor)
    eventually(lambda: waiting.waiter.ident)
    waiting.waiter.finish()
    assert waiting.end() is True
    assert not reactor.thread_waits.interrupt(waiting.thread.ident or 0)
    assert not reactor.thread_waits.interrupt(get_ident())


def test_the_next_wait_of_an_interrupted_thread_is_a_fresh_one(reactor: Reactor) -> None:
    outcomes: list[object] = []
    first, second = Waiter(), Waiter()

    def body() -> None:
        try:
            reactor.wait(first, WITHIN_S)
        except KeyboardInterrupt:
            outcomes.append("interrupted")
        outcomes.append(reactor.wait(second, WITHIN_S))

    thread = threading.Thread(target=body)
    thread.start()
    eventually(lambda: reactor.thread_waits.interrupt(thread.ident or 0))
    second.finish()
    thread.join(WITHIN_S)
    assert outcomes == ["interrupted", True]


def test_the_end_of_an_inner_wait_restores_the_outer_wait() -> None:
    waits, outer, inner = ThreadWaits(), Waiter(), Waiter()
    outer.ident = inner.ident = 7
    waits.begin(7, outer)
    assert waits.waiter_of(7) is outer
    waits.begin(7, inner)
    assert waits.interrupt(7)
    assert (inner.interrupted, outer.interrupted) == (True, False), "the innermost wait is the one that is ended"
    waits.end(7, outer)
    assert waits.waiter_of(7) is outer
    waits.end(7, None)
    assert waits.waiter_of(7) is None
    assert not waits.interrupt(7)


def test_a_finished_wait_is_not_interrupted_before_its_removal() -> None:
    """The thread clears the identifier before the thread reads `interrupted`."""
    waits, waiter = ThreadWaits(), Waiter()
    waits.begin(7, waiter)
    waiter.ident = 0
    assert not waits.interrupt(7)
    assert not waiter.interrupted
