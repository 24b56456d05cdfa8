"""Spares: processes that a forkserver has forked before they are needed.

Both the forkserver and the spare itself tell of it, in any order. The node orders a worker with the spare's id as soon
as it has the forkserver's word. The spare's own word is a Hello: it has joined, and waits for its order. It says Hello
again when it has the order, and is the worker from then on. If it dies before, the forkserver forks another process
with this id, or the worker is tried again.
"""

from __future__ import annotations


class Spares:
    """The spares of all environments, each until it is a worker or gone."""

    def __init__(self) -> None:
        self._made: dict[int, bytes] = {}
        self._joined: dict[int, bytes] = {}

    def note(self, environment: int, process_id: bytes) -> bytes:
        """Note that the environment's forkserver has a spare with this id, and no other one.

        Returns:
            The id of the spare before, which is gone; empty if there was none.
        """
        before = self.forget(environment)
        self._made[environment] = process_id
        return before

    def order(self, environment: int) -> bytes:
        """Return the id that the next worker of an environment should have; empty if any id serves."""
        return self._made.pop(environment, b"")

    def forget(self, environment: int) -> bytes:
        """Forget the spare of an environment. Return its id; empty if there is none."""
        return self._made.pop(environment, b"")

    def join(self, conn: int, process_id: bytes) -> None:
        """Note that a spare has said Hello."""
        self._joined[conn] = process_id

    def has(self, conn: int) -> bool:
        """Return whether a connection is that of a spare."""
        return conn in self._joined

    def leave(self, conn: int) -> bytes:
        """Forget the spare with this connection: it is gone, or a worker. Return its id; empty if there is none."""
        process_id = self._joined.pop(conn, b"")
        if process_id:
            self._made = {number: made for number, made in self._made.items() if made != process_id}
        return process_id
