"""`Target`: the target of calls, which is an actor or the workers of one kind of task. See this room's `__init__`."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from nbactors.local.submitting.insisting import insist

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.reactor.turns import Turns
    from nbactors.local.submitting.pending_call import PendingCall
    from nbactors.local.wire import messages
    from nbactors.local.wire.cancel_mode import CancelMode
    from nbactors.views.summaries import CallFacts

_T = TypeVar("_T", bound="Target")
_P = ParamSpec("_P")


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
    _doomed: deque[tuple[PendingCall, bytes]]

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
    def _take_out(self, call: PendingCall) -> bool:
        """Remove a call from the calls that were not sent; return whether it was among them. A step."""

    @abstractmethod
    def _insists_on(self, mode: CancelMode) -> bool:
        """Return whether a cancelled call's worker is sent signals, see `insist`."""

    @abstractmethod
    def answered(self, connection: Connection) -> None:
        """Send more calls, since some have returned. The leader's thread, once for all answers of a batch."""

    # -------------------------------------------------------------------------------------------------------- turns

    def _submit(self, call: PendingCall) -> None:
        """Run `_accept` as a step. It is the most frequent step, so it bypasses the queue of steps if that is empty."""
        me = get_ident()
        turns = self._turns
        if turns.owner or turns.steps:
            self._do(functools.partial(self._accept, call))
            return
        turns.owner = me
        try:
            self._accept(call)
        except BaseException:
            self._reactor.discard(self.pump)  # the call may be queued already, and no other step would send it
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
            self._doomed.append((call, call.error_if_canceled(cancel)))
            # The calls behind it have perhaps waited only for its arguments, and no other step would send them.
            self._pump()

    def _bury(self) -> None:
        """Settle the calls that have failed. Any thread, outside of turns."""
        while self._doomed:
            try:
                call, error = self._doomed[0]
            except IndexError:  # another thread has settled the last one
                return
            call.fail(error)
            try:
                if self._doomed[0][0] is call:
                    self._doomed.popleft()
            except IndexError:
                return
