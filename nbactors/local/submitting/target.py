"""`Target`: whom calls go to, an actor or the workers of one kind of task.

What changes a target is done in steps, one at a time, see `Turns`.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from nbactors.local.reactor.action_queue import run_all
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

_BURYING: set[int] = set()
"""The threads that settle failed calls now. Dependents are settled afterwards: a chain of them may have any length."""


def in_turn(method: Callable[Concatenate[_T, _P], None]) -> Callable[Concatenate[_T, _P], None]:
    """Have a method run as a step of its target's turns: now, or soon by the thread whose turn it is."""

    def run(self: _T, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        self._do(functools.partial(method, self, *args, **kwargs))

    functools.update_wrapper(run, method)
    return run


class Target(ABC):
    """What actors' links and task queues have in common: calls that wait, are sent, are cancelled or have failed.

    Calls that have failed are settled by `_bury` at the end of a turn: that wakes dependents, which go on at other
    targets.
    """

    __slots__ = ()

    _reactor: Reactor
    _turns: Turns
    _doomed: deque[Callable[[], None]]

    @abstractmethod
    def describe(self, call: PendingCall) -> CallFacts:
        """Return what there is to say of one of its calls. Any thread."""

    @abstractmethod
    def _accept(self, call: PendingCall) -> None:
        """Take a call in. A step."""

    @abstractmethod
    def _pump(self) -> None:
        """Send what can be sent. A step."""

    @abstractmethod
    def _take_out(self, call: PendingCall) -> bool:
        """Take a call out of what waits; returns whether it was there. A step."""

    @abstractmethod
    def _insists_on(self, mode: CancelMode) -> bool:
        """Return whether a cancelled call's worker is sent signals, see `insist`."""

    @abstractmethod
    def answered(self, connection: Connection) -> None:
        """Calls have returned: send more. The leader's thread, once for all answers that arrived together."""

    # -------------------------------------------------------------------------------------------------------- turns

    def _submit(self, call: PendingCall) -> None:
        """Take a call in: the most frequent step, made without the detour by the queue of steps if nobody is there."""
        me = get_ident()
        turns = self._turns
        if turns.owner or turns.steps:
            self._do(functools.partial(self._accept, call))
            return
        turns.owner = me
        try:
            self._accept(call)
        except BaseException:
            self._reactor.discard(self.pump)  # it may have been taken in, and nobody else would look at it
            raise
        finally:
            turns.owner = 0
        if turns.steps:
            turns.serve()
        if self._doomed:
            self._bury()

    def _do(self, step: Callable[[], None]) -> None:
        """Run a step, or leave it to the thread whose turn it is. Any thread."""
        self._turns.run(step)
        if self._doomed:
            self._bury()

    @in_turn
    def pump(self) -> None:
        """Send what can be sent. Any thread."""
        self._pump()

    @in_turn
    def cancel(self, call: PendingCall, cancel: messages.Cancel) -> None:
        """Cancel a call: here if it was not sent yet, else where it runs. Any thread."""
        connection = call.connection
        if connection is not None:
            call.canceled = cancel.mode
            connection.send_now(cancel)
            if self._insists_on(cancel.mode):
                insist(connection, call.number, self._reactor)
        elif self._take_out(call):
            call.canceled = cancel.mode
            self._doom(call, call.error_if_canceled(cancel))
            # Those behind it may have waited for its arguments only, and nothing else would look at them again.
            self._pump()

    def _doom(self, call: PendingCall, error: bytes) -> None:
        """Have a call fail at the end of the turn. A step."""
        self._doomed.append(functools.partial(call.fail, error))

    def _bury(self, *, is_due: bool = False) -> None:
        """Settle the calls that have failed, or have the leader do it soon. Any thread, in no step of its own.

        Args:
            is_due: Whether the leader does so now, perhaps for a handler that waits in the midst of another settling.
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
