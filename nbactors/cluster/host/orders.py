"""`Orders`: the threads of a host that carry out the orders of sessions, also while a call keeps the main thread.

They ask the session's hub for orders, and an answer comes only when there is one, or after half a minute. So orders
need no port and no further process on the node.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import ray

POLL_S = 30.0
"""Seconds after which the hub answers without an order, so that it forgets hosts that have died."""


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
        self._has_left = False

    def follow(self, hub: Any) -> None:
        """Carry out the orders of a hub from now on, in a new thread. It ends with the hub."""
        self._hubs.append(hub)
        threading.Thread(target=self._run, args=(hub,), name="nbactors-orders", daemon=True).start()

    def leave(self) -> None:
        """Ask for no more orders: the worker is about to end, which Ray delays until its last question is answered."""
        self._has_left = True
        for hub in self._hubs:
            hub.leave.remote(self._address)

    def _run(self, hub: Any) -> None:
        while not self._has_left:
            try:
                orders = ray.get(hub.orders.remote(self._address, POLL_S))
            except (Exception, SystemExit):  # noqa: BLE001 - the hub has ended with its session, or this worker does
                return
            for number, name, args in orders:
                try:
                    answer = self._table[name](*args)
                except Exception as error:  # noqa: BLE001 - whoever has given the order gets it
                    answer = error
                hub.answer.remote(number, answer)
