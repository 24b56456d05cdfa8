"""A handler or an exception that comes at any place while a broken socket is made anew: each call arrives once."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

import pytest
from interrupting import raising
from parties import Party
from places import Event, Injected
from stepped_reactor import SteppedReactor
from two_sides import call

from nbactors.local.reactor.waiter import Waiter

FEWEST = 100
"""Fewer places would mean that the event comes nowhere."""

TURNS = 12
PAUSE_S = 0.1
"""Longer than the pause between two attempts to make a socket."""


def in_timer(frame: FrameType | None) -> bool:
    """Return whether a timer of the stepped reactor runs, which does not run it again as the reactor does."""
    while frame is not None:
        if frame.f_code is SteppedReactor._run_due.__code__:
            return True
        frame = frame.f_back
    return False


def tell(reactor: SteppedReactor, number: int, act: Callable[[], None]) -> Event:
    """Tell of a socket that breaks, with an event at one place."""
    session, worker = Party(reactor), Party(reactor)
    session.others[worker.process_id] = worker
    session.to(worker).send(call(1))
    reactor.settle()
    session.cut(worker)
    session.to(worker).send(call(2))
    event = Event(number, act, leaves_out=in_timer)
    for _ in range(TURNS):
        try:
            with event.may_come():
                reactor.pass_time(PAUSE_S)
        except Injected:
            pass
    try:
        # A message is handled again where an exception has aborted its handling. One that has come again is another.
        arrived = {id(message): message.number for _, message in worker.arrived}
        assert sorted(arrived.values()) == [1, 2], f"at place {number}: {event.place}"
        assert session.closed == worker.closed == [], f"at place {number}: {event.place}"
    finally:
        session.close()
        worker.close()
    return event


def at_all_places(reactor: SteppedReactor, act: Callable[[], None]) -> int:
    """Tell of it with an event at one place after the other; return how many places there are."""
    number = 1
    while tell(reactor, number, act).place:
        number += 1
    return number - 1


# An exception that comes just when a socket was made leaves it to Python, which closes it and warns.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
def test_each_call_arrives_once_wherever_an_exception_comes(reactor: SteppedReactor) -> None:
    assert at_all_places(reactor, raising(Injected())) > FEWEST


def test_each_call_arrives_once_wherever_a_handler_waits(reactor: SteppedReactor) -> None:
    def wait() -> None:
        for _ in range(TURNS):
            reactor.wait(Waiter(), 0)

    assert at_all_places(reactor, wait) > FEWEST
