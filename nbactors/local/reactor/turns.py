"""Turns: one thread at a time runs the steps of an object, and no thread waits for another.

A *step* is a change that must not overlap with another change of the same object. A thread that finds another thread at
its turn leaves its step in the queue and goes on; the other thread runs it before it ends its turn. A signal handler or
finalizer that has interrupted a step on its own thread runs its step at once, in the middle of the other. So each step
is written to allow that, and to allow an asynchronous exception at any place.

One case remains: a handler that waits in the middle of a step may wait for the effect of a step that another thread has
left in the queue. So waiting threads run left steps, too: see `LeftSteps`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import get_ident

from nbactors.local.reactor.action_queue import run_all
from nbactors.local.reactor.reactor import Reactor


class Turns:
    """The queue of steps of one object.

    Attributes:
        owner: The identifier of the thread that has the turn, 0 for none. It is set after a comparison with no call in
            between, which is atomic in CPython.
        steps: The steps that are still to be run.
    """

    __slots__ = ("_reactor", "owner", "steps")

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.owner = 0
        self.steps: deque[Callable[[], None]] = deque()

    def run(self, step: Callable[[], None]) -> None:
        """Run a step, or leave it to the thread that has the turn. Any thread."""
        self.steps.append(step)
        self.serve()

    def serve(self) -> bool:
        """Run the queued steps, unless another thread has the turn; return whether no step is left. Any thread."""
        me = get_ident()
        while self.steps:
            if self.owner == me:  # a handler or finalizer has interrupted a step of this thread
                run_all(self.steps, self._reactor.blame)
                break
            if self.owner:
                self._reactor.left_steps.add(self)
                self._reactor.nudge()  # that thread may be waiting in its step, as the leader
                break
            self.owner = me
            try:
                run_all(self.steps, self._reactor.blame)
            finally:
                self.owner = 0
        return not self.steps
