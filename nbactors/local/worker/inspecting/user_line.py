"""The way from a call that waits for its user to the notebook: a socket in the node's directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbactors.local import sockets
from nbactors.local.wire import messages

if TYPE_CHECKING:
    import socket

    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.membership import Membership

ACCEPT_S = 10.0
"""Seconds that the session has to connect. If it has gone it does not, and the call goes on."""


class UserLine:
    """See `nbactors.in_worker.breakpoints.Line`.

    Args:
        membership: Knows the node's directory.
        node: Passes the message to the session.
    """

    def __init__(self, membership: Membership, node: NodeLink) -> None:
        self._membership = membership
        self._node = node

    def open(self, origin: int, where: str, asks: bool) -> socket.socket | None:
        """See `Line.open`."""
        path = sockets.process_socket_path(self._membership.directory, os.urandom(16))
        listener = sockets.listen(path)
        try:
            listener.settimeout(ACCEPT_S)
            self._node.send_now(messages.Paused(origin, path, where, asks=asks))
            connection, _ = listener.accept()
            connection.settimeout(None)
            sockets.check_peer(connection)
            return connection
        except (OSError, PermissionError):
            return None
        finally:
            listener.close()
            os.unlink(path)
