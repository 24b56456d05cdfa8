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
    """An event loop that never visits the reactor, since a coroutine blocks the loop.

    Attributes:
        idle: The answer of `is_idle`.
        asked: How often `is_idle` was called.
        nudges: How often `nudge` was called.
        leavings: How often `left` was called.
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
def test_the_guard_runs_actions_while_the_loop_is_blocked(reactor: Reactor, idle: bool) -> None:
    guard.host(reactor, Loop(idle))
    background.start(reactor)
    for _ in range(3):
        if idle:
            eventually(lambda: dozes(reactor))
        happened = threading.Event()
        reactor.discard(happened.set)
        assert happened.wait(WITHIN_S)


def test_a_dozing_guard_reads_arriving_bytes(reactor: Reactor) -> None:
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


def test_a_dozing_guard_runs_a_timer(reactor: Reactor) -> None:
    happened = threading.Event()
    guard.host(reactor, Loop(True))
    background.start(reactor)
    eventually(lambda: dozes(reactor))
    reactor.call_later(0.01, happened.set)
    assert happened.wait(WITHIN_S)


def test_closing_the_reactor_ends_a_dozing_guard(reactor: Reactor) -> None:
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
    """Run a guard on this thread; run one action of the script at each tick, and close the reactor at the end."""
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


def test_the_guard_asks_for_an_idle_loop_after_some_quiet_ticks(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(True)
    stand(reactor, loop, monkeypatch, [nothing] * QUIET_TICKS)
    assert loop.asked == 1


def test_the_guard_stays_awake_while_the_loop_leads_now_and_then(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(True)
    stand(reactor, loop, monkeypatch, [nothing, nothing, reactor.visit] * 3)
    assert loop.asked == 0


def test_each_tick_of_the_guard_runs_actions(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    stand(reactor, Loop(False), monkeypatch, [lambda: reactor.trash.append(lambda: done.append(1)), nothing])
    assert done == [1]


def test_the_loop_is_told_that_a_leader_has_left(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop(False)
    stand(reactor, loop, monkeypatch, [reactor.visit])
    assert loop.leavings >= 1


def test_the_guard_closes_its_descriptors_at_the_end(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stand(reactor, Loop(False), monkeypatch, [])
    assert not made._bell.is_open


def test_a_nudge_reaches_the_loop_and_a_dozing_guard(reactor: Reactor) -> None:
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
def test_the_guard_does_not_doze_over_waiting_work(reactor: Reactor, waits: str) -> None:
    """The nudge came before the guard was marked as dozing, so the bell was not rung."""

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
