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
    """A reactor without a background thread yet."""
    made = Reactor("test-io")
    yield made
    if not made.closed:
        made.close()


def sleeps_as_leader(reactor: Reactor) -> bool:
    """Return whether the background thread leads, and sleeps until something happens."""
    return reactor._sleeping and reactor.leader is not None and not reactor.followers


class Standing:
    """An event loop that never visits; notes that it was asked whether it is idle."""

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


def test_when_nothing_happens_it_leads_and_is_woken_by_what_does(reactor: Reactor) -> None:
    background.start(reactor)
    for _ in range(3):
        eventually(lambda: sleeps_as_leader(reactor))
        happened = threading.Event()
        reactor.discard(happened.set)
        assert happened.wait(WITHIN_S)


def test_an_exception_that_user_code_raises_on_it_does_not_end_it(
    reactor: Reactor, capfd: pytest.CaptureFixture[str]
) -> None:
    errors: list[BaseException] = [SystemExit("from a tick"), KeyboardInterrupt("from a tick"), ValueError("as well")]

    def tick() -> None:
        if errors:
            raise errors.pop()

    reactor.on_tick = tick
    background.start(reactor)
    happened = threading.Event()
    reactor.discard(happened.set)
    assert happened.wait(WITHIN_S)
    told = capfd.readouterr().err
    assert told.count("from a tick") == 2
    assert "as well" in told


def test_an_exception_while_it_leads_leaves_the_place_to_a_thread_that_waits(
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


def test_it_gives_the_place_to_a_thread_that_has_begun_to_wait(reactor: Reactor) -> None:
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


def test_it_sleeps_while_another_thread_leads_and_looks_in_when_that_leaves(reactor: Reactor) -> None:
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


def test_it_looks_by_itself_whether_the_leader_is_still_there(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception may tear the leader away before it wakes anybody."""
    monkeypatch.setattr(background, "CHECK_S", 0.001)
    reactor.leader = Waiter()
    background.start(reactor)
    eventually(lambda: reactor.parked)
    reactor.leader = None
    eventually(lambda: sleeps_as_leader(reactor))


def test_it_stands_guard_once_an_event_loop_hosts_the_reactor(reactor: Reactor) -> None:
    background.start(reactor)
    eventually(lambda: sleeps_as_leader(reactor))
    host = Standing()
    guard.host(reactor, host)
    assert host.asked.wait(WITHIN_S)


def test_an_exception_while_it_stands_guard_does_not_end_the_guard(
    reactor: Reactor, capfd: pytest.CaptureFixture[str]
) -> None:
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
def test_closing_ends_it_whatever_it_does(reactor: Reactor, state: Callable[[Reactor], None]) -> None:
    background.start(reactor)
    state(reactor)
    thread = reactor._thread
    assert thread is not None
    reactor.close()
    thread.join(WITHIN_S)
    assert not thread.is_alive()


# ----------------------------------------------------------------------------------------- tick by tick, on this thread


def ticks_until_it_leads(reactor: Reactor, script: dict[int, Callable[[], object]], most: int = 50) -> int:
    """Run the ticks on this thread; do what the script says at each of them.

    Returns:
        The tick after which it leads; `most` if it never does.
    """
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        script.get(ticks, lambda: None)()
        if ticks == most:
            reactor.closed = True

    reactor.on_tick = tick
    me = Background(reactor)
    if not me._tick_until_quiet():
        assert reactor.leader is not me._me
        reactor.closed = False
        return most
    assert reactor.leader is me._me
    reactor.leader = None
    return ticks


def test_it_leads_after_some_ticks_without_anything_to_do(reactor: Reactor) -> None:
    assert ticks_until_it_leads(reactor, {}) == QUIET_TICKS + 1


def test_output_and_waits_of_other_threads_keep_it_ticking(reactor: Reactor) -> None:
    """A blocked poll would have to be interrupted for each of them."""

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


def test_what_a_tick_finds_to_do_is_done(reactor: Reactor) -> None:
    done: list[int] = []
    ticks_until_it_leads(reactor, {1: lambda: reactor.discard(lambda: done.append(1))})
    assert done == [1]


def test_it_does_not_lead_a_reactor_that_a_loop_has_come_to_host(reactor: Reactor) -> None:
    ticks: list[None] = []

    def tick() -> None:
        ticks.append(None)
        if len(ticks) == 2:
            guard.host(reactor, Standing())

    reactor.on_tick = tick
    me = Background(reactor)
    assert not me._tick_until_quiet()
    assert len(ticks) == 2
    assert reactor.leader is None
    reactor.closed = True
    assert reactor.guard is not None
    reactor.guard.run()  # closes its descriptors
    reactor.closed = False


def test_each_tick_leaves_the_place_to_who_waits(reactor: Reactor) -> None:
    leaders: list[Waiter | None] = []
    ticks_until_it_leads(reactor, dict.fromkeys(range(1, 4), lambda: leaders.append(reactor.leader)))
    assert leaders == [None] * 3
