"""Spares: processes that a forkserver has forked before they are needed.

Both the forkserver and the spare itself tell of it, in any order. The node orders a worker with the spare's id as soon
as it has the forkserver's word. The spare's own word is a Hello: it has joined, and waits for its order. It says Hello
again when it has the order, and is the worker from then on. If it dies before, the forkserver forks another process
with this id, or the worker is tried again.
"""

from __future__ import annotations

from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.events import RemoveSocket


class Spares:
    """All spares, each until it is a worker or gone. The socket file of one that is gone is removed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._made: dict[int, bytes] = {}
        self._joined: dict[int, bytes] = {}

    def note(self, environment: int, process_id: bytes) -> None:
        """Note that the environment's forkserver has a spare with this id, and no other one."""
        self.forget(environment)  # it has died before its Hello
        self._made[environment] = process_id

    def order(self, environment: int) -> bytes:
        """Return the id that the next worker of an environment should have; empty if any id serves."""
        return self._made.pop(environment, b"")

    def forget(self, environment: int) -> None:
        """Forget the spare of an environment, which is gone or ends."""
        self._remove_socket(self._made.pop(environment, b""))

    def join(self, conn: int, process_id: bytes) -> None:
        """Note that a spare has said Hello."""
        self._joined[conn] = process_id

    def has(self, conn: int) -> bool:
        """Return whether a connection is that of a spare."""
        return conn in self._joined

    def leave(self, conn: int) -> None:
        """Forget the spare with this connection, if there is one: it is gone."""
        self._remove_socket(self.take(conn))

    def _remove_socket(self, process_id: bytes) -> None:
        if process_id:
            self._context.do(RemoveSocket(process_id, is_spare=True))

    def take(self, conn: int) -> bytes:
        """Return the id of the spare with this connection, and forget it; empty if there is none."""
        process_id = self._joined.pop(conn, b"")
        if process_id:
            self._made = {number: made for number, made in self._made.items() if made != process_id}
        return process_id
