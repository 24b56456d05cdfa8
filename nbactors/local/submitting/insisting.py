"""SIGINT for workers that cannot read a `Cancel`, because native code keeps their GIL."""

from __future__ import annotations

import os
import signal
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.submitting.in_flight import InFlight

INSIST_S = 0.05
"""Seconds between two signals."""

INSIST_FOR_S = 5.0
"""Seconds for which a worker is signalled for one call."""


def insist(connection: Connection, number: int, reactor: Reactor) -> None:
    """Signal the worker of a cancelled call until the call is answered. Any thread.

    A regular expression that does not end keeps the GIL, for instance. The worker decides what the signal interrupts.
    One signal stands for all cancelled calls of a worker: thousands of signals would keep the worker from answering.
    """
    in_flight: InFlight = connection.in_flight
    if not in_flight.pid:
        return
    in_flight.insisted[number] = monotonic() + INSIST_FOR_S
    if not in_flight.insisting:
        in_flight.insisting = True
        reactor.call_later(INSIST_S, lambda: _signal_worker(reactor, connection))


def _signal_worker(reactor: Reactor, connection: Connection) -> None:
    """Signal a worker, and repeat that while one of the cancelled calls is unanswered. The leader's thread."""
    in_flight: InFlight = connection.in_flight
    now = monotonic()
    for number, until in list(in_flight.insisted.items()):
        if number not in in_flight.calls or now > until or connection.closed:
            in_flight.insisted.pop(number, None)
    if not in_flight.insisted:
        in_flight.insisting = False
        if not in_flight.insisted:
            return
        in_flight.insisting = True  # another thread has added a call while it still found the timer set
    try:
        os.kill(in_flight.pid, signal.SIGINT)
    except OSError:  # the worker has ended; the connection is about to tell so
        pass
    reactor.call_later(INSIST_S, lambda: _signal_worker(reactor, connection))
