"""`breakpoint()` in a call that comes from a notebook: the debugger's prompt opens in the notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbactors.local import sockets
from nbactors.local.wire import messages

if TYPE_CHECKING:
    import socket

    from nbactors.local.connections.node_link import NodeLink

SET_TRACE = "nbactors.util.pdb"
"""The module whose frame lies between the user's code and the hook."""

ACCEPT_S = 10.0
"""Seconds that the session has to connect. If it has gone it does not, and the call goes on."""


def install(directory: str, node: NodeLink, origin: Callable[[], int]) -> None:
    """Redirect `breakpoint()` in calls whose `origin` is not 0. Called when the worker starts.

    The worker listens in the node's `directory` for the session's debugger.
    """

    def hook(*args: Any, **kwargs: Any) -> Any:
        called_from = origin()
        if not called_from or os.environ.get("PYTHONBREAKPOINT"):
            return sys.__breakpointhook__(*args, **kwargs)  # noqa: T100 - what the user called
        frame: Any = sys._getframe(1)
        if frame.f_globals.get("__name__") == SET_TRACE:
            frame = frame.f_back
        return _stop(directory, node, called_from, frame)

    sys.breakpointhook = hook


def _stop(directory: str, node: NodeLink, origin: int, frame: Any) -> None:
    """Open a debugger at a frame, on the frame's thread. It waits for the user, or until the session ends."""
    code = frame.f_code
    where = f"{code.co_filename}:{frame.f_lineno} in {code.co_name}"
    connection = connected(directory, node, origin, where)
    if connection is None:
        print(f"breakpoint() at {where}: no notebook answers, so the call goes on", file=sys.stderr)
        return
    from nbactors.local.worker.inspecting.debugger import Debugger  # noqa: PLC0415 - pdb takes long to import

    Debugger(connection).set_trace(frame)


def connected(directory: str, node: NodeLink, origin: int, where: str, asks: bool = False) -> socket.socket | None:
    """Return a connection to the session of a call that waits for its user; None if the session does not connect.

    Args:
        directory: The node's.
        node: Passes the message to the session.
        origin: The origin of the call.
        where: Where the call waits, for the user.
        asks: Whether it waits for an answer to one question; else for a debugger.
    """
    path = sockets.process_socket_path(directory, os.urandom(16))
    listener = sockets.listen(path)
    try:
        listener.settimeout(ACCEPT_S)
        node.send_now(messages.Paused(origin, path, where, asks=asks))
        connection, _ = listener.accept()
        connection.settimeout(None)
        sockets.check_peer(connection)
        return connection
    except (OSError, PermissionError):
        return None
    finally:
        listener.close()
        os.unlink(path)
