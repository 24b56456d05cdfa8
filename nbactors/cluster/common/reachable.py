"""Whether anything listens at the address of a cluster."""

from __future__ import annotations

import socket

from nbactors import exceptions

CONNECT_S = 10.0
"""Seconds in which the head of a cluster accepts a connection."""


def check_reachable(address: str) -> None:
    """Raise RaySystemError if nothing listens at an address `host:port`: Ray itself tries for two minutes. Blocks."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError as error:
        raise exceptions.RaySystemError(
            f"no Ray cluster answers at {address!r}: {error}. `ray status` on the head tells the address"
        ) from None
