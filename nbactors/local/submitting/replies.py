"""Answers to calls and tasks, on the submitter's side. Everything here runs on the leader's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbactors.exceptions import reasons
from nbactors.local.objects.held import Held
from nbactors.local.submitting import lineage
from nbactors.local.wire import failures, ids, messages
from nbactors.pickling import pickling
from nbactors.speedups.caller import settle, tell_answered

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
        if settle is not None and settle(connection, message):
            return
        in_flight: InFlight = connection.in_flight
        call = _take(in_flight, message)
        if call is None:
            return
        if call.stream is not None:
            self._settle(connection, message, call, [Held(message.data)])
            return
        # A repeated handling finds a call that has dropped its target already.
        in_flight.answered = call.target or in_flight.answered
        if call.watcher is not None:
            call.watcher.answered(call, connection)
        call.entries[0].resolve(message.data)
        call.finish()
        in_flight.answering = None

    def on_results(self, connection: Connection, message: messages.Results) -> None:
        """End a call that has returned any other result or has raised, or have its target try it again."""
        held = [self._values.receive(connection, value) for value in message.values]
        in_flight: InFlight = connection.in_flight
        call = _take(in_flight, message)
        if call is None:
            return
        if message.retriable and call.retries and not call.canceled:
            self._run_again(connection, message, call)
        else:
            self._settle(connection, message, call, held)

    def _settle(
        self, connection: Connection, message: messages.Reply | messages.Results, call: PendingCall, held: list[Held]
    ) -> None:
        """End a call with its results, or have its target run it again if one of them was lost. See `lineage`."""
        in_flight: InFlight = connection.in_flight
        if call.stream is not None:
            if call.stream.loss and call.stream.missing:
                if not _obstacle(call):
                    call.stream.loss = ""
                    self._run_again(connection, message, call)
                    return
                # The generator was stopped to be run again, and is not: the stream must not look as if it were whole.
                held = [_unreconstructable(call, call.stream.received + 1, call.stream.loss)]
            self._end_stream(call, held[0])
        elif _spread(call, held):
            self._run_again(connection, message, call)
            return
        in_flight.answered = call.target or in_flight.answered
        if call.watcher is not None:
            call.watcher.answered(call, connection, next((each.data for each in held if each.error), None))
        call.finish()
        in_flight.answering = None

    @staticmethod
    def _run_again(connection: Connection, message: messages.Reply | messages.Results, call: PendingCall) -> None:
        """Have the target run a call again, once for each answer."""
        target = call.target
        if target is not None:  # else a handler has interrupted this, and has waited for the last run
            target.retry(connection, message, call)

    def on_yielded(self, connection: Connection, message: messages.Yielded) -> None:
        """Add a yielded value to the call's stream."""
        value = message.value
        held = Held(message.data) if value is None else self._values.receive(connection, value)
        call: PendingCall | None = connection.in_flight.calls.get(message.number)
        if call is None or call.stream is None:
            return
        loss = failures.loss(held.data) if held.error else ""
        if not loss:
            call.stream.arrive(message.index, held)
        elif _obstacle(call):
            call.stream.arrive(message.index, _unreconstructable(call, message.index, loss))
        else:
            call.stream.miss(message.index, loss)

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
        if tell_answered is not None and tell_answered(connection):
            return
        in_flight: InFlight = connection.in_flight
        target = in_flight.answered
        if target is not None:
            target.answered(connection)
            if in_flight.answered is target:  # cleared last, so that an asynchronous exception does not lose the call
                in_flight.answered = None


def _take(in_flight: InFlight, message: messages.Reply | messages.Results) -> PendingCall | None:
    """Remove the call of an answer from the calls in flight; None if there is none for it.

    A repeated handling of the answer gets the call again, see `answering`. But it gets none if the call runs again
    because of this very answer, which does not end that run.
    """
    number = message.number
    call: PendingCall | None = in_flight.calls.get(number)
    if in_flight.retried is message:  # no call comes between this comparison and the removal
        return None
    if call is None:
        call = in_flight.answering
        return call if call is not None and call.number == number else None
    in_flight.answering = call
    in_flight.calls.pop(number, None)
    return call


def _spread(call: PendingCall, held: list[Held]) -> bool:
    """Give each entry its value; a single error goes to all entries.

    Returns:
        Whether values were lost and the call is to run again. The entries of these values are still pending.
    """
    runs_again = False
    entries = call.entries
    for index, entry in enumerate(entries):
        outcome = held[index if len(held) == len(entries) else 0]
        loss = failures.loss(outcome.data) if outcome.error else ""
        if loss:
            if not _obstacle(call):
                runs_again = True
                continue
            outcome = _unreconstructable(call, entry.index, loss)
        outcome.settle(entry)
    return runs_again


def _obstacle(call: PendingCall) -> str:
    """Return why a call whose result was lost does not run again; empty if it does."""
    return lineage.TABLE[call.canceled is not None, call.retries != 0]


def _unreconstructable(call: PendingCall, index: int, loss: str) -> Held:
    """Return the error of a result that was lost and is not computed again."""
    oid = ids.object_id(call.entries[0].owner, call.number, index)
    return Held(failures.encode(reasons.unreconstructable(oid, loss, _obstacle(call))), error=True)
