"""The background thread: leads the reactor while no other thread does."""

from __future__ import annotations

from threading import get_ident

from nbactors.local.reactor.blame import complain
from nbactors.local.reactor.guard import QUIET_TICKS, TICK_S, quiet_ticks
from nbactors.local.reactor.reactor import CHECK_S, Reactor
from nbactors.local.reactor.waiter import Waiter

LONGEST_CHECK_S = 1.6
"""The pause between two checks whether there is still a leader grows up to so many seconds: most actors are idle."""


def start(reactor: Reactor) -> None:
    """Start the reactor's background thread."""
    reactor.run_in_background(Background(reactor).run)


class Background:
    """The work of the background thread. No exception that user code raises on this thread ends it."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._me = Waiter()

    def run(self) -> None:
        """Lead, or stand guard, until the reactor is closed. Runs on the background thread."""
        reactor = self._reactor
        self._me.ident = get_ident()
        while not reactor.closed:
            try:
                if reactor.guard is not None:
                    reactor.guard.run()
                elif self._tick_until_quiet():
                    self._lead_in_background()
            except BaseException:  # noqa: BLE001 - without this thread no message is read while user code computes
                complain(self)
            finally:
                if reactor.leader is self._me:
                    reactor.leader = None
                    reactor.pass_on()

    def _tick_until_quiet(self) -> bool:
        """Poll once a tick, without blocking, until there was nothing to do for a while.

        Return True as the leader; False if an event loop hosts the reactor or the reactor is closed.
        """
        reactor, me = self._reactor, self._me
        quiet = 0
        stints = reactor.stints
        while not reactor.closed and reactor.guard is None:
            reactor.park.acquire(timeout=TICK_S)
            if reactor.leader is None:
                reactor.leader = me
            if reactor.leader is not me:
                quiet = quiet + 1 if stints == reactor.stints else 0
                stints = reactor.stints
                if quiet > quiet_ticks(stints):
                    self._sleep_while_led()
                    quiet = 0
                continue
            busy = bool(reactor.dirty)
            before = reactor.stints
            reactor.poll(0)
            quiet = 0 if busy or before != stints else quiet + 1
            stints = before
            if quiet > QUIET_TICKS:
                return True
            reactor.leader = None
            reactor.pass_on()
        return False

    def _sleep_while_led(self) -> None:
        reactor = self._reactor
        reactor.parked = True
        # Read after the flag is set: a leader that leaves later sees the flag. Only an asynchronous exception prevents
        # it.
        seconds = CHECK_S
        while reactor.leader is not None and not reactor.park.acquire(timeout=seconds):
            seconds = min(2 * seconds, LONGEST_CHECK_S)
        reactor.parked = False

    def _lead_in_background(self) -> None:
        reactor = self._reactor
        while not reactor.closed and reactor.guard is None:
            followers = len(reactor.followers)
            dirty = bool(reactor.dirty)
            reactor.poll(None)
            if followers or reactor.followers or dirty:
                return
