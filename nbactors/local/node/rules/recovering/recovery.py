"""`Recovery`: which processes are to return from a crashed node, and the events that wait for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nbactors.local.node.rules import events
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.records import Process
from nbactors.local.wire import messages
from nbactors.local.wire.ids import socket_name

RECOVER_WITHIN_S = 1.0
"""How long, in seconds, requests wait for the processes that are to return."""

_DECLARATIONS = (messages.Grouped, messages.Rejoin, messages.Created, messages.Leased)
"""The kinds of declarations, in the order in which all of each kind are handled."""


class Recovery:
    """Which processes are to return, and the events that wait for them.

    Args:
        context: Its `absent` is kept up to date.
        finish: Called when the declarations were handled, before the other events.

    Attributes:
        is_open: Whether events wait.
    """

    def __init__(self, context: Context, finish: Callable[[], None]) -> None:
        self._context = context
        self._finish = finish
        self._waiting: list[events.Event] = []
        self._returned: dict[int, str] = {}
        """The socket names of processes that have said Hello, by connection."""
        self._missing = set(context.facts.survivors)
        context.absent.update(context.facts.survivors)
        self.is_open = bool(self._missing)
        if self.is_open:
            context.later(RECOVER_WITHIN_S, self._missing.clear)

    def greet(self, process: Process) -> None:
        """Note that a process has said Hello and will declare what it has."""
        self._returned[process.conn] = name = socket_name(process.process_id)
        self._context.absent.pop(name, None)

    def keeps(self, event: events.Event, is_greeted: bool) -> bool:
        """Keep an event for later if it has to wait; return whether it has.

        Args:
            event: What has happened.
            is_greeted: Whether the event's connection has been greeted.
        """
        if isinstance(event, events.Vanished):
            if event.name not in self._returned.values():
                self._missing.discard(event.name)
                return False
        elif isinstance(event, events.Received | events.Disconnected):
            if not is_greeted:
                return False
            if isinstance(event, events.Disconnected) or isinstance(event.message, messages.Restored):
                self._missing.discard(self._returned.get(event.conn, ""))
        else:
            return isinstance(event, events.SocketsSeen)
        self._waiting.append(event)
        return True

    def end_if_complete(self, react: Callable[[events.Event], None]) -> None:
        """Handle the events that wait, once all processes have returned or the time is over."""
        if not self.is_open or self._missing:
            return
        self.is_open = False
        waiting, self._waiting = self._waiting, []
        for kind in _DECLARATIONS:
            for event in _of_kind(waiting, kind):
                self._handle(react, event)
        with self._context.careful("the end of a recovery"):
            self._finish()
        for event in waiting:
            if not (isinstance(event, events.Received) and isinstance(event.message, _DECLARATIONS)):
                self._handle(react, event)

    def _handle(self, react: Callable[[events.Event], None], event: events.Event) -> None:
        with self._context.careful(type(event).__name__):
            react(event)


def _of_kind(waiting: Iterable[events.Event], kind: type[Any]) -> list[events.Event]:
    return [event for event in waiting if isinstance(event, events.Received) and isinstance(event.message, kind)]
