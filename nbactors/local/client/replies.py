"""Answers to calls and tasks, on the submitter's side. Everything here runs on the leader's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.client.connection import Connection
    from nbactors.local.client.process import Process


class Replies:
    """Gives results to the entries that wait for them."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def on_reply(self, connection: Connection, message: messages.Reply) -> None:
        """A call has returned one small value."""
        call = connection.state.calls.pop(message.number, None)
        if call is not None:
            connection.state.answered = call.target
            call.entries[0].resolve(message.data)
            call.finish()

    def on_results(self, connection: Connection, message: messages.Results) -> None:
        """A call has returned something else, or raised."""
        held = [self._process.values.receive(connection, value) for value in message.values]
        call = connection.state.calls.pop(message.number, None)
        if call is None:
            return
        target = call.target
        if message.retriable and call.retries:
            target.retry(connection, call)
            return
        _spread(call.entries, held)
        connection.state.answered = target
        call.finish()

    @staticmethod
    def after_batch(connection: Connection) -> None:
        """All that had arrived was handled: tell who submitted the calls, once, that there is room for more."""
        target, connection.state.answered = connection.state.answered, None
        if target is not None:
            target.answered(connection)


def _spread(entries: Any, held: list[Any]) -> None:
    """Give each entry its value; a single error is the error of all."""
    for index, entry in enumerate(entries):
        held[index if len(held) == len(entries) else 0].settle(entry)
