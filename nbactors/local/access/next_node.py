"""`NextNode`: searches for the node that follows a crashed one, and starts it if no other process does."""

from __future__ import annotations

import _thread
import os
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.exceptions import RaySystemError
from nbactors.local import sockets
from nbactors.local.access import discovery

if TYPE_CHECKING:
    from nbactors.local.membership import Membership
    from nbactors.local.wire.messages import Home

FIRST_PAUSE_S = 0.005
LAST_PAUSE_S = 0.05
"""The pause between two looks grows from the first to the second: all processes of the node search at once."""

AFTER_FAILURE_S = 1.0
"""The pause, in seconds, after a node could not be started."""

SESSION_FIRST_S = 0.5
"""How long, in seconds, a worker leaves the start of the next node to its session, if that lives."""


class NextNode:
    """The search of one session or worker. It runs on a thread of its own, since a node takes a while to start.

    A node inherits much from the process that starts it: limits, the CPUs that it may use, its priority. A session has
    started the first node, but user code may have restricted a worker. So a worker starts the next node only if its
    session is gone or hangs, and with the environment variables of its session.

    Args:
        membership: Knows the folder of the crashed node, in which the next one runs, too. A process that has left needs
            no node any more.
        home: Returns the session of a worker, None in a session. Any thread.
    """

    def __init__(self, membership: Membership, home: Callable[[], Home | None] = lambda: None) -> None:
        self._membership = membership
        self._home = home

    def begin(self, last_pid: int, found: Callable[[socket.socket | None], None]) -> None:
        """Have `found` called on the thread of the search, unless this process needs no node any more.

        Args:
            last_pid: The pid of the crashed node.
            found: Gets a blocking socket, which it owns; None if the last node has not crashed, but was told to stop.
        """
        try:
            _thread.start_new_thread(self._search, (last_pid, found))
        except RuntimeError:  # no more threads: this process stays without a node
            pass

    def _search(self, last_pid: int, found: Callable[[socket.socket | None], None]) -> None:
        pause = FIRST_PAUSE_S
        home = self._home()
        environ, start_at = None, time.monotonic()
        if home is not None:
            environ = home.opened.environment.environ
            if sockets.is_process_alive(self._membership.directory, home.driver):
                start_at += SESSION_FIRST_S
        while not self._membership.has_left:
            if discovery.was_stopped(self._membership.directory, last_pid):
                found(None)
                return
            try:
                if time.monotonic() < start_at:
                    sock = discovery.find(self._membership.directory)
                else:
                    sock = discovery.find_or_start(self._membership.directory, environ)
            except (OSError, RaySystemError):
                time.sleep(AFTER_FAILURE_S)  # the log of the node has the reason
                continue
            if sock is not None:
                found(sock)
                return
            time.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE_S)


def mark_stopped(directory: str, pid: int) -> None:
    """Note that a node is about to be killed on purpose, so that no process starts the next one."""
    try:
        with open(os.path.join(directory, discovery.STOPPED), "w") as file:
            file.write(str(pid))
    except OSError:  # the folder is gone, and with it the sockets of all processes
        pass
