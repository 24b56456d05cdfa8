"""Displays, progress bars and breakpoints of workers, from the node to the session's sink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from nbactors.frontend.sink import Display, Paused, Sink, Unmade, UnreadError
from nbactors.frontend.unread_printer import UnreadPrinter
from nbactors.local import sockets
from nbactors.local.wire import ids, messages

PAUSED_S = 2.0
"""Seconds to connect to a worker, which listens already."""


class Showing:
    """Hands the node's messages to the sink. On the leader's thread.

    Args:
        handle: Has a function take the node's messages of a kind.
        sink: Returns the sink, None if there is none.
        printer: Writes unread errors where there is no sink.
    """

    def __init__(
        self,
        handle: Callable[[type, Callable[[Any], None]], None],
        sink: Callable[[], Sink | None],
        printer: UnreadPrinter,
    ) -> None:
        self._sink = sink
        self._printer = printer
        handle(messages.Bar, self._on_bar)
        handle(messages.Display, self._on_display)
        handle(messages.Paused, self._on_paused)

    def _on_display(self, message: messages.Display) -> None:
        sink = self._sink()
        if sink is None:
            return
        content = msgspec.json.decode(message.content)
        sink.display(
            Display(
                ids.cell_of(message.origin),
                content.get("data", {}),
                content.get("metadata", {}),
                content.get("transient", {}),
                message.action == "update",
                {"clear": "now", "clear later": "later"}.get(message.action, ""),
            )
        )

    def _on_bar(self, message: messages.Bar) -> None:
        sink = self._sink()
        if sink is not None:
            sink.bar(message.state())

    def on_unmade(self, origin: int, down: messages.ActorDown) -> None:
        """Tell of an actor that this session has created, and whose constructor has failed."""
        sink = self._sink()
        if sink is not None:
            sink.unmade(Unmade(ids.cell_of(origin), down.actor_id.hex(), down.class_name, down.text))

    def on_unread(self, error: UnreadError, state: str) -> None:
        """Tell of a failed call whose error no code has read."""
        sink = self._sink()
        if sink is not None and error.cell:
            sink.unread(error, state)
        else:
            self._printer.take(error, state)

    def _on_paused(self, message: messages.Paused) -> None:
        try:
            connection = sockets.connect(message.path, PAUSED_S)
        except OSError:  # the call waits no more
            return
        sink = self._sink()
        if sink is None:
            connection.close()
            return
        cell = ids.cell_of(message.origin)
        sink.paused(Paused(cell, message.label, message.pid, message.where, connection, message.asks))
