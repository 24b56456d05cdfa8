"""The way from a call that waits for its user to the notebook, which may be on another node: a port of this node."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

import ray

from nbactors.cluster.common.waiting_call import TOKEN_SIZE, WaitingCall, trusts
from nbactors.cluster.host.call import CURRENT

ACCEPT_S = 10.0
"""Seconds that the session has to connect. If it has gone it does not, and the call goes on."""


class UserLine:
    """See `nbactors.in_worker.breakpoints.Line`.

    Args:
        report: Reports something to the hub with a name, of a kind, after all output that was written before. Returns
            whether that was possible.
    """

    def __init__(self, report: Callable[[str, str, Any], bool]) -> None:
        self._report = report

    def open(self, origin: int, where: str, asks: bool) -> socket.socket | None:
        """See `Line.open`."""
        call = CURRENT.get()
        if call is None:
            return None
        address = ray.util.get_node_ip_address()
        token = os.urandom(TOKEN_SIZE)
        ends = monotonic() + ACCEPT_S
        try:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.create_server((address, 0), family=family) as listener:
                place = address, listener.getsockname()[1]
                if not self._report(call.hub, "paused", tuple(WaitingCall(origin, where, asks, place, token))):
                    return None
                while True:
                    listener.settimeout(max(ends - monotonic(), 0.001))
                    connection, _ = listener.accept()
                    if trusts(connection, token, b"call", b"session"):
                        return connection
                    connection.close()
        except OSError:
            return None
