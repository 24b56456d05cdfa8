"""Steps that are done one at a time, by one thread at a time, and that nobody waits for.

A thread that finds another one at it leaves its step there and goes on, and the other runs it before it leaves. A
signal's handler or a finalizer that has interrupted a step on its own thread runs its step at once, in the midst of the
other: so each step is made to bear that, as it is to bear an exception at any place.

One case is left: a handler waits for a result in the midst of a step, and what it waits for needs a step that another
thread has left there. Threads that wait therefore look at the steps that were left now and then, see `LeftSteps`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import get_ident

from nbactors.local.reactor.action_queue import run_all
from nbactors.local.reactor.reactor import Reactor


class Turns:
    """The steps of one thing.

    Attributes:
        owner: The identifier of the thread whose turn it is, 0 for none. Set after a comparison with no call between,
            which is one step in CPython.
        steps: Those that are to be run.
    """

    __slots__ = ("_reactor", "owner", "steps")

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.owner = 0
        self.steps: deque[Callable[[], None]] = deque()

    def run(self, step: Callable[[], None]) -> None:
        """Run a step, or leave it to the thread whose turn it is. Any thread."""
        self.steps.append(step)
        self.serve()

    def serve(self) -> bool:
        """Run the steps that are there, unless it is another thread's turn. Any thread.

        Returns:
            Whether no step is left.
        """
        me = get_ident()
        while self.steps:
            if self.owner == me:  # a handler or finalizer has interrupted this thread in a step
                run_all(self.steps, self._reactor.blame)
                break
            if self.owner:
                self._reactor.left_steps.add(self)
                self._reactor.nudge()  # that thread may sleep in it, as the leader
                break
            self.owner = me
            try:
                run_all(self.steps, self._reactor.blame)
            finally:
                self.owner = 0
        return not self.steps
