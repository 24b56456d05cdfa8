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
    """Hands results to the entries of the calls."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def on_reply(self, connection: Connection, message: messages.Reply) -> None:
        """End a call that has returned one small value."""
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
        """End a call that has returned any other result or has raised, or have its target try it again."""
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
        """Add a yielded value to the call's stream."""
        value = message.value
        held = Held(message.data) if value is None else self._values.receive(connection, value)
        call = connection.in_flight.calls.get(message.number)
        if call is not None and call.stream is not None:
            call.stream.arrive(message.index, held)

    @staticmethod
    def _end_stream(call: PendingCall, held: Held) -> None:
        """End the stream of a generator; `held` holds None, or the error that the generator has raised."""
        stream, entry = call.stream, call.entries[0]
        assert stream is not None
        if held.error:
            stream.fail(held)
        else:
            stream.end()
        # As in Ray, only the stream's last reference has the error that a generator has raised, not the call's result.
        if stream.is_collected and not call.canceled:
            held = stream.collected()
        elif held.error and not call.canceled:
            held = Held(_NONE)
        held.settle(entry)

    @staticmethod
    def after_batch(connection: Connection) -> None:
        """Tell the target that the worker has room for more calls, once for all answers of a batch."""
        in_flight: InFlight = connection.in_flight
        target = in_flight.answered
        if target is not None:
            target.answered(connection)
            if in_flight.answered is target:  # cleared last, so that an asynchronous exception does not lose the call
                in_flight.answered = None


def _take(in_flight: InFlight, number: int) -> PendingCall | None:
    """Remove a call from the calls in flight. A repeated handling of the answer gets it again, see `answering`."""
    call: PendingCall | None = in_flight.calls.get(number)
    if call is None:
        call = in_flight.answering
        return call if call is not None and call.number == number else None
    in_flight.answering = call
    in_flight.calls.pop(number, None)
    return call


def _spread(entries: Any, held: list[Any]) -> None:
    """Give each entry its value; a single error goes to all entries."""
    for index, entry in enumerate(entries):
        held[index if len(held) == len(entries) else 0].settle(entry)
