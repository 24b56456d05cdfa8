"""`Target`: the target of calls, which is an actor or the workers of one kind of task. See this room's `__init__`."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from nbactors.local.reactor.action_queue import run_all
from nbactors.local.submitting.insisting import insist
from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.reactor.turns import Turns
    from nbactors.local.submitting.pending_call import PendingCall
    from nbactors.local.wire.cancel_mode import CancelMode
    from nbactors.views.summaries import CallFacts

_T = TypeVar("_T", bound="Target")
_P = ParamSpec("_P")
_A = TypeVar("_A")

_BURYING: set[int] = set()
"""The threads that settle failed calls now. Dependents are settled afterwards: a chain of them may have any length."""


def in_turn(method: Callable[Concatenate[_T, _P], None]) -> Callable[Concatenate[_T, _P], None]:
    """Make a method a step of its target's turns: it runs now, or soon on the thread whose turn it is."""

    def run(self: _T, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        self._do(functools.partial(method, self, *args, **kwargs))

    functools.update_wrapper(run, method)
    return run


class Target(ABC):
    """The common part of actors' links and task queues.

    A step only puts a failed call into `_doomed`. `_bury` settles it after the turn, since that makes other calls ready
    which depend on its result, and whose targets then take steps of their own.
    """

    __slots__ = ()

    _reactor: Reactor
    _turns: Turns
    _doomed: deque[Callable[[], None]]

    @abstractmethod
    def describe(self, call: PendingCall) -> CallFacts:
        """Return a summary of one of the target's calls. Any thread."""

    @abstractmethod
    def _accept(self, call: PendingCall) -> None:
        """Queue or send a fresh call. A step."""

    @abstractmethod
    def _pump(self) -> None:
        """Send the calls that can be sent. A step."""

    @abstractmethod
    def _try_again(self, connection: Connection, answer: object, call: PendingCall) -> None:
        """Queue a call that is to be run again, and send what can be sent; see `retry`."""

    @abstractmethod
    def _take_out(self, call: PendingCall) -> bool:
        """Remove a call from the calls that were not sent; return whether it was among them. A step."""

    @abstractmethod
    def _insists_on(self, mode: CancelMode) -> bool:
        """Return whether a cancelled call's worker is sent signals, see `insist`."""

    @abstractmethod
    def note_failure(self, call: PendingCall, error: bytes) -> None:
        """Record that a call has failed which gets no answer from a worker. Any thread."""

    @abstractmethod
    def awaited(self, call: PendingCall) -> str:
        """Return as text the resources or process that a call waits for whose arguments are there. Any thread."""

    @abstractmethod
    def answered(self, connection: Connection) -> None:
        """Send more calls, since some have returned. The leader's thread, once for all answers of a batch."""

    # -------------------------------------------------------------------------------------------------------- turns

    def _do_now(self, step: Callable[[_A], None], argument: _A) -> None:
        """Run a frequent step, which bypasses the queue of steps if that is empty. What it raises is raised here."""
        me = get_ident()
        turns = self._turns
        if turns.owner or turns.steps:
            self._do(functools.partial(step, argument))
            return
        turns.owner = me
        try:
            step(argument)
        except BaseException:
            self._reactor.discard(self.pump)  # a call may be queued already, and no other step would send it
            raise
        finally:
            turns.owner = 0
        if turns.steps:
            turns.serve()
        if self._doomed:
            self._bury()

    def _do(self, step: Callable[[], None]) -> None:
        """Run a step, or leave it to the thread whose turn it is; then settle failed calls. Any thread."""
        self._turns.run(step)
        if self._doomed:
            self._bury()

    @in_turn
    def pump(self) -> None:
        """Send the calls that can be sent. Any thread."""
        self._pump()

    def retry(self, connection: Connection, answer: object, call: PendingCall) -> None:
        """Run a call again, since it has raised an error that is to be retried, or a result was lost. Leader's thread.

        Args:
            connection: The connection to the worker that has answered.
            answer: The answer. The call is run again once for it, however often it is handled.
            call: The call.
        """
        connection.in_flight.answered = self
        self._try_again(connection, answer, call)

    @in_turn
    def cancel(self, call: PendingCall, cancel: messages.Cancel) -> None:
        """Cancel a call: here if it was not sent yet, else at its worker. Any thread."""
        connection = call.connection
        if connection is not None:
            call.canceled = cancel.mode
            connection.send_now(cancel)
            if self._insists_on(cancel.mode):
                insist(connection, call.number, self._reactor)
        elif self._take_out(call):
            call.canceled = cancel.mode
            self._doom(call, call.error_if_canceled(cancel))
            # The calls behind it have perhaps waited only for its arguments, and no other step would send them.
            self._pump()

    def _doom(self, call: PendingCall, error: bytes) -> None:
        """Have a call fail at the end of the turn. A step."""
        self._doomed.append(functools.partial(call.fail, error))

    def _doom_if_canceled(self, call: PendingCall) -> bool:
        """Have a call fail that has come back from its worker, if it was cancelled. Return whether it was. A step."""
        if call.canceled is None:
            return False
        self._doom(call, call.error_if_canceled(messages.Cancel(call.number, call.canceled, True, call.timeout_s)))
        return True

    def _bury(self, *, is_due: bool = False) -> None:
        """Settle the calls that have failed, or have the leader do it soon. Any thread, outside of turns.

        Args:
            is_due: Whether the leader calls this. Then it settles them even while it settles others further up its
                stack: a handler may wait there for one of these.
        """
        me = get_ident()
        is_outermost = me not in _BURYING
        try:
            if is_outermost or is_due:
                _BURYING.add(me)
                run_all(self._doomed, self._reactor.blame)
        finally:
            if is_outermost:
                _BURYING.discard(me)
            if self._doomed:  # dependents of the call that this thread settles, or what an exception has left
                self._reactor.discard(functools.partial(self._bury, is_due=True))
