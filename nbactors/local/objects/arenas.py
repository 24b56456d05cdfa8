"""Arenas of shared memory on their way between processes. See `local.store`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors import exceptions
from nbactors.local.connections.intake import MISSING
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.store.arena import Descriptor
from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.claims import Claims
    from nbactors.local.store.allocator import Allocator
    from nbactors.local.store.arena import Arena

ASK_S = 5.0
"""Seconds for which a reader waits for a descriptor that it has asked for again. The owner's leader answers at once."""


class Arenas:
    """Sends each peer the descriptor of an arena once, before the first value in it, and receives those of peers.

    Args:
        allocator: The arenas of this process.
        wait: Waits until a waiter is done, for a number of seconds.
        may_wait: Tells whether the calling thread may wait, see `Reactor.leads`.
    """

    def __init__(
        self, allocator: Allocator, wait: Callable[[Waiter, float], bool], may_wait: Callable[[], bool]
    ) -> None:
        self._allocator = allocator
        self._wait = wait
        self._may_wait = may_wait
        allocator.on_closed = self._forget_everywhere

    def announce(self, connection: Connection, arena: Arena) -> None:
        """Send an arena's descriptor, unless the peer has it. Any thread; two threads may both send it."""
        if arena.number not in connection.claims.sent:
            self._send(connection, arena)

    @staticmethod
    def _send(connection: Connection, arena: Arena) -> None:
        fds = (arena.fd,) if arena.fd is not None else ()
        connection.send(messages.Arena(arena.number, arena.size, bool(fds)), fds)
        arena.told[connection] = None
        connection.claims.sent[arena.number] = arena

    def announced(self, connection: Connection, message: messages.Arena) -> None:
        """Take over a peer's arena. The leader's thread; idempotent.

        If the descriptor is missing, since this process could open no more, the arena is known without it, and asked
        for again when a value in it is read.

        Raises:
            RaySystemError: The arena is larger than its file.
        """
        number = message.arena
        if id(message) not in connection.unpacked:
            self._take_over(connection, message)
        if message.has_fd:
            # An asynchronous exception may come after this, and have the message handled again. The connection has no
            # descriptor for it then, which would look like a mistake of the peer.
            connection.unpacked[id(message)] = True
            connection.forget_fd(message)
        for waiter in connection.claims.asked.pop(number, ()):
            waiter.finish()

    def _take_over(self, connection: Connection, message: messages.Arena) -> None:
        number, received = message.arena, connection.claims.received
        fd = connection.take_fd(message) if message.has_fd else MISSING
        descriptor = None if fd == MISSING else Descriptor(fd)
        if descriptor is not None and os.fstat(descriptor).st_size < message.size:
            raise exceptions.RaySystemError("a peer announced an arena that is larger than its file")
        arena: Arena | None = received.get(number)
        if arena is None:
            arena = received[number] = self._allocator.take_over(descriptor, message.size)
            arena.ask = lambda: self._ask(connection, number)
        elif arena.fd is None:
            arena.fd = descriptor

    def _ask(self, connection: Connection, number: int) -> None:
        """Ask for a lost descriptor again, and wait for the answer where that is possible. Any thread."""
        waiter = Waiter()
        connection.claims.asked.setdefault(number, []).append(waiter)
        connection.send_now(messages.AskArena(number))
        if self._may_wait() and not connection.closed:
            self._wait(waiter, ASK_S)

    def asked(self, connection: Connection, message: messages.AskArena) -> None:
        """Send the descriptor of an arena again. The leader's thread."""
        arena: Arena | None = connection.claims.sent.get(message.arena)
        if arena is not None:
            self._send(connection, arena)

    def forget(self, connection: Connection, message: messages.ForgetArena) -> None:
        """Leave an arena that the peer has closed. The leader's thread."""
        arena: Arena | None = connection.claims.received.pop(message.arena, None)
        if arena is not None:
            self._allocator.leave(arena)

    def _forget_everywhere(self, arena: Arena) -> None:
        """Have the peers close their descriptors of a closed arena. Any thread."""
        while arena.told:
            connection, _ = arena.told.popitem()
            if connection.claims.sent.pop(arena.number, None) is not None and not connection.closed:
                connection.send(messages.ForgetArena(arena.number))

    def closed(self, connection: Connection) -> None:
        """Leave the arenas of a peer whose connection is closed. The leader's thread."""
        claims: Claims = connection.claims
        while claims.sent:
            _, arena = claims.sent.popitem()
            arena.told.pop(connection, None)
        while claims.received:
            _, arena = claims.received.popitem()
            self._allocator.leave(arena)
        while claims.asked:
            _, waiters = claims.asked.popitem()
            for waiter in waiters:
                waiter.finish()
