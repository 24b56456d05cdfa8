"""The thread that leads the reactor while no other does."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING

from nbactors.local.reactor.blame import complain
from nbactors.local.reactor.guard import QUIET_TICKS, TICK_S
from nbactors.local.reactor.waiter import Waiter

if TYPE_CHECKING:
    from nbactors.local.reactor.reactor import Reactor

CHECK_S = 0.1
"""How often a thread that sleeps while another leads looks whether that one has left. It is told, unless an exception
has come at the very bytecode that was to tell it."""


class Background:
    """What the reactor's own thread does. Nothing that user code raises on it ends it."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._me = Waiter()

    def run(self) -> None:
        """Lead or stand guard until the reactor is closed. The thread."""
        reactor = self._reactor
        self._me.ident = get_ident()
        while not reactor.closed:
            try:
                if reactor.guard is not None:
                    reactor.guard.run()
                elif self._tick_until_quiet():
                    self._lead_in_background()
            except BaseException:  # noqa: BLE001 - without this thread nobody reads while the user's code computes
                complain(self)
            finally:
                if reactor.leader is self._me:
                    reactor.leader = None
                    reactor.pass_on()

    def _tick_until_quiet(self) -> bool:
        """Look in once a tick; return True, as the leader, when there was nothing to do for a while.

        False if a host has come, or it is closed; then it does not lead.
        """
        reactor, me = self._reactor, self._me
        quiet = 0
        stints = reactor.stints
        while not reactor.closed and reactor.guard is None:
            reactor.park.acquire(timeout=TICK_S)
            if reactor.on_tick is not None:
                reactor.on_tick()
            if reactor.leader is None:
                reactor.leader = me
            if reactor.leader is not me:
                quiet = quiet + 1 if stints == reactor.stints else 0
                stints = reactor.stints
                if quiet > QUIET_TICKS:
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
        # Looked at after the flag. The leader may also be torn away by an exception before it comes to see the flag.
        while reactor.leader is not None and not reactor.park.acquire(timeout=CHECK_S):
            pass
        reactor.parked = False

    def _lead_in_background(self) -> None:
        reactor = self._reactor
        while not reactor.closed and reactor.guard is None:
            followers = len(reactor.followers)
            dirty = bool(reactor.dirty)
            reactor.poll(None)
            if followers or reactor.followers or dirty:
                return
