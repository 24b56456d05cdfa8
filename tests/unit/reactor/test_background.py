"""The background thread reads while user code computes, and stays out of the way of threads that wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from nbactors.local.reactor import background, guard
from nbactors.local.reactor.background import Background
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.waiter import Waiter
from nbactors.testing.polling import eventually

WITHIN_S = 10
QUIET_TICKS = 3


@pytest.fixture(autouse=True)
def _short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (background, guard):
        monkeypatch.setattr(module, "TICK_S", 0.0002)
        monkeypatch.setattr(module, "QUIET_TICKS", QUIET_TICKS)


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    """A reactor whose background thread was not started."""
    made = Reactor("test-io")
    yield made
    if not made.closed:
        made.close()


class Park:
    """Stands for the lock on which the background thread sleeps between two ticks. Each sleep runs `tick`."""

    def __init__(self, tick: Callable[[], object]) -> None:
        self._tick = tick

    def acquire(self, timeout: float) -> bool:
        self._tick()
        return False

    def release(self) -> None:
        pass


def sleeps_as_leader(reactor: Reactor) -> bool:
    """Return whether the background thread leads, and sleeps in a poll."""
    return reactor._sleeping and reactor.leader is not None and not reactor.followers


class Standing:
    """A busy event loop that never visits the reactor, and notes each `is_idle`."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def nudge(self) -> None:
        pass

    def left(self) -> None:
        pass

    def is_idle(self) -> bool:
        self.asked.set()
        return False


# ---------------------------------------------------------------------------------------------- the thread by itself


def test_the_background_thread_leads_in_quiet_times_and_runs_new_actions(reactor: Reactor) -> None:
    background.start(reactor)
    for _ in range(3):
        eventually(lambda: sleeps_as_leader(reactor))
        happened = threading.Event()
        reactor.discard(happened.set)
        assert happened.wait(WITHIN_S)


def test_an_exception_of_user_code_does_not_end_the_thread(reactor: Reactor, capfd: pytest.CaptureFixture[str]) -> None:
    errors: list[BaseException] = [SystemExit("from a tick"), KeyboardInterrupt("from a tick"), ValueError("as well")]

    def tick() -> None:
        if errors:
            raise errors.pop()

    reactor.park = Park(tick)  # type: ignore[assignment]
    background.start(reactor)
    happened = threading.Event()
    reactor.discard(happened.set)
    assert happened.wait(WITHIN_S)
    told = capfd.readouterr().err
    assert told.count("from a tick") == 2
    assert "as well" in told


def test_an_exception_in_the_poll_passes_the_lead_to_a_waiting_thread(
    reactor: Reactor, capfd: pytest.CaptureFixture[str]
) -> None:
    waiter = Waiter()
    thread = threading.Thread(target=reactor.wait, args=(waiter, WITHIN_S))
    poll = reactor.poll

    def torn(timeout: float | None, *args: Waiter) -> None:
        if timeout == 0:
            poll(timeout, *args)
            return
        reactor.poll = poll  # type: ignore[method-assign]
        thread.start()
        eventually(lambda: waiter.follows)
        raise KeyboardInterrupt("from outside")

    reactor.poll = torn  # type: ignore[method-assign]
    background.start(reactor)
    eventually(lambda: waiter.led is not None)
    waiter.finish()
    thread.join(WITHIN_S)
    assert not thread.is_alive()
    assert "from outside" in capfd.readouterr().err


def test_the_background_thread_passes_the_lead_to_a_waiting_thread(reactor: Reactor) -> None:
    background.start(reactor)
    eventually(lambda: sleeps_as_leader(reactor))
    waiter = Waiter()
    thread = threading.Thread(target=reactor.wait, args=(waiter, WITHIN_S))
    thread.start()
    eventually(lambda: waiter.follows)
    reactor.discard(lambda: None)
    eventually(lambda: waiter.led is not None)
    waiter.finish()
    thread.join(WITHIN_S)


def test_the_background_thread_sleeps_while_another_thread_leads(reactor: Reactor) -> None:
    waiter = Waiter()
    thread = threading.Thread(target=reactor.wait, args=(waiter, WITHIN_S))
    thread.start()
    eventually(lambda: waiter.led is not None)
    background.start(reactor)
    eventually(lambda: reactor.parked)
    waiter.finish()
    thread.join(WITHIN_S)
    eventually(lambda: sleeps_as_leader(reactor))
    assert not reactor.parked


def test_the_background_thread_notices_a_lost_leader(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception may end the leader before the leader wakes another thread."""
    monkeypatch.setattr(background, "CHECK_S", 0.001)
    reactor.leader = Waiter()
    background.start(reactor)
    eventually(lambda: reactor.parked)
    reactor.leader = None
    eventually(lambda: sleeps_as_leader(reactor))


def test_the_background_thread_becomes_the_guard_of_a_hosted_reactor(reactor: Reactor) -> None:
    background.start(reactor)
    eventually(lambda: sleeps_as_leader(reactor))
    host = Standing()
    guard.host(reactor, host)
    assert host.asked.wait(WITHIN_S)


def test_an_exception_of_the_host_does_not_end_the_guard(reactor: Reactor, capfd: pytest.CaptureFixture[str]) -> None:
    errors = [ValueError("from the loop")]

    class Failing(Standing):
        def is_idle(self) -> bool:
            if errors:
                raise errors.pop()
            return super().is_idle()

    host = Failing()
    guard.host(reactor, host)
    background.start(reactor)
    assert host.asked.wait(WITHIN_S)
    assert "from the loop" in capfd.readouterr().err


def lead(reactor: Reactor) -> None:
    eventually(lambda: sleeps_as_leader(reactor))


def park(reactor: Reactor) -> None:
    eventually(lambda: sleeps_as_leader(reactor))
    waiter = Waiter()
    threading.Thread(target=reactor.wait, args=(waiter, WITHIN_S)).start()
    eventually(lambda: waiter.follows)
    reactor.discard(lambda: None)
    eventually(lambda: reactor.parked)


def stand_guard(reactor: Reactor) -> None:
    host = Standing()
    guard.host(reactor, host)
    assert host.asked.wait(WITHIN_S)


@pytest.mark.parametrize("state", [lead, park, stand_guard])
def test_closing_the_reactor_ends_the_background_thread(reactor: Reactor, state: Callable[[Reactor], None]) -> None:
    background.start(reactor)
    state(reactor)
    thread = reactor._thread
    assert thread is not None
    reactor.close()
    thread.join(WITHIN_S)
    assert not thread.is_alive()


# ----------------------------------------------------------------------------------------- tick by tick, on this thread


def ticks_until_it_leads(reactor: Reactor, script: dict[int, Callable[[], object]], most: int = 50) -> int:
    """Run the ticks on this thread; run the script's action at each tick.

    Returns:
        The tick after which the background thread leads; `most` if the thread never leads.
    """
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        script.get(ticks, lambda: None)()
        if ticks == most:
            reactor.closed = True

    reactor.park = Park(tick)  # type: ignore[assignment]
    me = Background(reactor)
    if not me._tick_until_quiet():
        assert reactor.leader is not me._me
        reactor.closed = False
        return most
    assert reactor.leader is me._me
    reactor.leader = None
    return ticks


def test_the_background_thread_leads_after_some_quiet_ticks(reactor: Reactor) -> None:
    assert ticks_until_it_leads(reactor, {}) == QUIET_TICKS + 1


@pytest.mark.parametrize(("stints", "ticks"), [(0, 4), (1, 5), (6, 10), (7, 10), (1000, 10)])
def test_while_another_thread_leads_fewer_quiet_ticks_suffice_where_threads_have_seldom_led(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch, stints: int, ticks: int
) -> None:
    monkeypatch.setattr(guard, "QUIET_TICKS", 10)
    reactor.stints, reactor.leader = stints, Waiter()
    passed: list[None] = []
    reactor.park = Park(lambda: passed.append(None))  # type: ignore[assignment]
    me = Background(reactor)
    monkeypatch.setattr(me, "_sleep_while_led", lambda: setattr(reactor, "closed", True))
    assert not me._tick_until_quiet()
    assert len(passed) == ticks + 1
    reactor.closed, reactor.leader = False, None


def test_the_checks_whether_there_is_still_a_leader_become_rare(reactor: Reactor) -> None:
    pauses: list[float] = []

    class Parked(Park):
        def acquire(self, timeout: float) -> bool:
            pauses.append(timeout)
            if len(pauses) == 8:
                reactor.leader = None
            return False

    reactor.park = Parked(lambda: None)  # type: ignore[assignment]
    reactor.leader = Waiter()
    Background(reactor)._sleep_while_led()
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 1.6, 1.6, 1.6])
    assert not reactor.parked


def test_output_and_waits_keep_the_background_thread_ticking(reactor: Reactor) -> None:
    """Each of these would have to interrupt a blocked poll."""

    class Output:
        def serve(self) -> bool:
            return True

        def flush(self) -> None:
            pass

    script: dict[int, Callable[[], object]] = {
        2: lambda: reactor.dirty.append(Output()),
        4: lambda: reactor.wait(Waiter(), 0),
    }
    assert ticks_until_it_leads(reactor, script) == 4 + QUIET_TICKS + 1


def test_a_tick_runs_new_actions(reactor: Reactor) -> None:
    done: list[int] = []
    ticks_until_it_leads(reactor, {1: lambda: reactor.discard(lambda: done.append(1))})
    assert done == [1]


def test_the_background_thread_does_not_lead_a_hosted_reactor(reactor: Reactor) -> None:
    ticks: list[None] = []

    def tick() -> None:
        ticks.append(None)
        if len(ticks) == 2:
            guard.host(reactor, Standing())

    reactor.park = Park(tick)  # type: ignore[assignment]
    me = Background(reactor)
    assert not me._tick_until_quiet()
    assert len(ticks) == 2
    assert reactor.leader is None
    reactor.closed = True
    assert reactor.guard is not None
    reactor.guard.run()  # closes its descriptors
    reactor.closed = False


def test_each_tick_frees_the_lead(reactor: Reactor) -> None:
    leaders: list[Waiter | None] = []
    ticks_until_it_leads(reactor, dict.fromkeys(range(1, 4), lambda: leaders.append(reactor.leader)))
    assert leaders == [None] * 3
