"""The thread of a host that carries out the orders of a session, also while a call keeps the main thread.

It asks the session's hub for orders, and an answer comes only when there is one, or after a second. So orders need no
port and no further process on the node.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import ray

POLL_S = 1.0
"""Seconds after which the hub answers without an order. Ray ends a worker only when its questions have answers."""


FIRST_S = 2.0
"""Seconds to wait for the orders that are there already."""


def follow(hub: Any, address: bytes, table: Mapping[str, Callable[..., Any]]) -> None:
    """Carry out the orders that a hub has now, and the others from now on, in a new thread. It ends with the hub.

    Args:
        hub: The handle of the hub.
        address: To whom the orders are, the id of the actor.
        table: What to call, by the name of the order. It must not block.
    """
    has_begun = threading.Event()
    args = (hub, address, table, has_begun)
    threading.Thread(target=_run, args=args, name="nbactors-orders", daemon=True).start()
    has_begun.wait(FIRST_S)


def _run(hub: Any, address: bytes, table: Mapping[str, Callable[..., Any]], has_begun: threading.Event) -> None:
    lives = _carry_out(hub, address, table, 0.0)
    has_begun.set()
    while lives:
        lives = _carry_out(hub, address, table, POLL_S)


def _carry_out(hub: Any, address: bytes, table: Mapping[str, Callable[..., Any]], wait_s: float) -> bool:
    """Carry out the next orders. Return whether the hub lives."""
    try:
        orders = ray.get(hub.orders.remote(address, wait_s))
    except (Exception, SystemExit):  # noqa: BLE001 - the hub has ended with its session, or this worker is about to
        return False
    for number, name, args in orders:
        try:
            answer = table[name](*args)
        except Exception as error:  # noqa: BLE001 - whoever has given the order gets it
            answer = error
        hub.answer.remote(number, answer)
    return True
