"""`Orders`: the threads of a host that carry out the orders of sessions, also while a call keeps the main thread.

They ask the session's hub for orders, and an answer comes only when there is one, or after two seconds, later where
many hosts ask. So orders need no port and no further process on the node.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import Any

import ray

from nbactors.cluster.common.hubs import RESTART_S

POLL_S = 2.0
"""Seconds after which the hub answers without an order. An actor whose last handle is gone ends only then: Ray waits
for its open questions, and after 5 s it kills the process, without `__ray_shutdown__`."""

FIRST_S = 2.0
"""Seconds to wait for the orders that are there already."""


class Orders:
    """The orders to one host. Any thread.

    Args:
        address: To whom the orders are, the id of the actor.
        table: What to call, by the name of the order. It must not block.
    """

    def __init__(self, address: bytes, table: Mapping[str, Callable[..., Any]]) -> None:
        self._address = address
        self._table = table
        self._hubs: list[Any] = []
        self._threads: list[threading.Thread] = []
        self._has_left = False

    def follow(self, hub: Any) -> None:
        """Carry out the orders that a hub has now, and later ones in a new thread, which ends with the hub."""
        self._hubs.append(hub)
        has_begun = threading.Event()
        thread = threading.Thread(target=self._run, args=(hub, has_begun), name="nbactors-orders", daemon=True)
        self._threads.append(thread)
        thread.start()
        has_begun.wait(FIRST_S)

    def leave(self) -> None:
        """Ask for no more orders: the worker is about to end, which Ray delays until its last question is answered."""
        self._has_left = True
        for hub in self._hubs:
            hub.leave.remote(self._address)

    def close(self, seconds: float) -> None:
        """Leave, and wait until the threads have ended, for some seconds at most."""
        self.leave()
        deadline = monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - monotonic(), 0.0))

    def _run(self, hub: Any, has_begun: threading.Event) -> None:
        lives = self._carry_out(hub, 0.0)
        has_begun.set()
        while lives and not self._has_left:
            lives = self._carry_out(hub, POLL_S)

    def _carry_out(self, hub: Any, wait_s: float) -> bool:
        """Carry out the next orders. Return whether the hub lives."""
        try:
            orders = ray.get(hub.orders.remote(self._address, wait_s))
        except ray.exceptions.ActorUnavailableError:  # it has crashed, and starts again
            sleep(RESTART_S)
            return True
        except (Exception, SystemExit):  # noqa: BLE001 - the hub has ended with its session, or this worker does
            return False
        for number, name, args in orders:
            try:
                answer = self._table[name](*args)
            except Exception as error:  # noqa: BLE001 - whoever has given the order gets it
                answer = error
            hub.answer.remote(number, answer)
        return True
