"""`Target`: whom calls go to, an actor or the workers of one kind of task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from nbactors.facts import CallFacts
    from nbactors.local.client.calls import PendingCall
    from nbactors.local.client.process import Process
    from nbactors.local.wire import messages


class Target(ABC):
    """What actors' links and task queues have in common: calls that wait, are sent, are cancelled or have failed.

    Calls that have failed are settled by `_bury`, without the lock: that wakes dependents, which take the locks of
    other targets, and two targets whose calls depend on each other would deadlock.
    """

    __slots__ = ()

    _process: Process
    _lock: threading.RLock
    _doomed: deque[tuple[PendingCall, bytes]]

    @abstractmethod
    def describe(self, call: PendingCall) -> CallFacts:
        """Return what there is to say of one of its calls. Any thread."""

    @abstractmethod
    def _pump(self) -> None:
        """Send what can be sent. Under the lock."""

    @abstractmethod
    def _take_out(self, call: PendingCall) -> bool:
        """Take a call out of what waits; returns whether it was there. Under the lock."""

    @abstractmethod
    def _insists_on(self, mode: str) -> bool:
        """Return whether a cancelled call's worker is sent signals, see `PendingCall.insist`."""

    def pump(self) -> None:
        """Send what can be sent. Any thread."""
        with self._lock, self.goes_on():
            self._pump()
        self._bury()

    def goes_on(self) -> _GoesOn:
        """Return a context in which an exception from outside stops nothing: the leader does what is left."""
        return _GoesOn(self)

    def cancel(self, call: PendingCall, cancel: messages.Cancel) -> None:
        """Cancel a call: here if it was not sent yet, else where it runs. Any thread."""
        with self._lock:
            connection = call.connection
            if connection is not None:
                call.canceled = cancel.mode
                connection.send_now(cancel)
                if self._insists_on(cancel.mode):
                    call.insist(self._process)
            elif self._take_out(call):
                call.canceled = cancel.mode
                self._doomed.append((call, call.error_if_canceled(cancel)))
                # Those behind it may have waited for its arguments only, and nothing else would look at them again.
                self._pump()
        self._bury()

    def _bury(self) -> None:
        """Settle the calls that have failed. Without the lock."""
        while self._doomed:
            try:
                call, error = self._doomed.popleft()
            except IndexError:  # another thread was faster
                return
            call.fail(error)


class _GoesOn:
    """See `Target.goes_on`."""

    __slots__ = ("_target",)

    def __init__(self, target: Target) -> None:
        self._target = target

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            target = self._target
            target._process.reactor.discard(target.pump)
