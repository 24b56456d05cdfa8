"""Answers to calls and tasks, on the submitter's side. Everything here runs on the leader's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbactors.local.objects.held import Held
from nbactors.local.wire import messages, pickling

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.values import Values
    from nbactors.local.submitting.in_flight import InFlight
    from nbactors.local.submitting.pending_call import PendingCall


_NONE = pickling.dumps(None).data


class Replies:
    """Gives results to the entries that wait for them."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def on_reply(self, connection: Connection, message: messages.Reply) -> None:
        """A call has returned one small value."""
        in_flight: InFlight = connection.in_flight
        call = _take(in_flight, message.number)
        if call is not None:
            in_flight.answered = call.target
            if call.stream is not None:
                self._end_stream(call, Held(message.data))
            else:
                call.entries[0].resolve(message.data)
            call.finish()
            in_flight.answering = None

    def on_results(self, connection: Connection, message: messages.Results) -> None:
        """A call has returned something else, or raised."""
        held = [self._values.receive(connection, value) for value in message.values]
        in_flight: InFlight = connection.in_flight
        call = _take(in_flight, message.number)
        if call is None:
            return
        target = call.target
        if message.retriable and call.retries and not call.canceled:
            in_flight.answering = None
            target.retry(connection, call)
            return
        if call.stream is not None:
            self._end_stream(call, held[0])
        else:
            _spread(call.entries, held)
        in_flight.answered = target
        call.finish()
        in_flight.answering = None

    def on_yielded(self, connection: Connection, message: messages.Yielded) -> None:
        """A generator has yielded."""
        value = message.value
        held = Held(message.data) if value is None else self._values.receive(connection, value)
        call = connection.in_flight.calls.get(message.number)
        if call is not None and call.stream is not None:
            call.stream.arrive(message.index, held)

    @staticmethod
    def _end_stream(call: PendingCall, held: Held) -> None:
        """A generator has ended; `held` is None, or the error that it has raised."""
        stream, entry = call.stream, call.entries[0]
        assert stream is not None
        if held.error:
            stream.fail(held)
        else:
            stream.end()
        # As in Ray, what a generator has raised is the value of its last reference alone.
        if stream.is_collected and not call.canceled:
            held = stream.collected()
        elif held.error and not call.canceled:
            held = Held(_NONE)
        held.settle(entry)

    @staticmethod
    def after_batch(connection: Connection) -> None:
        """All that had arrived was handled: tell who submitted the calls, once, that there is room for more."""
        in_flight: InFlight = connection.in_flight
        target = in_flight.answered
        if target is not None:
            target.answered(connection)
            if in_flight.answered is target:  # at last, so that no exception from outside keeps it from being told
                in_flight.answered = None


def _take(in_flight: InFlight, number: int) -> PendingCall | None:
    """Take a call out of those in flight. It can be taken again until the handling of its answer is done."""
    call: PendingCall | None = in_flight.calls.get(number)
    if call is None:
        call = in_flight.answering
        return call if call is not None and call.number == number else None
    in_flight.answering = call
    in_flight.calls.pop(number, None)
    return call


def _spread(entries: Any, held: list[Any]) -> None:
    """Give each entry its value; a single error is the error of all."""
    for index, entry in enumerate(entries):
        held[index if len(held) == len(entries) else 0].settle(entry)
