"""The guard looks after a reactor that an event loop hosts: the loop may be blocked by user code at any time."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable, Iterator

import pytest

from nbactors.local.reactor import background, guard
from nbactors.local.reactor.guard import Guard
from nbactors.local.reactor.reactor import Reactor
from nbactors.testing.polling import eventually

WITHIN_S = 10
QUIET_TICKS = 3


class Loop:
    """An event loop that a coroutine blocks: it never visits.

    Attributes:
        idle: Whether it says that it is idle.
        asked: How often it was asked that.
        nudges: How often it was asked to visit.
        leavings: How often it was told that a leader has left.
    """

    def __init__(self, idle: bool) -> None:
        self.idle = idle
        self.asked = 0
        self.nudges = 0
        self.leavings = 0

    def nudge(self) -> None:
        self.nudges += 1

    def left(self) -> None:
        self.leavings += 1

    def is_idle(self) -> bool:
        self.asked += 1
        return self.idle


@pytest.fixture(autouse=True)
def _short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "TICK_S", 0.0002)
    monkeypatch.setattr(guard, "QUIET_TICKS", QUIET_TICKS)


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor("test-io")
    yield made
    made.closed = False
    made.close()


def dozes(reactor: Reactor) -> bool:
    assert isinstance(reactor.guard, Guard)
    return reactor.guard._dozing


# ---------------------------------------------------------------------------------------------- the thread by itself


@pytest.mark.parametrize("idle", [False, True], ids=["busy-loop", "idle-loop"])
def test_what_is_to_be_done_is_done_though_the_loop_never_visits(reactor: Reactor, idle: bool) -> None:
    guard.host(reactor, Loop(idle))
    background.start(reactor)
    for _ in range(3):
        if idle:
            eventually(lambda: dozes(reactor))
        happened = threading.Event()
        reactor.discard(happened.set)
        assert happened.wait(WITHIN_S)


def test_a_guard_that_dozes_reads_what_arrives(reactor: Reactor) -> None:
    reader, writer = os.pipe()
    arrived = threading.Event()

    def read(mask: int) -> None:
        os.read(reader, 10)
        arrived.set()

    reactor.register(reader, selectors.EVENT_READ, read)
    guard.host(reactor, Loop(True))
    background.start(reactor)
    eventually(lambda: dozes(reactor))
    os.write(writer, b"x")
    assert arrived.wait(WITHIN_S)
    reactor.unregister(reader)
    os.close(reader)
    os.close(writer)


def test_a_guard_that_dozes_wakes_for_a_timer(reactor: Reactor) -> None:
    happened = threading.Event()
    guard.host(reactor, Loop(True))
    background.start(reactor)
    eventually(lambda: dozes(reactor))
    reactor.call_later(0.01, happened.set)
    assert happened.wait(WITHIN_S)


def test_closing_wakes_a_guard_that_dozes(reactor: Reactor) -> None:
    guard.host(reactor, Loop(True))
    background.start(reactor)
    eventually(lambda: dozes(reactor))
    thread = reactor._thread
    assert thread is not None
    reactor.close()
    thread.join(WITHIN_S)
    assert not thread.is_alive()


# ----------------------------------------------------------------------------------------- tick by tick, on this thread


def stand(reactor: Reactor, loop: Loop, monkeypatch: pytest.MonkeyPatch, script: list[Callable[[], object]]) -> Guard:
    """Have a guard stand on this thread for as many ticks as the script has, and do what that says at each."""
    made = Guard(reactor, loop)
    reactor.guard = made
    steps = iter(script)

    def tick(seconds: float) -> None:
        step = next(steps, None)
        if step is None:
            reactor.closed = True
        else:
            step()

    monkeypatch.setattr(guard, "sleep", tick)
    made._doze = lambda: None  # type: ignore[method-assign]
    reactor._dispose = lambda: None  # type: ignore[method-assign]
    made.run()
    del reactor._dispose
    reactor.guard = None
    return made


def nothing() -> None:
    pass


def test_a_loop_is_asked_whether_it_is_idle_after_some_quiet_ticks(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(True)
    stand(reactor, loop, monkeypatch, [nothing] * QUIET_TICKS)
    assert loop.asked == 1


def test_while_the_loop_itself_leads_now_and_then_it_looks_in_at_each_tick(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(True)
    stand(reactor, loop, monkeypatch, [nothing, nothing, reactor.visit] * 3)
    assert loop.asked == 0


def test_each_tick_does_what_is_due(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    reactor.on_tick = lambda: done.append(0)
    stand(reactor, Loop(False), monkeypatch, [lambda: reactor.trash.append(lambda: done.append(1)), nothing])
    assert done[:3] == [0, 1, 0]


def test_the_loop_is_told_that_a_leader_has_left(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(False)
    stand(reactor, loop, monkeypatch, [reactor.visit])
    assert loop.leavings >= 1


def test_its_descriptors_are_closed_at_its_end(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stand(reactor, Loop(False), monkeypatch, [])
    assert not made._bell.is_open


def test_a_nudge_goes_to_the_loop_and_wakes_a_guard_that_dozes(reactor: Reactor) -> None:
    loop = Loop(True)
    made = Guard(reactor, loop)
    reactor.guard = made
    reactor.nudge()
    assert loop.nudges == 1
    made._dozing = True
    reactor.nudge()
    reactor.nudge()
    assert loop.nudges == 3
    assert not made._dozing
    made._selector.select(None)  # returns: the bell was rung
    close(made)


def close(made: Guard) -> None:
    made._selector.close()
    made._bell.close()


@pytest.mark.parametrize("waits", ["dirty", "trash"])
def test_what_came_before_it_dozes_is_seen(reactor: Reactor, waits: str) -> None:
    """It was nudged before it had said that it dozes, so the bell was not rung."""

    class Action:
        def serve(self) -> bool:
            return True

        def flush(self) -> None:
            pass

        def __call__(self) -> None:
            pass

    getattr(reactor, waits).append(Action())
    made = Guard(reactor, Loop(True))
    made._doze()  # returns at once
    assert not made._dozing
    close(made)
    getattr(reactor, waits).clear()
