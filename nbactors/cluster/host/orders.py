"""The thread of a host that carries out the orders of a session, also while a call keeps the main thread.

It asks the session's hub for orders, and an answer comes only when there is one, or after half a minute. So orders need
no port and no further process on the node.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import ray

POLL_S = 30.0
"""Seconds after which the hub answers without an order, so that it forgets hosts that have died."""


def follow(hub: Any, address: bytes, table: Mapping[str, Callable[..., Any]]) -> None:
    """Carry out the orders of a hub from now on, in a new thread. It ends with the hub.

    Args:
        hub: The handle of the hub.
        address: To whom the orders are, the id of the actor.
        table: What to call, by the name of the order. It must not block.
    """
    threading.Thread(target=_run, args=(hub, address, table), name="nbactors-orders", daemon=True).start()


def _run(hub: Any, address: bytes, table: Mapping[str, Callable[..., Any]]) -> None:
    while True:
        try:
            orders = ray.get(hub.orders.remote(address, POLL_S))
        except (Exception, SystemExit):  # noqa: BLE001 - the hub has ended with its session, or this worker is about to
            return
        for number, name, args in orders:
            try:
                answer = table[name](*args)
            except Exception as error:  # noqa: BLE001 - whoever has given the order gets it
                answer = error
            hub.answer.remote(number, answer)
